"""What every rule needs: the backplanes that it is about, and diagnostics at places of the document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from pydantic import BaseModel

from backplane_compiler.diagnostics import Diagnostic, Severity, Span
from backplane_compiler.model.model import Backplane, Model
from backplane_compiler.source import Mapping, Node, Path, lookup
from backplane_compiler.source.references import is_open
from backplane_runtime.settings import Settings

__all__ = ["at", "backplanes_of", "error", "is_open", "is_written", "place", "warning", "without_address"]

S = TypeVar("S", bound=Settings)
P = TypeVar("P", bound=BaseModel)


def backplanes_of(model: Model, settings: type[S], provisioning: type[P]) -> Iterator[tuple[Backplane, S, P]]:
    """Yield the backplanes of one family with their typed halves."""
    for backplane in model.backplanes:
        if isinstance(backplane.settings, settings) and isinstance(backplane.provisioning, provisioning):
            yield backplane, backplane.settings, backplane.provisioning


def at(model: Model, path: Path) -> Path:
    """Return *path* as the document spells it: keys match in any case of letters; what is not there is left off."""
    real: Path = ()
    for element in path:
        step = _spelled(lookup(model.tree, real), element)
        if lookup(model.tree, (*real, step)) is None:
            break
        real = (*real, step)
    return real


def _spelled(node: Node | None, element: str | int) -> str | int:
    if not isinstance(element, str) or not isinstance(node, Mapping):
        return element
    return next((entry.key for entry in node.entries if entry.key.casefold() == element.casefold()), element)


def is_written(model: Model, path: Path) -> bool:
    """Say whether the document has something at *path*."""
    return len(at(model, path)) == len(path)


def place(model: Model, path: Path) -> Span:
    """Return the place of *path* in the source, or of what there is of it."""
    return model.span(at(model, path))


def error(code: str, message: str, span: Span, *, hint: str | None = None) -> Diagnostic:
    """Return an error."""
    return Diagnostic(code, Severity.ERROR, message, span, hint=hint)


def warning(code: str, message: str, span: Span, *, hint: str | None = None) -> Diagnostic:
    """Return a warning."""
    return Diagnostic(code, Severity.WARNING, message, span, hint=hint)


def without_address(model: Model, path: Path) -> Diagnostic:
    """Return a warning for a name at *path* that is a reference: only the publisher knows it, so lowering leaves it out."""
    message = f"`{path[-1]}` is a reference, so nothing is provisioned under this name: only the publisher knows it"
    hint = "write the name itself; `environments` and overlays can give another one for each environment"
    return warning("provisioning-without-effect", message, place(model, path), hint=hint)
