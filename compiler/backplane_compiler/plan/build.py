"""From what was observed to the plan: pure, so that the same world gives the same plan."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from backplane_compiler.infra.state import InfraState, Target
from backplane_compiler.plan.change import Change, Create
from backplane_compiler.plan.diff import diff, fingerprint, unmanaged
from backplane_compiler.plan.order import in_order
from backplane_compiler.plan.plan import Allowed, Obstacle, Plan, Step, TargetPlan
from backplane_compiler.plan.risks import Kinds, obstacles
from backplane_runtime.config import canonical_bytes
from backplane_runtime.settings import to_wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one server answered: who it is (`identity` for the program, `description` for people) and what is there."""

    target: Target
    identity: str
    description: str
    state: InfraState


@dataclass(frozen=True, slots=True)
class NotObserved:
    """A server that this version does not ask, and why; its resources are shown as blocked, never left out."""

    target: Target
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What a plan is made with: the capability tables, the document it is for, and what was acknowledged."""

    kinds: Kinds
    document_digest: str = ""
    allowed: Allowed = frozenset()


def build_plan(seen: Iterable[Observation | NotObserved], options: PlanOptions) -> Plan:
    """Return what brings every server of *seen* to what its target wants, with risks found and order settled.

    Raises:
        DependencyCycleError: if resources wait for each other.
    """
    targets = tuple(_target_plan(each, options.kinds) for each in seen)
    return Plan(document_digest=options.document_digest, targets=targets, allowed=options.allowed)


def _target_plan(seen: Observation | NotObserved, kinds: Kinds) -> TargetPlan:
    if isinstance(seen, NotObserved):
        return _not_observed(seen)
    target, live = seen.target, seen.state.by_address()
    changes = in_order(diff(seen.state, target.desired))
    touched = {change.address for change in changes}
    return TargetPlan(
        server=target.server,
        type=target.type,
        identity=seen.identity,
        description=seen.description,
        connection=_connection(target),
        steps=tuple(
            Step(
                change=change,
                obstacles=obstacles(change, kinds),
                fingerprint=fingerprint(live.get(change.address), change.resource),
            )
            for change in changes
        ),
        unchanged=tuple(each.address for each in target.desired.resources if each.address not in touched),
        unmanaged=unmanaged(seen.state, target.desired),
    )


def _not_observed(seen: NotObserved) -> TargetPlan:
    target = seen.target
    obstacle = Obstacle(code="plan-no-provider", message=seen.reason)
    changes: tuple[Change, ...] = in_order(Create(resource) for resource in target.desired.resources)
    return TargetPlan(
        server=target.server,
        type=target.type,
        identity="",
        description="not asked",
        connection=_connection(target),
        steps=tuple(Step(change=change, obstacles=(obstacle,)) for change in changes),
    )


def _connection(target: Target) -> dict[str, Any]:
    """Return the settings as a plan file holds them, so that a plan that was read back equals the one that was written."""
    plain: dict[str, Any] = json.loads(canonical_bytes(to_wire(target.settings)))
    return plain
