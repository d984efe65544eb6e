"""What a document means: defaults filled, routes resolved, every backplane of a composite in one flat list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from backplane_compiler.diagnostics.span import Span
from backplane_compiler.source.tree import Node, Path, span_of
from backplane_runtime.config import Experiment
from backplane_runtime.events import EventType
from backplane_runtime.settings import Plane, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Backplane:
    """One backplane: where events go, with which options, and what is to be provisioned for it.

    `events` are the types that it takes and that the document enables; `path` is its place in the tree.
    """

    name: str
    type: str
    settings: Settings
    provisioning: BaseModel | None
    events: tuple[EventType, ...]
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The resolved document.

    `secrets` holds what stood in clear in the document, by the name of the variable that now stands in its place; it is
    handed to providers in memory and never written.
    """

    plane: Plane
    backplanes: tuple[Backplane, ...]
    experiments: tuple[Experiment, ...]
    tree: Node = field(repr=False, compare=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def span(self, path: Path, *, key: bool = False) -> Span:
        """Return the place of *path* in the source: its value, or its key."""
        return span_of(self.tree, path, key=key)
