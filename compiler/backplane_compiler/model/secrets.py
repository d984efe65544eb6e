"""Secrets that stand in clear: found before anything else looks at the document, and replaced by references.

So no later phase, no output and no message can hold one. What is looked at: connection strings and URLs, options whose
name says that they are a secret, and maps that a client or an exporter is handed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import unquote, unquote_plus

from backplane_compiler.diagnostics import Diagnostic, Severity
from backplane_compiler.source import Entry, Mapping, Node, Path, Scalar, Sequence, dotted
from backplane_compiler.source.references import Literal, Reference, parse_references

_SECTION: Final = "dataPlane"
_REFERENCE_KEY: Final = "keyref"
_MASK: Final = "***"
# Options and headers whose whole value is a secret.
_SECRET_KEY = re.compile(
    r"pass?w(or)?d|pwd|secret|passphrase|private[-_.]?key|api[-_.]?key|access[-_.]?key|token$|authorization|cookie"
    r"|x-honeycomb-team|lightstep-access|jaas\.config|ssl\.key\.pem|ssl\.keystore\.key|^keyref$",
    re.IGNORECASE,
)
_NOT_SECRET_KEY = re.compile(r"endpoint|_url|\.url|file$|location$", re.IGNORECASE)
# A secret inside a connection string: `key=value`, the value bare, in quotes (ADO.NET) or in braces (ODBC).
_FIELD = re.compile(
    r"(?:^|;)\s*(?P<key>password|pwd|sharedaccesskey|sharedaccesssignature|access ?token)\s*=\s*"
    r"(?:\"(?P<double>(?:[^\"]|\"\")*)\"|'(?P<single>(?:[^']|'')*)'|\{(?P<brace>(?:[^}]|\}\})*)\}|(?P<bare>[^;]*))",
    re.IGNORECASE,
)
# `scheme://user:secret@host`, and `?password=secret` (libpq and SQLAlchemy take both).
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_REFERENCE = r"\$\{[^}]*\}"  # one character of a URL, whatever it is written with
_USER = re.compile(rf"(?:{_REFERENCE}|[^/?#@:])*+:(?P<url>(?:{_REFERENCE}|[^/?#])*)@")
# The same with a `/`, `?` or `#` that should be percent-encoded: no port, so a password.
_STRAY_USER = re.compile(rf"(?:{_REFERENCE}|[^/?#@:])*+:(?!(?:{_REFERENCE}|\d*)(?:[/?#]|$))(?P<url>.*)@", re.DOTALL)
_PARAMETER = re.compile(r"[?&](?P<key>[^=&#]+)=(?P<parameter>[^&#]*)")
_SECRET_PARAMETER = re.compile(
    r"password|pwd|passwd|sslpassword|(access|auth|refresh)?[-_]?token|api[-_]?key|(client[-_]?)?secret|sig",
    re.IGNORECASE,
)
# A connection string in a parameter of a URL (SQLAlchemy's `odbc_connect`), percent-encoded.
_ENCODED_FIELD = re.compile(r"(?:^|;)\s*(?:password|pwd)\s*=", re.IGNORECASE)
# libpq's `host=h password=secret`: fields with spaces between.
_LIBPQ = re.compile(r"\s*\w+\s*=\s*(?:'(?:[^'\\]|\\.)*'|\S*)(?:\s+\w+\s*=|\s*$)")
_LIBPQ_FIELD = re.compile(
    r"(?:^|\s)(?P<key>password|sslpassword)\s*=\s*(?:'(?P<single>(?:[^'\\]|\\.)*)'|(?P<bare>[^\s']\S*))", re.IGNORECASE
)
# Words of the header `Authorization` before the secret itself.
_SCHEME_WORD = re.compile(r"\s*(?:bearer|basic|token|apikey)?\s*", re.IGNORECASE)
# For text that is no document: `key: value`, and everything that may be a connection.
_LINE = re.compile(
    r"(?P<key>[\w.-]+)[\"']?[ \t]*:[ \t]*(?:[!&]\S*[ \t]+)?(?P<value>\"[^\"\n]*|'[^'\n]*|[^\s,{}\[\]][^\n,}]*)"
)
_CONNECTION = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\"']+|[^\s\"':][^\n\"':]*=[^\n\"']*", re.IGNORECASE)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True, slots=True)
class Hidden:
    """A tree without secrets: `secrets` holds each by the name of the variable that stands in its place.

    `texts` are all secret texts that were seen, for the masking of what is shown of the source.
    """

    tree: Node = field(repr=False)
    secrets: AbstractMapping[str, str] = field(default_factory=dict, repr=False)
    texts: frozenset[str] = field(default=frozenset(), repr=False)
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """A secret: where it stands in its scalar, and what it is called there (`Password`)."""

    start: int
    end: int
    key: str


def hide_secrets(tree: Node) -> Hidden:
    """Return *tree* with every secret of its data plane that stands in clear replaced by `${env:NAME}`.

    The names follow from the backplane and the key (`BACKPLANE_KAFKA_PASSWORD`), so they are the same on every run.
    """
    hider = _Hider()
    safe = hider.node(tree, (), "")
    return Hidden(safe, dict(sorted(hider.secrets.items())), frozenset(hider.texts), tuple(hider.diagnostics))


def secrets_in_source(text: str) -> frozenset[str]:
    """Return what looks like a secret in a *text* that could not be read as a document, for the masking of what is shown."""
    found = {match["value"].strip("\"' \t\r") for match in _LINE.finditer(text) if _is_secret_key(match["key"])}
    for word in _CONNECTION.findall(text):
        found |= {word[secret.start : secret.end] for secret in _secrets_in_text(word)}
    return frozenset(found - {""})


class _Hider:
    """One walk over a tree."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.texts: set[str] = set()
        self.diagnostics: list[Diagnostic] = []

    def node(self, node: Node, path: Path, owner: str) -> Node:
        if isinstance(node, Scalar):
            return self.scalar(self.without_defaults(node, path), path, owner) if _SECTION in path else node
        if isinstance(node, Sequence):
            items = tuple(self.node(item, (*path, index), owner) for index, item in enumerate(node.items))
            return replace(node, items=items)
        owner = _owner(node) or owner
        return replace(node, entries=tuple(self.entry(entry, path, owner) for entry in node.entries))

    def entry(self, entry: Entry, path: Path, owner: str) -> Entry:
        return replace(entry, value=self.node(entry.value, (*path, entry.key), owner))

    def scalar(self, node: Scalar, path: Path, owner: str) -> Scalar:
        found = tuple(_secrets_in(node, _key(path)))
        if not isinstance(node.value, str) or (found and _key(path).casefold() == _REFERENCE_KEY):
            # Of the wrong type, or a reference by its nature: an error of its own, shown without the value.
            self.texts |= {node.text for _ in found}
            return (
                replace(node, value=_MASK if isinstance(node.value, str) else node.value, text=_MASK) if found else node
            )
        text = node.value
        for secret in reversed(found):
            value = text[secret.start : secret.end]
            name = self.name(f"{owner} {secret.key}", value)
            self.texts.add(value)
            self.diagnostics.append(_in_clear(node, path, secret, name))
            text = f"{text[: secret.start]}${{env:{name}}}{text[secret.end :]}"
        # Its text too: whoever quotes what stands in the document quotes this.
        return replace(node, value=text, text=text) if found else node

    def without_defaults(self, node: Scalar, path: Path) -> Scalar:
        """Return *node* with the defaults of its references taken away where they are or hold a secret."""
        if not isinstance(node.value, str) or "${" not in node.value:
            return node
        text = node.value
        for part in reversed(parse_references(text)):
            if isinstance(part, Reference) and part.default and _is_secret_default(text, part, _key(path)):
                self.secrets.setdefault(part.name, part.default)
                self.texts.add(part.default)
                self.diagnostics.append(_default_in_clear(node, path, part.name))
                text = f"{text[: part.start]}${{env:{part.name}}}{text[part.end :]}"
        return node if text == node.value else replace(node, value=text, text=text)

    def name(self, words: str, value: str) -> str:
        """Return the variable for a secret; the same one for the same value, a numbered one for another value."""
        base = "_".join(("BACKPLANE", *(word.upper() for word in _WORD.findall(words))))
        name, number = base, 1
        while self.secrets.setdefault(name, value) != value:
            number += 1
            name = f"{base}_{number}"
        return name


