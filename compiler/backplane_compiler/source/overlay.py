"""Overlays: the merge of RFC 7396 on located trees, the origin of every value kept."""

from __future__ import annotations

from dataclasses import replace

from backplane_compiler.source.tree import Entry, Mapping, Node, Scalar


def merge(base: Node, overlay: Node) -> Node:
    """`base` changed by `overlay`: mappings deep, lists and scalars replaced, null removes.

    An entry that the overlay set carries the overlay's spans and holds the one it took the place of in `replaced`.
    Keys of the base keep their order; new ones follow.
    """
    if not isinstance(overlay, Mapping):
        return overlay
    if not isinstance(base, Mapping):
        base = Mapping((), overlay.span)
    entries = {entry.key: entry for entry in base.entries}
    for entry in overlay.entries:
        if _is_null(entry.value):
            entries.pop(entry.key, None)
        else:
            entries[entry.key] = _merge_entry(entries.get(entry.key), entry)
    return replace(base, entries=tuple(entries.values()))


def _merge_entry(base: Entry | None, overlay: Entry) -> Entry:
    if base is None:
        return replace(overlay, value=_without_nulls(overlay.value))
    if isinstance(base.value, Mapping) and isinstance(overlay.value, Mapping):
        return replace(base, value=merge(base.value, overlay.value))
    return replace(overlay, value=_without_nulls(overlay.value), replaced=base)


def _without_nulls(node: Node) -> Node:
    """What a patch means where there is nothing to patch: its nulls remove nothing and leave nothing."""
    return merge(Mapping((), node.span, node.alias), node)


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None
