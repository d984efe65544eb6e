"""Builds the located tree from YAML events: keys, aliases, merge keys and limits."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import yaml

from backplane_compiler.diagnostics.model import Diagnostic, Label, Severity
from backplane_compiler.diagnostics.span import SourceFile, Span
from backplane_compiler.source import limits
from backplane_compiler.source.tree import Entry, Mapping, Node, Scalar, Sequence
from backplane_compiler.source.yaml_scalars import is_collection_tag, resolve_plain, resolve_tagged, shown_tag

_TAG = re.compile(r"!+[^\s,\[\]{}]*")
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")


class StopReadingError(Exception):
    """The rest of the text is not worth reading; the diagnostic has been given."""


@dataclass(slots=True)
class _Anchor:
    """What an alias to this node costs."""

    node: Node
    size: int
    height: int


@dataclass(slots=True)
class _Frame:
    """A collection whose end has not been seen."""

    is_mapping: bool
    event: Any
    size_before: int
    height: int = 1
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    merged: dict[str, Entry] = field(default_factory=dict)
    key: tuple[str, Span] | None = None
    value_is_next: bool = False
    is_merging: bool = False


class TreeBuilder:
    """Makes one tree of the events of one file; `root` is there after `read`."""

    def __init__(self, file: SourceFile) -> None:
        self.root: Node | None = None
        self.diagnostics: list[Diagnostic] = []
        self._file = file
        self._frames: list[_Frame] = []
        self._anchors: dict[str, _Anchor | None] = {}  # None while the node is open
        self._size = 0
        self._aliased = 0
        self._documents = 0
        self._handlers: Final[dict[type[Any], Callable[[Any], None]]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._open,
            yaml.SequenceStartEvent: self._open,
            yaml.MappingEndEvent: self._close,
            yaml.SequenceEndEvent: self._close,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._document,
        }

    def read(self, next_event: Callable[[], Any]) -> None:
        """Take events up to the end of the stream.

        Raises:
            StopReadingError: a limit is passed, or there is a second document.
        """
        handlers = self._handlers
        while (event_type := type(event := next_event())) is not yaml.StreamEndEvent:
            if event_type in handlers:
                handlers[event_type](event)

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            hint = "keep one document in a file; what differs between environments goes under `environments`"
            self._report("several-documents", "a second document starts here", self._place(event), hint=hint)
            raise StopReadingError

    def _scalar(self, event: Any) -> None:
        frame = self._frames[-1] if self._frames else None
        span = self._place(event) if event.anchor is None and event.tag is None else self._place_after_properties(event)
        if frame is not None and frame.is_mapping and not frame.value_is_next:
            self._scalar_key(frame, event, span)
            return
        text: str = event.value
        quoted = not event.implicit[0] and event.tag is None
        node = Scalar(text if quoted else self._value(text, event.tag, span), span, text, quoted)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchor(node, 1, 0)
        self._add(node, 1)

    def _value(self, text: str, tag: str | None, span: Span) -> bool | int | float | str | None:
        try:
            return resolve_plain(text) if tag is None else resolve_tagged(text, tag)
        except LookupError:
            self._unknown_tag(str(tag), self._tag_span(span))
        except ValueError as error:
            self._report("yaml-value", str(error), span, hint="put the value in quotes if it is text")
        return text

    def _unknown_tag(self, tag: str, span: Span) -> None:
        message = f"the tag `{shown_tag(tag)}` has no meaning here"
        self._report("yaml-tag", message, span, hint="remove the tag; the type of a value follows from its key")

    def _scalar_key(self, frame: _Frame, event: Any, span: Span) -> None:
        text: str = event.value
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchor(Scalar(text, span, text, quoted=True), 1, 0)
        if event.tag is not None:
            self._value(text, event.tag, span)
        if text == "" and event.implicit[0]:
            self._report("yaml-key", "this entry has no key before its `:`", span, hint="write a name before the `:`")
            frame.key, frame.value_is_next = None, True
            return
        if text == "<<" and event.implicit[0]:
            frame.is_merging, frame.value_is_next = True, True
            return
        self._set_key(frame, text, span)

    def _set_key(self, frame: _Frame, text: str, span: Span) -> None:
        """Remember the key for the value that follows; a repeated one is reported and its value dropped."""
        frame.value_is_next = True
        first = frame.entries.get(text)
        frame.key = (text, span) if first is None else None
        if first is not None:
            label = Label(first.key_span, "first here")
            hint = "remove one of the two, or merge them under one key"
            self._report("duplicate-key", f"key `{text}` appears twice", span, labels=(label,), hint=hint)

    def _open(self, event: Any) -> None:
        if len(self._frames) >= limits.MAX_DEPTH:
            self._report("too-deep", f"nested deeper than {limits.MAX_DEPTH} levels", self._place(event))
            raise StopReadingError
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag is not None and not is_collection_tag(event.tag, "map" if is_mapping else "seq"):
            self._unknown_tag(event.tag, self._tag_span(self._place_after_properties(event)))
        self._frames.append(_Frame(is_mapping, event, self._size))

    def _close(self, event: Any) -> None:
        frame = self._frames.pop()
        span = Span.from_offsets(self._file, frame.event.start_mark.index, event.end_mark.index)
        node: Node = Mapping(_all_entries(frame), span) if frame.is_mapping else Sequence(tuple(frame.items), span)
        if frame.event.anchor is not None:
            self._anchors[frame.event.anchor] = _Anchor(node, self._size - frame.size_before + 1, frame.height)
        self._add(node, 1, frame.height)

    def _alias(self, event: Any) -> None:
        span = self._place(event)
        anchor = self._anchor(event.anchor, span)
        self._aliased += anchor.size
        if self._aliased > limits.MAX_ALIASED_NODES:
            message = f"aliases repeat more than {limits.MAX_ALIASED_NODES:,} values"
            self._report("too-large", message, span, labels=(Label(anchor.node.span, "this is repeated"),))
            raise StopReadingError
        if len(self._frames) + anchor.height > limits.MAX_DEPTH:
            message = f"this alias nests deeper than {limits.MAX_DEPTH} levels"
            self._report("too-deep", message, span, labels=(Label(anchor.node.span, "this is repeated"),))
            raise StopReadingError
        frame = self._frames[-1] if self._frames else None  # a document may be nothing but an alias
        if frame and frame.is_mapping and not frame.value_is_next and isinstance(anchor.node, Scalar):
            self._set_key(frame, anchor.node.text, span)
        else:
            self._add(replace(anchor.node, alias=span), anchor.size, anchor.height)

    def _anchor(self, name: str, span: Span) -> _Anchor:
        anchor = self._anchors.get(name)
        if anchor is not None:
            return anchor
        if name in self._anchors:
            self._report("yaml-alias", f"`*{name}` is inside of what it repeats", span)
            raise StopReadingError
        hint = f"write `&{name}` before the value that it should repeat, above this line, or put text in quotes"
        self._report(
            "yaml-alias", f"`*{name}` repeats nothing: there is no anchor `&{name}` before it", span, hint=hint
        )
        return _Anchor(Scalar(None, span, ""), 1, 0)

    def _add(self, node: Node, size: int, height: int = 0) -> None:
        self._size += size
        if self._size > limits.MAX_NODES:
            self._report("too-large", f"more than {limits.MAX_NODES:,} values in one document", node.span)
            raise StopReadingError
        if not self._frames:
            self.root = node
            return
        frame = self._frames[-1]
        frame.height = max(frame.height, height + 1)
        if not frame.is_mapping:
            frame.items.append(node)
        elif frame.value_is_next:
            self._add_value(frame, node)
        else:
            hint = "use text as a key"
            self._report(
                "yaml-key", "expected text as a key, found a list or a mapping", node.alias or node.span, hint=hint
            )
            frame.key, frame.value_is_next = None, True

    def _add_value(self, frame: _Frame, node: Node) -> None:
        frame.value_is_next = False
        if frame.is_merging:
            frame.is_merging = False
            self._merge(frame, node)
        elif frame.key is not None:
            frame.entries[frame.key[0]] = Entry(*frame.key, node)

    def _merge(self, frame: _Frame, node: Node) -> None:
        """The merge key of YAML 1.1 (https://yaml.org/type/merge.html): own keys win, then earlier mappings."""
        sources = node.items if isinstance(node, Sequence) else (node,)
        for source in sources:
            if isinstance(source, Mapping):
                for entry in source.entries:
                    frame.merged.setdefault(entry.key, entry)
                continue
            message = "expected a mapping, or a list of mappings, to merge under `<<`"
            self._report("yaml-merge", message, source.alias or source.span, hint="name a mapping: `<<: *name`")

    def _place(self, event: Any) -> Span:
        # By offsets alone: libyaml also counts NEL, LS and PS as line breaks, which editors do not.
        return Span.from_offsets(self._file, event.start_mark.index, event.end_mark.index)

    def _place_after_properties(self, event: Any) -> Span:
        """The place of a scalar without the anchor and the tag before it."""
        start, end = event.start_mark.index, event.end_mark.index
        properties = _PROPERTIES.match(self._file.text, start, end)
        return Span.from_offsets(self._file, properties.end() if properties else start, end)

    def _tag_span(self, content: Span) -> Span:
        """The tag before a node: the last `!` or `!!` with what follows it."""
        start = self._file.text.rfind("!", 0, content.start_offset + 1)
        start -= start > 0 and self._file.text[start - 1] == "!"
        tag = _TAG.match(self._file.text, start) if start >= 0 else None
        return Span.from_offsets(self._file, *tag.span()) if tag else content

    def _report(
        self, code: str, message: str, span: Span, *, labels: tuple[Label, ...] = (), hint: str | None = None
    ) -> None:
        self.diagnostics.append(Diagnostic(code, Severity.ERROR, message, span, labels, hint))


def _all_entries(frame: _Frame) -> tuple[Entry, ...]:
    """The mapping's own entries, then those that it merges and does not set itself."""
    inherited = (entry for key, entry in frame.merged.items() if key not in frame.entries)
    return (*frame.entries.values(), *inherited)
