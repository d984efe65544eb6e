"""`plan-decrease`: what the server only ever raises."""

from __future__ import annotations

from collections.abc import Iterator

from backplane_compiler.infra.kinds import Change as Allowed
from backplane_compiler.infra.kinds import ResourceKind
from backplane_compiler.plan.change import Change
from backplane_compiler.plan.plan import Obstacle
from backplane_compiler.plan.risks.direction import Direction, direction, ruled

CODE = "plan-decrease"


def check(change: Change, kind: ResourceKind) -> Iterator[Obstacle]:
    """Yield an obstacle for each property that the document lowers and the server cannot."""
    for item, rule in ruled(change, kind):
        if rule.change is Allowed.INCREASE_ONLY and direction(item, rule) is not Direction.UP:
            reason = rule.reason or f"`{item.name}` can only be raised"
            yield Obstacle(code=CODE, message=reason, property=item.name)
