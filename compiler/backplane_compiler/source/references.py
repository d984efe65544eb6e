"""Secret references inside of text: `${env:NAME}`, `${env:NAME:-default}`, both without `env:`, `${file:/path}`, `$${`.

The compiler checks their form and never resolves one. The runtime resolves them with the same grammar:
NAME is `[A-Za-z_][A-Za-z0-9_]*`; a path and a default are anything up to the first `}`; `$${` is a literal `${`.
A path with `:-` in it is refused here: whoever writes one means a default, and it would be taken for a part of the name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from typing import Literal as OneOf

from backplane_compiler.diagnostics.model import Diagnostic, Severity
from backplane_compiler.diagnostics.span import Span
from backplane_compiler.source.tree import Mapping, Node, Scalar

_OPENER = re.compile(r"\$?\$\{")
_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_BODY = re.compile(rf"(?:file:(?P<file>(?:(?!:-)[^}}])+)|(?:env:)?(?P<name>{_NAME})(?::-(?P<default>[^}}]*))?)\}}")


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that stands for itself, escapes already taken off; offsets are those of the text as written."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Reference:
    """An environment variable or a file by name; `default` only where one was written."""

    kind: OneOf["env", "file"]
    name: str
    default: str | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Malformed:
    """A `${` that starts no reference; `problem` says why, `end` is behind the part to be shown."""

    problem: str
    start: int
    end: int


Part = Literal | Reference | Malformed


def parse_references(text: str) -> tuple[Part, ...]:
    """The parts of a text in order; no part is empty and together they cover all of it."""
    parts: list[Part] = []
    at = 0
    while at < len(text):
        opener = _OPENER.search(text, at)
        start = opener.start() if opener else len(text)
        if start > at:
            parts.append(Literal(text[at:start], at, start))
        if opener:
            parts.append(_part(text, opener))
        at = parts[-1].end
    return tuple(parts)


def is_open(text: str) -> bool:
    """Say whether *text* has a reference in it, so that nobody knows yet what it will be."""
    return "${" in text.replace("$${", "")


def check_references(node: Node) -> Iterator[Diagnostic]:
    """A diagnostic for each malformed reference in the values of a tree."""
    if isinstance(node, Scalar):
        yield from _check_scalar(node)
        return
    children = (entry.value for entry in node.entries) if isinstance(node, Mapping) else iter(node.items)
    for child in children:
        yield from check_references(child)


def _part(text: str, opener: re.Match[str]) -> Part:
    start, inside = opener.span()
    if opener[0] == "$${":
        return Literal("${", start, inside)
    body = _BODY.match(text, inside)
    if body is None:
        return _malformed(text, start, inside)
    if body["file"] is not None:
        return Reference("file", body["file"], None, start, body.end())
    return Reference("env", body["name"], body["default"], start, body.end())


def _malformed(text: str, start: int, inside: int) -> Malformed:
    closer = text.find("}", inside)
    if closer < 0:
        return Malformed("`${` is never closed", start, len(text))
    written = text[start : closer + 1]
    return Malformed(f"`{written}` is no reference", start, closer + 1)


def _check_scalar(node: Scalar) -> Iterator[Diagnostic]:
    if not isinstance(node.value, str) or "${" not in node.value:
        return
    for part in parse_references(node.value):
        if isinstance(part, Malformed):
            hint = "write `${env:NAME}`, `${env:NAME:-default}` or `${file:/path}`, or `$${` for a literal `${`"
            span = _part_span(node, part.start, part.end)
            yield Diagnostic("malformed-reference", Severity.ERROR, part.problem, span, hint=hint)


def _part_span(node: Scalar, start: int, end: int) -> Span:
    """The place of a part of a scalar's text, or of all of it where escapes or folding moved the characters."""
    file, first, last = node.span.file, node.span.start.offset, node.span.end.offset
    shift = file.text.find(node.text, first, last)
    return node.span if shift < 0 else Span.from_offsets(file, shift + start, shift + end)
