"""From paths to the one tree that is compiled: the document, one of its environments, overlay files, in this order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from backplane_compiler.diagnostics.model import Diagnostic, Severity, has_errors
from backplane_compiler.diagnostics.span import Span
from backplane_compiler.diagnostics.suggest import nearest
from backplane_compiler.source.files import load_source, parse_source
from backplane_compiler.source.overlay import merge
from backplane_compiler.source.tree import Entry, Mapping, Node, Scalar

_ENVIRONMENTS = "environments"

Loaded = tuple[Node | None, tuple[Diagnostic, ...]]


def load_tree(path: str | Path, *, env: str | None = None, overlays: Iterable[str | Path] = ()) -> Loaded:
    """The tree of a document, changed by one of its `environments` and by overlay files.

    Never raises. `environments` itself is no part of the tree. There is no tree where there is an error; every
    file is read all the same, so that all of their errors are told at once.
    """
    base, found = _load_file(path)
    environment: Mapping | None = None
    if isinstance(base, Mapping):
        (base, environment), more = _take_environment(base, env)
        found += more
    layers: list[Node] = [] if environment is None else [environment]
    for overlay_path in overlays:
        overlay, more = _load_overlay(overlay_path)
        found += more
        layers += [] if overlay is None else [overlay]
    if base is None or has_errors(found):
        return None, found
    for layer in layers:
        base = merge(base, layer)
    return base, found


def _load_file(path: str | Path) -> Loaded:
    file, found = load_source(path)
    return (None, found) if file is None else parse_source(file)


def _load_overlay(path: str | Path) -> Loaded:
    node, found = _load_file(path)
    if node is None or isinstance(node, Mapping):
        return node, found
    return None, (*found, _not_a_mapping(f"overlay `{path}`", node.span))


def _take_environment(
    document: Mapping, name: str | None
) -> tuple[tuple[Mapping, Mapping | None], tuple[Diagnostic, ...]]:
    """The document without `environments`, and the chosen one of them."""
    entry = document.get(_ENVIRONMENTS)
    rest = replace(document, entries=tuple(other for other in document.entries if other is not entry))
    if entry is not None and not isinstance(entry.value, Mapping):
        return (rest, None), (_not_a_mapping(f"`{_ENVIRONMENTS}`", entry.key_span),)
    known = entry.value.entries if entry is not None and isinstance(entry.value, Mapping) else ()
    wrong = tuple(
        _not_a_mapping(f"environment `{other.key}`", other.key_span) for other in known if not _is_patch(other.value)
    )
    if name is None:
        return (rest, None), wrong
    chosen = next((other for other in known if other.key == name), None)
    if chosen is None:
        place = Span.at_start(document.span.file) if entry is None else entry.key_span
        return (rest, None), (*wrong, _unknown_environment(name, known, place))
    return (rest, chosen.value if isinstance(chosen.value, Mapping) else None), wrong


def _is_patch(node: Node) -> bool:
    """An environment that changes nothing may be written as an empty value."""
    return isinstance(node, Mapping) or (isinstance(node, Scalar) and node.value is None)


def _unknown_environment(name: str, known: tuple[Entry, ...], place: Span) -> Diagnostic:
    names = [entry.key for entry in known]
    near = nearest(name, names)
    listed = ", ".join(f"`{other}`" for other in names)
    hint = f"did you mean `{near[0]}`?" if near else f"choose one of {listed}" if names else None
    message = f"the document has no environment `{name}`"
    return Diagnostic("unknown-environment", Severity.ERROR, message, place, hint=hint)


def _not_a_mapping(what: str, place: Span) -> Diagnostic:
    hint = "write what differs as in the document: `dataPlane: {...}`"
    return Diagnostic("overlay-form", Severity.ERROR, f"expected {what} to be a mapping", place, hint=hint)
