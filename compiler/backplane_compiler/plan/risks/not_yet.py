"""`plan-not-yet`: what the server can and this version does not."""

from __future__ import annotations

from collections.abc import Iterator

from backplane_compiler.infra.kinds import Change as Allowed
from backplane_compiler.infra.kinds import ResourceKind
from backplane_compiler.plan.change import Change
from backplane_compiler.plan.plan import Obstacle
from backplane_compiler.plan.risks.direction import ruled

CODE = "plan-not-yet"


def check(change: Change, kind: ResourceKind) -> Iterator[Obstacle]:
    """Yield an obstacle for each property that `apply` does not change yet: shown, never left out."""
    for item, rule in ruled(change, kind):
        if rule.change is Allowed.NOT_YET:
            reason = rule.reason or f"this version does not change `{item.name}`"
            yield Obstacle(code=CODE, message=reason, property=item.name)
