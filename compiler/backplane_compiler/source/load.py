"""From paths to the one tree that is compiled: the document, one of its environments, overlay files, in this order."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from backplane_compiler.diagnostics.model import Diagnostic, Severity, has_errors
from backplane_compiler.source.environments import select_environment
from backplane_compiler.source.files import load_source, parse_source
from backplane_compiler.source.overlay import merge
from backplane_compiler.source.tree import Mapping, Node

Loaded = tuple[Node | None, tuple[Diagnostic, ...]]


def load_tree(path: str | Path, *, env: str | None = None, overlays: Iterable[str | Path] = ()) -> Loaded:
    """The tree of a document, changed by one of its `environments` and by overlay files.

    Never raises. `environments` itself is no part of the tree. There is no tree where there is an error; every
    file is read all the same, so that all of their errors are told at once.
    """
    tree, found = _load_file(path)
    if tree is not None:
        tree, more = select_environment(tree, env)
        found += more
    for overlay_path in overlays:
        overlay, more = _load_overlay(overlay_path)
        found += more
        if tree is not None and overlay is not None:
            tree = merge(tree, overlay)
    return (None if has_errors(found) else tree), found


def _load_file(path: str | Path) -> Loaded:
    file, found = load_source(path)
    return (None, found) if file is None else parse_source(file)


def _load_overlay(path: str | Path) -> Loaded:
    node, found = _load_file(path)
    if node is None or isinstance(node, Mapping):
        return node, found
    hint = "write what differs as in the document: `dataPlane: {...}`"
    message = f"expected overlay `{path}` to be a mapping"
    return None, (*found, Diagnostic("wrong-type", Severity.ERROR, message, node.span, hint=hint))
