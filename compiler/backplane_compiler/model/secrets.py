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

from backplane_compiler.diagnostics import Diagnostic, Severity
from backplane_compiler.source import Entry, Mapping, Node, Path, Scalar, Sequence, dotted

_SECTION: Final = "dataPlane"
# Options and headers whose whole value is a secret.
_SECRET_KEY = re.compile(
    r"pass?w(or)?d|pwd|secret|passphrase|private[-_.]?key|api[-_.]?key|access[-_.]?key|token$|authorization|cookie"
    r"|x-honeycomb-team|lightstep-access|jaas\.config|ssl\.key\.pem|ssl\.keystore\.key",
    re.IGNORECASE,
)
_NOT_SECRET_KEY = re.compile(r"endpoint|_url|\.url|file$|location$|keyref$", re.IGNORECASE)
# A secret inside a connection string: `key=value`, the value bare, in quotes (ADO.NET) or in braces (ODBC).
_FIELD = re.compile(
    r"(?:^|;)\s*(?P<key>password|pwd|sharedaccesskey|sharedaccesssignature|access ?token)\s*=\s*"
    r"(?:\"(?P<double>(?:[^\"]|\"\")*)\"|'(?P<single>(?:[^']|'')*)'|\{(?P<brace>(?:[^}]|\}\})*)\}|(?P<bare>[^;]*))",
    re.IGNORECASE,
)
# `scheme://user:secret@host`, and `?password=secret` (libpq and SQLAlchemy take both).
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_USER = re.compile(r"[^/?#@:]*:(?P<url>[^/?#]*)@")
_PARAMETER = re.compile(r"[?&](?P<key>password|pwd|sslpassword)=(?P<parameter>[^&]*)", re.IGNORECASE)
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


class _Hider:
    """One walk over a tree."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.texts: set[str] = set()
        self.diagnostics: list[Diagnostic] = []

    def node(self, node: Node, path: Path, owner: str) -> Node:
        if isinstance(node, Scalar):
            return self.scalar(node, path, owner) if _SECTION in path else node
        if isinstance(node, Sequence):
            items = tuple(self.node(item, (*path, index), owner) for index, item in enumerate(node.items))
            return replace(node, items=items)
        owner = _owner(node) or owner
        return replace(node, entries=tuple(self.entry(entry, path, owner) for entry in node.entries))

    def entry(self, entry: Entry, path: Path, owner: str) -> Entry:
        return replace(entry, value=self.node(entry.value, (*path, entry.key), owner))

    def scalar(self, node: Scalar, path: Path, owner: str) -> Scalar:
        found = tuple(_secrets_in(node, str(path[-1])))
        if not isinstance(node.value, str):
            self.texts |= {node.text for _ in found}  # of the wrong type: an error of its own, shown without the value
            return node
        text = node.value
        for secret in reversed(found):
            value = text[secret.start : secret.end]
            name = self.name(f"{owner} {secret.key}", value)
            self.texts.add(value)
            self.diagnostics.append(_in_clear(node, path, secret, name))
            text = f"{text[: secret.start]}${{env:{name}}}{text[secret.end :]}"
        return replace(node, value=text) if found else node

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
    if _SECRET_KEY.search(key) and not _NOT_SECRET_KEY.search(key):
        text = str(node.value)
        if _is_clear(text):
            yield _Found(0, len(text), key)
        return
    if isinstance(node.value, str):
        yield from sorted(_secrets_in_text(node.value), key=lambda found: found.start)


def _secrets_in_text(text: str) -> Iterator[_Found]:
    """Yield the secrets of a connection string or a URL; other text has none of these forms."""
    if scheme := _SCHEME.match(text):
        if user := _USER.match(text, scheme.end()):
            yield from _group(user, "url", "password")
        for parameter in _PARAMETER.finditer(text):
            yield from _group(parameter, "parameter", parameter["key"])
        return
    for match in _FIELD.finditer(text) if "=" in text else ():
        for form in ("double", "single", "brace", "bare"):
            yield from _group(match, form, match["key"])


def _group(match: re.Match[str], name: str, key: str) -> Iterator[_Found]:
    value = match[name]
    if value is not None and value.strip() and _is_clear(value):
        yield _Found(*match.span(name), key)


def _is_clear(value: str) -> bool:
    """Say whether a value is more than a reference, and more than dots that stand for one."""
    return bool(value.strip()) and "${" not in value.replace("$${", "") and value.strip(". ") != ""


def _in_clear(node: Scalar, path: Path, secret: _Found, name: str) -> Diagnostic:
    where = f"`{dotted(path)}`"
    what = f"`{secret.key}` in {where}" if str(path[-1]) != secret.key else where
    message = f"{what} holds a secret in clear; `${{env:{name}}}` stands in its place in everything that is written"
    hint = f"write `${{env:{name}}}` there, and set the environment variable `{name}` where the events are published"
    return Diagnostic("secret-in-clear", Severity.WARNING, message, node.span, hint=hint)
