"""`plan-data-loss` for a whole resource."""

from __future__ import annotations

from collections.abc import Iterator

from backplane_compiler.infra.kinds import ResourceKind
from backplane_compiler.plan.change import Change, Delete
from backplane_compiler.plan.plan import Acknowledgement, Obstacle


def check(change: Change, kind: ResourceKind) -> Iterator[Obstacle]:
    """Yield an obstacle for a deletion, whatever its kind: nobody knows from outside that a resource is empty."""
    if isinstance(change, Delete):
        message = f"deletes the {kind.name} with all that it holds"
        yield Obstacle(code="plan-data-loss", message=message, needs=Acknowledgement.DATA_LOSS)
