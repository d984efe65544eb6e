"""`plan-replace`: what is fixed when a resource is created."""

from __future__ import annotations

from collections.abc import Iterator

from backplane_compiler.infra.kinds import Change as Allowed
from backplane_compiler.infra.kinds import ResourceKind
from backplane_compiler.plan.change import Change
from backplane_compiler.plan.plan import Obstacle
from backplane_compiler.plan.risks.direction import ruled

CODE = "plan-replace"


def check(change: Change, kind: ResourceKind) -> Iterator[Obstacle]:
    """Yield an obstacle for each property that only a new resource could have.

    It asks for no acknowledgement: `apply` replaces nothing, so there is nothing yet that one could allow.
    """
    for item, rule in ruled(change, kind):
        if rule.change is Allowed.CREATE_ONLY:
            reason = rule.reason or f"`{item.name}` is fixed when the resource is created"
            yield Obstacle(code=CODE, message=f"{reason}; this version does not replace resources", property=item.name)