def _owner(node: Mapping) -> str:
    """Return the name of a backplane's mapping, or its type."""
    if node.get("type") is None:
        return ""
    for key in ("name", "type"):
        entry = node.get(key)
        if entry is not None and isinstance(entry.value, Scalar) and isinstance(entry.value.value, str):
            return entry.value.value
    return ""


def _secrets_in(node: Scalar, key: str) -> Iterator[_Found]:
    if node.value is None or isinstance(node.value, bool):
        return
    if _is_secret_key(key):
        yield from _clear_parts(str(node.value), 0, key)
    elif isinstance(node.value, str):
        yield from sorted(_secrets_in_text(node.value), key=lambda found: found.start)


def _key(path: Path) -> str:
    """Return the option's name: of what stands in a list or a mapping under a secret option, that of the option."""
    names = [element for element in path if isinstance(element, str)]
    return next((name for name in reversed(names) if _is_secret_key(name)), names[-1] if names else "")


def _is_secret_key(key: str) -> bool:
    return bool(_SECRET_KEY.search(key)) and not _NOT_SECRET_KEY.search(key)


def _clear_parts(text: str, offset: int, key: str) -> Iterator[_Found]:
    """Yield what of a secret *text* is not a reference: all of it, or what is written beside references."""
    if "${" not in text.replace("$${", ""):
        if _is_clear(text):
            yield _Found(offset, offset + len(text), key)
        return
    for part in parse_references(text):
        if isinstance(part, Literal) and _is_clear(part.text) and not _SCHEME_WORD.fullmatch(part.text):
            yield _Found(offset + part.start, offset + part.end, key)


