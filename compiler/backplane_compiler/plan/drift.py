"""Drift: where a live system differs from its document, one line a difference, without a proposal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from backplane_compiler.infra.kinds import kind_of
from backplane_compiler.plan.change import Create, Delete, Update
from backplane_compiler.plan.plan import Plan, Step, TargetPlan
from backplane_compiler.plan.risks import Kinds
from backplane_compiler.plan.values import escaped, value_text


def drift_lines(plan: Plan, kinds: Kinds) -> Iterator[str]:
    """Yield a line for each difference; none where every live system is as the document says."""
    for target in plan.targets:
        for step in target.steps:
            yield from (f"{_place(target, step)}: {line}" for line in _step_lines(target, step, kinds))


def _place(target: TargetPlan, step: Step) -> str:
    return escaped(f"{target.server.family} {target.server.label}: {step.address}")


def _step_lines(target: TargetPlan, step: Step, kinds: Kinds) -> Iterator[str]:
    if not target.identity:
        yield escaped("not compared: " + "; ".join(obstacle.message for obstacle in step.obstacles))
        return
    match step.change:
        case Create():
            yield "does not exist"
        case Update(after=after, properties=properties):
            kind = kind_of(kinds, after.kind)
            for item in properties:
                unit = kind.rule(item.name).unit
                live, wanted = value_text(item.before, unit), value_text(item.after, unit)
                yield f"{escaped(item.name)} is {live}, the document says {wanted}"
        case Delete():
            yield "exists, and the document does not mention it"
        case _:
            assert_never(step.change)
