"""The located tree: what a document says, each part with the place that says it.

Readers promise that keys of a mapping are unique and that no path is deeper than `limits.MAX_DEPTH`,
so walking a tree by recursion is safe. An aliased node occurs at several places of the tree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from backplane_compiler.diagnostics.span import Span

Path = tuple[str | int, ...]
Value = None | bool | int | float | str

_PLAIN_KEY = re.compile(r"[A-Za-z_$][\w$-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A leaf. `text` is what the value was read from: `012` for 12, the content without quotes for a string.

    `quoted` holds for quoted and block scalars, whose text is never read as a number, a bool or null.
    `alias` is the place of the `*name` that repeats this node here; `span` stays where it is written.
    """

    value: Value
    span: Span
    text: str
    quoted: bool = False
    alias: Span | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value. `replaced` is the entry of an earlier file that this one took the place of."""

    key: str
    key_span: Span
    value: Node
    replaced: Entry | None = None


@dataclass(frozen=True, slots=True)
class Mapping:
    """Entries in the order of the source, keys unique. The span of a block mapping ends on a later line."""

    entries: tuple[Entry, ...]
    span: Span
    alias: Span | None = None

    def get(self, key: str) -> Entry | None:
        """The entry of a key, in time linear in the number of entries."""
        return next((entry for entry in self.entries if entry.key == key), None)


@dataclass(frozen=True, slots=True)
class Sequence:
    """Items in order. The span of a block sequence ends on a later line."""

    items: tuple[Node, ...]
    span: Span
    alias: Span | None = None


Node = Mapping | Sequence | Scalar


def to_plain(node: Node) -> Any:
    """The same content as dicts, lists and scalars, without places."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Mapping):
        return {entry.key: to_plain(entry.value) for entry in node.entries}
    return [to_plain(item) for item in node.items]


def lookup(node: Node, path: Path) -> Node | None:
    """The node at exactly this path, or None."""
    for element in path:
        step = _step(node, element)
        if step is None:
            return None
        node = step[1]
    return node


def span_of(node: Node, path: Path, *, key: bool = False) -> Span:
    """The most useful place for a message about `path`.

    A scalar's own span; for a collection, and with `key=True`, the span of its key. Elements that do not exist
    in the tree are skipped, because pydantic puts the tags of unions into its paths; what is left of a path below
    an existing collection names something that is missing, and is shown at the key of that collection.
    """
    key_span = None
    for element in path:
        step = _step(node, element)
        if step is not None:
            key_span, node = step
    if key_span is not None and (key or not isinstance(node, Scalar)):
        return key_span
    return _own_span(node)


def dotted(path: Path) -> str:
    """A path as people write it: `dataPlane.backplane.options.brokers[0]`."""
    parts: list[str] = []
    for element in path:
        if isinstance(element, str) and _PLAIN_KEY.fullmatch(element):
            parts.append(f".{element}" if parts else element)
        else:
            parts.append(f'["{element}"]' if isinstance(element, str) else f"[{element}]")
    return "".join(parts)


def _step(node: Node, element: str | int) -> tuple[Span, Node] | None:
    """The child under `element` with the span that stands for its key."""
    if isinstance(node, Mapping) and isinstance(element, str):
        entry = node.get(element)
        return None if entry is None else (entry.key_span, entry.value)
    if isinstance(node, Sequence) and isinstance(element, int) and 0 <= element < len(node.items):
        item = node.items[element]
        return _own_span(item), item
    return None


def _own_span(node: Node) -> Span:
    """The span of a node for which there is no key: a block collection is shown by its first part."""
    while not isinstance(node, Scalar) and node.span.start.line != node.span.end.line:
        if isinstance(node, Mapping) and node.entries:
            return node.entries[0].key_span
        if not isinstance(node, Sequence) or not node.items:
            break
        node = node.items[0]
    return node.span
