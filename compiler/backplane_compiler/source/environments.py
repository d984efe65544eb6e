"""Environments: overlays that stand in the document itself, one of which may be chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from backplane_compiler.diagnostics.model import Diagnostic, Severity
from backplane_compiler.diagnostics.suggest import nearest
from backplane_compiler.source.overlay import merge
from backplane_compiler.source.tree import Entry, Mapping, Node, Scalar

ENVIRONMENTS: Final = "environments"
_FRAMEWORK: Final = "experimentFramework"


def select_environment(tree: Node, name: str | None) -> tuple[Node, tuple[Diagnostic, ...]]:
    """Return *tree* without its `environments`, with the one called *name* merged over what stands beside it.

    `environments` may stand at the top or under `experimentFramework`; each overlay has the shape of the mapping that
    it stands in. A name that the document does not have is an error; so is anything under `environments` that is no mapping.
    """
    outer = tree.get(_FRAMEWORK) if isinstance(tree, Mapping) else None
    found: list[Entry] = []
    diagnostics: list[Diagnostic] = []
    if outer is not None and isinstance(tree, Mapping):
        inner = replace(outer, value=_merged(outer.value, name, found, diagnostics))
        tree = replace(tree, entries=tuple(inner if entry is outer else entry for entry in tree.entries))
    result = _merged(tree, name, found, diagnostics)
    if name is not None and not diagnostics and not any(entry.key == name for entry in found):
        diagnostics.append(_unknown(tree, name, found))
    return result, tuple(diagnostics)


def _merged(node: Node, name: str | None, found: list[Entry], diagnostics: list[Diagnostic]) -> Node:
    entry = node.get(ENVIRONMENTS) if isinstance(node, Mapping) else None
    if entry is None or not isinstance(node, Mapping):
        return node
    base = replace(node, entries=tuple(other for other in node.entries if other is not entry))
    if not isinstance(entry.value, Mapping):
        if not _is_null(entry.value):
            diagnostics.append(_not_a_mapping(entry))
        return base
    overlays = [item for item in entry.value.entries if not _is_null(item.value)]
    diagnostics += [_not_a_mapping(item) for item in overlays if not isinstance(item.value, Mapping)]
    found += entry.value.entries
    chosen = next((item.value for item in overlays if item.key == name), None)
    return base if not isinstance(chosen, Mapping) else merge(base, chosen)


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _not_a_mapping(entry: Entry) -> Diagnostic:
    message = f"`{entry.key}` must be a mapping, as the part of the document that it changes"
    return Diagnostic("wrong-type", Severity.ERROR, message, entry.key_span)


def _unknown(tree: Node, name: str, found: list[Entry]) -> Diagnostic:
    names = tuple(dict.fromkeys(entry.key for entry in found))
    near = nearest(name, names)
    known = ", ".join(f"`{known}`" for known in names)
    hint = f"did you mean `{near[0]}`?" if near else f"use one of {known}" if names else "add it under `environments`"
    span = found[0].key_span if found else tree.span
    return Diagnostic("unknown-environment", Severity.ERROR, f"there is no environment `{name}`", span, hint=hint)
