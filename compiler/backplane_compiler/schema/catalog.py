"""The catalog: names and variants of experiments, read from the sections of the original framework.

Those sections are that framework's business, so whatever has not the expected form is passed over in silence; only
duplicates of names and of variant keys are errors, because one of the two would never be seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from backplane_compiler.diagnostics import Diagnostic, Label, Severity
from backplane_compiler.schema.document import CATALOG_SECTIONS
from backplane_compiler.source import Mapping, Node, Scalar, Sequence
from backplane_runtime.config import Experiment, Variant


def check_catalog(root: Node) -> tuple[tuple[Experiment, ...], tuple[Diagnostic, ...]]:
    """Return the experiments of the `trials` and `experiments` of *root*, in the order of their names."""
    named = [(name, item) for section in CATALOG_SECTIONS for item in _items(root, section) for name in _name(item)]
    diagnostics = [*_duplicates("duplicate-name", "experiment", [name for name, _ in named])]
    experiments: dict[str, Experiment] = {}
    for name, item in named:
        for owner in (item, *_items(item, "trials")):
            diagnostics += _duplicates(
                "duplicate-variant", f"variant of `{_text(name)}`", [key for key, _ in _variants(owner)]
            )
        experiments.setdefault(_text(name), _experiment(_text(name), item))
    return tuple(experiments[name] for name in sorted(experiments)), tuple(diagnostics)


def _experiment(name: str, item: Node) -> Experiment:
    """Return an experiment with the variants of its own and of the trials in it, each once."""
    variants: dict[str, Variant] = {}
    for owner in (item, *_items(item, "trials")):
        for key, weight in _variants(owner):
            variants.setdefault(_text(key), Variant(key=_text(key), weight=weight))
    return Experiment(name=name, variants=tuple(variants.values()))


def _duplicates(code: str, what: str, names: list[Scalar]) -> Iterator[Diagnostic]:
    first: dict[str, Scalar] = {}
    for name in names:
        before = first.setdefault(_text(name), name)
        if before is not name:
            message = f"two {what.replace('experiment', 'experiments').replace('variant', 'variants', 1)} are named `{_text(name)}`"
            label = Label(before.span, "the first one")
            yield Diagnostic(code, Severity.ERROR, message, name.span, (label,), "rename one of the two")


def _name(item: Node) -> Iterator[Scalar]:
    """Yield the name of a trial or an experiment, if it has one."""
    for key in ("name", "serviceType"):
        name = _child(item, key)
        if isinstance(name, Scalar) and name.value is not None:
            yield name
            return


def _variants(owner: Node) -> Iterator[tuple[Scalar, float | None]]:
    control = _child(owner, "control")
    for variant in (*((control,) if control is not None else ()), *_items(owner, "conditions")):
        key = _child(variant, "key")
        if isinstance(key, Scalar) and key.value is not None:
            yield key, _weight(variant)


def _weight(variant: Node) -> float | None:
    weight = _child(variant, "weight")
    if isinstance(weight, Scalar) and isinstance(weight.value, (int, float)) and not isinstance(weight.value, bool):
        return float(weight.value) if math.isfinite(weight.value) else None
    return None


def _items(node: Node, key: str) -> tuple[Node, ...]:
    child = _child(node, key)
    return child.items if isinstance(child, Sequence) else ()


def _child(node: Node, key: str) -> Node | None:
    entry = node.get(key) if isinstance(node, Mapping) else None
    return None if entry is None else entry.value


def _text(name: Scalar) -> str:
    # A variant may be called `true` or `1`: the word counts, not what YAML makes of it.
    return name.value if isinstance(name.value, str) else name.text
