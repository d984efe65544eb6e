"""JSON (RFC 8259) to the located tree: strict, with the place and the habit behind each mistake."""

from __future__ import annotations

import json.decoder
import re
from collections.abc import Callable
from json.decoder import JSONDecodeError
from typing import Final

from backplane_compiler.diagnostics.model import Diagnostic, Label, Severity
from backplane_compiler.diagnostics.span import SourceFile, Span
from backplane_compiler.source import limits
from backplane_compiler.source.tree import Entry, Mapping, Node, Scalar, Sequence, Value

_scan_string: Final[Callable[[str, int, bool], tuple[str, int]]] = vars(json.decoder)["scanstring"]
"""The C function behind `json.loads`; typeshed leaves it out."""

_SPACES: Final = frozenset(" \t\n\r")
_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)
_WORD = re.compile(r"[^\s,:\[\]{}\"]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONSTANTS: Final[dict[str, Value]] = {"true": True, "false": False, "null": None}


def parse_json(file: SourceFile) -> tuple[Node | None, tuple[Diagnostic, ...]]:
    """The tree of a JSON text, and what is wrong with it.

    Never raises for any text. A syntax error ends the reading and leaves no tree; repeated keys leave the first.
    """
    reader = _Reader(SourceFile(file.name, file.text.removeprefix("\ufeff")))
    try:
        return reader.document(), tuple(reader.diagnostics)
    except _SyntaxFoundError:
        return None, tuple(reader.diagnostics)


class _SyntaxFoundError(Exception):
    """The diagnostic has been given."""


class _Reader:
    """Recursive descent; each method takes the offset where its part starts and gives the one after it."""

    def __init__(self, file: SourceFile) -> None:
        self.diagnostics: list[Diagnostic] = []
        self._file = file
        self._text = file.text
        self._depth = 0
        self._nodes = 0

    def document(self) -> Node:
        start = self._skip(0)
        if start == len(self._text):
            hint = 'write an object: `{"dataPlane": {...}}`'
            raise self._stop("empty-document", f"`{self._file.name}` holds no document", 0, 0, hint=hint)
        node, end = self._value(start)
        end = self._skip(end)
        if end != len(self._text):
            raise self._syntax("expected the end of the document", end, hint="keep one value in a file")
        return node

    def _value(self, start: int) -> tuple[Node, int]:
        self._nodes += 1
        if self._nodes > limits.MAX_NODES:
            raise self._stop("too-large", f"more than {limits.MAX_NODES:,} values in one document", start, start)
        opener = self._text[start : start + 1]
        if opener == '"':
            text, end = self._string(start)
            return Scalar(text, self._span(start, end), text, quoted=True), end
        if opener in ("{", "["):
            return self._collection(opener, start)
        return self._bare(start)

    def _collection(self, opener: str, start: int) -> tuple[Node, int]:
        if self._depth == limits.MAX_DEPTH:
            raise self._stop("too-deep", f"nested deeper than {limits.MAX_DEPTH} levels", start, start + 1)
        self._depth += 1
        node, end = self._object(start) if opener == "{" else self._array(start)
        self._depth -= 1
        return node, end

    def _object(self, start: int) -> tuple[Node, int]:
        entries: dict[str, Entry] = {}
        at = self._skip(start + 1)
        while self._text[at : at + 1] != "}" or entries:
            entry, at = self._entry(at)
            self._keep(entries, entry)
            at, is_closed = self._after_item(at, "}", start)
            if is_closed:
                return Mapping(tuple(entries.values()), self._span(start, at)), at
        return Mapping((), self._span(start, at + 1)), at + 1

    def _array(self, start: int) -> tuple[Node, int]:
        items: list[Node] = []
        at = self._skip(start + 1)
        while self._text[at : at + 1] != "]" or items:
            item, at = self._value(at)
            items.append(item)
            at, is_closed = self._after_item(at, "]", start)
            if is_closed:
                return Sequence(tuple(items), self._span(start, at)), at
        return Sequence((), self._span(start, at + 1)), at + 1

    def _entry(self, start: int) -> tuple[Entry, int]:
        if self._text[start : start + 1] != '"':
            raise self._no_key(start)
        key, end = self._string(start)
        colon = self._skip(end)
        if self._text[colon : colon + 1] != ":":
            raise self._syntax(f"expected `:` after the key `{key}`", colon)
        value, after = self._value(self._skip(colon + 1))
        return Entry(key, self._span(start, end), value), after

    def _keep(self, entries: dict[str, Entry], entry: Entry) -> None:
        first = entries.setdefault(entry.key, entry)
        if first is not entry:
            label = Label(first.key_span, "first here")
            hint = "remove one of the two, or merge them under one key"
            message = f"key `{entry.key}` appears twice"
            self.diagnostics.append(
                Diagnostic("duplicate-key", Severity.ERROR, message, entry.key_span, (label,), hint)
            )

    def _after_item(self, at: int, closer: str, start: int) -> tuple[int, bool]:
        """The start of the next item, or the end of the collection."""
        at = self._skip(at)
        found = self._text[at : at + 1]
        if found == closer:
            return at + 1, True
        if found != ",":
            kind = "object" if closer == "}" else "list"
            label = Label(self._span(start, start + 1), f"the {kind} opens here")
            raise self._syntax(f"expected `,` or `{closer}`", at, labels=(label,))
        following = self._skip(at + 1)
        if self._text[following : following + 1] == closer:
            raise self._syntax(f"expected another item before `{closer}`", at, hint="remove this comma")
        return following, False

    def _string(self, start: int) -> tuple[str, int]:
        try:
            text, end = _scan_string(self._text, start + 1, True)  # noqa: FBT003  the C function takes no keyword
        except JSONDecodeError as error:
            raise self._bad_string(error, start) from None
        lone = _SURROGATE.search(text) if not text.isascii() else None
        if lone:
            message = f"`\\u{ord(lone[0]):04x}` is half of a surrogate pair"
            raise self._stop("json-syntax", message, start, end, hint="write both halves, or the character itself")
        return text, end

    def _bare(self, start: int) -> tuple[Node, int]:
        """A number, `true`, `false` or `null`."""
        word = _WORD.match(self._text, start)
        if word is None:
            found = self._text[start : start + 1]
            raise self._syntax(f"expected a value, found `{found}`" if found else "expected a value", start)
        text, span = word[0], self._span(*word.span())
        if text in _CONSTANTS:
            return Scalar(_CONSTANTS[text], span, text), word.end()
        number = _NUMBER.fullmatch(text)
        if number is None:
            raise self._bad_word(text, start)
        return Scalar(self._number(text, span, is_int=number.lastindex is None), span, text), word.end()

    def _number(self, text: str, span: Span, *, is_int: bool) -> int | float:
        try:
            value = int(text) if is_int else float(text)
        except ValueError:  # more than 4300 digits
            value = float("inf")
        if value in (float("inf"), float("-inf")):
            raise self._stop("json-syntax", "this number is too large", span.start.offset, span.end.offset)
        return value

    def _no_key(self, at: int) -> _SyntaxFoundError:
        word = _WORD.match(self._text, at)
        if word is None:
            return self._syntax("expected a key in double quotes", at)
        if word[0][0] in "'/#":
            return self._bad_word(word[0], at)
        return self._stop("json-syntax", "a key needs double quotes", *word.span(), hint=f'write `"{word[0]}"`')

    def _bad_word(self, text: str, start: int) -> _SyntaxFoundError:
        end = start + len(text)
        if text[0] == "'":
            return self._stop("json-syntax", "JSON has no single quotes", start, start + 1, hint='write `"`')
        if text[0] == "#" or text[:2] in ("//", "/*"):
            hint = "remove it, or write the document as YAML"
            return self._stop("json-syntax", "JSON has no comments", start, start + 1, hint=hint)
        if text.lower() in ("true", "false", "null"):
            return self._stop("json-syntax", f"`{text}` is no JSON value", start, end, hint=f"write `{text.lower()}`")
        if re.fullmatch(r"[-+]?(nan|inf|infinity)", text.lower()):
            return self._stop("json-syntax", f"JSON has no number `{text}`", start, end)
        if text[0] in "+-.0123456789":
            return self._stop("json-syntax", f"`{text}` is no JSON number", start, end)
        return self._stop("json-syntax", f"`{text}` is no JSON value", start, end, hint="put text in double quotes")

    def _bad_string(self, error: JSONDecodeError, start: int) -> _SyntaxFoundError:
        if error.msg.startswith("Unterminated"):
            return self._syntax("this text is never closed", start, hint='close it with `"`')
        if error.msg.startswith("Invalid control character"):
            hint = "write line breaks as `\\n` and tabs as `\\t`"
            return self._syntax("a line break or control character inside of text", error.pos, hint=hint)
        return self._syntax("unknown escape", error.pos, hint="write `\\\\` for a backslash")

    def _syntax(
        self, message: str, at: int, *, labels: tuple[Label, ...] = (), hint: str | None = None
    ) -> _SyntaxFoundError:
        if at >= len(self._text):
            message, at = f"{message}, found the end of the file", len(self._text.rstrip())
        return self._stop("json-syntax", message, at, at + 1, labels=labels, hint=hint)

    def _stop(  # noqa: PLR0913  the one place where a diagnostic of this file is put together
        self, code: str, message: str, start: int, end: int, *, labels: tuple[Label, ...] = (), hint: str | None = None
    ) -> _SyntaxFoundError:
        self.diagnostics.append(Diagnostic(code, Severity.ERROR, message, self._span(start, end), labels, hint))
        return _SyntaxFoundError()

    def _skip(self, at: int) -> int:
        if self._text[at : at + 1] not in _SPACES:
            return at
        space = _SPACE.match(self._text, at)
        return at if space is None else space.end()

    def _span(self, start: int, end: int) -> Span:
        return Span.from_offsets(self._file, start, min(end, len(self._text)))
