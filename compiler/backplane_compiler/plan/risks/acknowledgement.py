"""`plan-ordering`, `plan-data-loss`, …: what can be done, and what a person must have accepted for that one resource."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from backplane_compiler.infra.kinds import Change as Allowed
from backplane_compiler.infra.kinds import PropertyRule, ResourceKind
from backplane_compiler.infra.state import Resource
from backplane_compiler.plan.change import Change, PropertyChange
from backplane_compiler.plan.plan import Acknowledgement, Obstacle
from backplane_compiler.plan.risks.direction import Direction, direction, ruled

# The code of each risk, and what it means where the kind's table does not say it better.
_RISKS: Mapping[Acknowledgement, tuple[str, str]] = MappingProxyType(
    {
        Acknowledgement.DATA_LOSS: (
            "plan-data-loss",
            "what the new value no longer keeps is deleted and cannot be brought back",
        ),
        Acknowledgement.ORDERING: ("plan-ordering", "events with the same key may arrive in another order once"),
        Acknowledgement.REPLACE: ("plan-replace", "the resource is deleted and created anew, with what it holds"),
        Acknowledgement.DOWNTIME: ("plan-downtime", "events cannot be published while this is done"),
        Acknowledgement.UNMANAGED: (
            "plan-unmanaged",
            "somebody set this on the server and the document does not mention it",
        ),
    }
)


def check(change: Change, kind: ResourceKind) -> Iterator[Obstacle]:
    """Yield an obstacle for each property whose way up or down needs an acknowledgement."""
    for item, rule in ruled(change, kind):
        risk = _risk(change.resource, item, rule)
        if risk is not None:
            needs = Acknowledgement(risk)
            code, reason = _RISKS[needs]
            yield Obstacle(code=code, message=rule.risk_reason or reason, needs=needs, property=item.name)


def _risk(resource: Resource, item: PropertyChange, rule: PropertyRule) -> str | None:
    """Return the risk's kind. Values without an order, such as a policy, may be narrowed by any change."""
    way = direction(item, rule)
    if way is Direction.UP:
        trait = rule.increase_risk_trait
        return rule.increase_risk if trait is None or trait in resource.traits else None
    # A value that is not there yet is not narrowed, and what can't be lowered at all needs no question.
    if item.before is None or rule.change is Allowed.INCREASE_ONLY:
        return None
    return rule.decrease_risk
