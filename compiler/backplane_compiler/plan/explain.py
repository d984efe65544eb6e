"""A plan in prose: what each step will do, how it would be undone, and what stands in its way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from backplane_compiler.infra.kinds import Change as Allowed
from backplane_compiler.infra.kinds import ResourceKind, kind_of
from backplane_compiler.plan.change import Change, Create, Delete, PropertyChange, Update
from backplane_compiler.plan.plan import Plan, Step, TargetPlan
from backplane_compiler.plan.risks import Kinds
from backplane_compiler.plan.text import allow_option, created_properties, heading, summary
from backplane_compiler.plan.values import escaped, value_text


def explain_plan(plan: Plan, kinds: Kinds) -> str:
    """Return *plan* in prose, ending in a line break: the same steps, in the same order, as `apply` executes."""
    lines = [f"This plan was made for the document {escaped(plan.document_digest) or '(no digest)'}: {summary(plan)}."]
    lines += [_verdict(plan)]
    for target in plan.targets:
        lines += ["", f"On {heading(target)}:", *_target_lines(target, plan, kinds)]
    return "\n".join(lines) + "\n"


def _verdict(plan: Plan) -> str:
    if plan.is_empty:
        return "The live systems are as the document wants them."
    if plan.is_blocked:
        return "`apply` will do nothing at all while a step is blocked."
    return "`apply` will do the steps in this order, and refuse all of them if a resource has changed since."


def _target_lines(target: TargetPlan, plan: Plan, kinds: Kinds) -> Iterator[str]:
    if not target.steps:
        yield "  Nothing is changed."
    for number, step in enumerate(target.steps, start=1):
        lines = [*_step_lines(step, plan, kind_of(kinds, step.change.resource.kind))]
        yield f"  {number}. {lines[0]}"
        yield from (f"     {line}" for line in lines[1:])
    for each in target.unmanaged:
        yield f"  {escaped(each.address)} has {escaped(each.name)} = {value_text(each.value)}, which the document does not mention; it is left alone."


def _step_lines(step: Step, plan: Plan, kind: ResourceKind) -> Iterator[str]:
    blocked = step.open_obstacles(plan.allowed)
    what = _what(step.change, kind)
    yield f"Blocked: {what}" if blocked else what[0].upper() + what[1:]
    if not blocked:
        yield f"To undo it: {_undo(step.change, kind)}"
    for obstacle in step.obstacles:
        about = f"{escaped(obstacle.property)}: " if obstacle.property else ""
        yield f"{about}{escaped(obstacle.message)} ({obstacle.code})."
        if obstacle.needs is None:
            yield "No option allows this; change the document, or do it by other means."
        elif obstacle in blocked:
            yield f"If you accept that: {allow_option(step, obstacle)}"
        else:
            yield f"This was accepted: {obstacle.needs}."


def _what(change: Change, kind: ResourceKind) -> str:
    address = escaped(change.address)
    match change:
        case Create(resource):
            having = ", ".join(f"{escaped(name)} {text}" for name, text in created_properties(resource, kind))
            return f"create {address}" + (f" with {having}." if having else ".")
        case Update():
            return f"change {address}: " + ", ".join(_from_to(item, kind) for item in change.properties) + "."
        case Delete():
            return f"delete {address} and all that it holds."
        case _:
            assert_never(change)


def _from_to(item: PropertyChange, kind: ResourceKind) -> str:
    unit = kind.rule(item.name).unit
    return f"{escaped(item.name)} from {value_text(item.before, unit)} to {value_text(item.after, unit)}"


def _undo(change: Change, kind: ResourceKind) -> str:
    match change:
        case Create():
            return "delete it, with what it holds by then; `apply` never does that."
        case Update():
            fixed = [item.name for item in change.properties if kind.rule(item.name).change is not Allowed.IN_PLACE]
            if fixed:
                return f"not possible for {escaped(', '.join(fixed))}."
            back = ", ".join(
                f"{escaped(each.name)} {value_text(each.before, kind.rule(each.name).unit)}"
                for each in change.properties
            )
            return f"set back {back}."
        case Delete():
            return "not possible."
        case _:
            assert_never(change)