def _is_secret_default(text: str, part: Reference, key: str) -> bool:
    """Say whether the default of *part* would be a secret if it stood in the place of the reference."""
    default = part.default or ""
    if _is_secret_key(key) or any(_secrets_in_text(default)):
        return True
    filled = f"{text[: part.start]}{default}{text[part.end :]}"
    end = part.start + len(default)
    return any(part.start < found.end and found.start < end for found in _secrets_in_text(filled))


def _secrets_in_text(text: str) -> Iterator[_Found]:
    """Yield the secrets of a connection string or a URL; other text has none of these forms."""
    if scheme := _SCHEME.match(text):
        user = _USER.match(text, scheme.end()) or _STRAY_USER.match(text, scheme.end())
        if user:
            yield from _group(user, "url", "password")
        for parameter in _PARAMETER.finditer(text, user.end() if user else 0):
            key = unquote(parameter["key"]).strip()
            if _SECRET_PARAMETER.fullmatch(key) or _ENCODED_FIELD.search(unquote_plus(parameter["parameter"])):
                yield from _group(parameter, "parameter", key)
        return
    if ";" not in text and _LIBPQ.match(text):
        for match in _LIBPQ_FIELD.finditer(text):
            yield from _group(match, "bare" if match["single"] is None else "single", match["key"])
        return
    for match in _FIELD.finditer(text) if "=" in text else ():
        for form in ("double", "single", "brace", "bare"):
            yield from _group(match, form, match["key"])


def _group(match: re.Match[str], name: str, key: str) -> Iterator[_Found]:
    if match[name] is not None:
        yield from _clear_parts(match[name], match.start(name), key)


def _is_clear(value: str) -> bool:
    """Say whether a value is more than space, and more than dots that stand for one."""
    return value.strip(". \t\r\n…") != ""


def _in_clear(node: Scalar, path: Path, secret: _Found, name: str) -> Diagnostic:
    where = f"`{dotted(path)}`"
    what = f"`{secret.key}` in {where}" if str(path[-1]) != secret.key else where
    message = f"{what} holds a secret in clear; `${{env:{name}}}` stands in its place in everything that is written"
    hint = f"write `${{env:{name}}}` there, and set the environment variable `{name}` where the events are published"
    return Diagnostic("secret-in-clear", Severity.WARNING, message, node.span, hint=hint)


def _default_in_clear(node: Scalar, path: Path, name: str) -> Diagnostic:
    message = f"the default of `{name}` in `{dotted(path)}` is a secret in clear; it is left out of everything that is written"
    hint = f"write `${{env:{name}}}`, and set the environment variable `{name}` where the events are published"
    return Diagnostic("secret-in-clear", Severity.WARNING, message, node.span, hint=hint)
