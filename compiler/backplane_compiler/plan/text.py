"""A plan as text: the form that people paste into a pull request. Marks are `+ ~ - !`, and `=` on request."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import assert_never

from backplane_compiler.infra.kinds import ResourceKind, kind_of
from backplane_compiler.infra.state import Resource
from backplane_compiler.plan.change import Change, Create, Delete, PropertyChange, Update
from backplane_compiler.plan.plan import Allowed, Obstacle, Plan, Step, TargetPlan
from backplane_compiler.plan.risks import Kinds
from backplane_compiler.plan.values import escaped, value_text

_INDENT = "      "
_NAME_WIDTH = 24
_COUNTS = (("+", "to create"), ("~", "to update"), ("-", "to delete"), ("!", "blocked"))


def plan_text(plan: Plan, kinds: Kinds, *, verbose: bool = False) -> str:
    """Return *plan* for people, ending in a line break; *verbose* shows what is as it should be, too."""
    lines = []
    for target in plan.targets:
        lines += [*_target_lines(target, plan.allowed, kinds, verbose=verbose), ""]
    return "\n".join([*lines, summary(plan)]) + "\n"


def summary(plan: Plan) -> str:
    """Return the last line: `1 to create, 1 to update, 1 blocked`, or `nothing to change`."""
    counts = Counter(mark(step, plan.allowed) for step in plan.steps())
    return ", ".join(f"{counts[sign]} {words}" for sign, words in _COUNTS if counts[sign]) or "nothing to change"


def heading(target: TargetPlan) -> str:
    """Return the line that says which server this is."""
    return escaped(f"{target.server.family} {target.server.label} ({target.description})")


def mark(step: Step, allowed: Allowed) -> str:
    """Return the sign of *step*."""
    if step.open_obstacles(allowed):
        return "!"
    match step.change:
        case Create():
            return "+"
        case Update():
            return "~"
        case Delete():
            return "-"
        case _:
            assert_never(step.change)


def allow_option(step: Step, obstacle: Obstacle) -> str:
    """Return the option that takes *obstacle* away, ready for a shell."""
    return f"--allow {shlex.quote(escaped(f'{obstacle.needs}:{step.address}'))}"


def created_properties(resource: Resource, kind: ResourceKind) -> Iterator[tuple[str, str]]:
    """Yield the names and texts of *resource*'s properties, in the order of its kind's table, then by name."""
    for name in in_table_order(resource.properties, kind):
        yield name, value_text(resource.properties[name].value, kind.rule(name).unit)


def difference_text(item: PropertyChange, kind: ResourceKind) -> str:
    """Return `7d -> 30d`."""
    unit = kind.rule(item.name).unit
    return f"{value_text(item.before, unit)} -> {value_text(item.after, unit)}"


def in_table_order(names: Iterable[str], kind: ResourceKind) -> list[str]:
    """Return *names* as the kind's table lists them; the others follow by name."""
    place = {name: at for at, name in enumerate(kind.properties)}
    return sorted(names, key=lambda name: (place.get(name, len(place)), name))


def _target_lines(target: TargetPlan, allowed: Allowed, kinds: Kinds, *, verbose: bool) -> Iterator[str]:
    yield heading(target)
    body = [line for step in target.steps for line in _step_lines(step, allowed, kinds)]
    if verbose:
        body += [f"  = {escaped(address)}" for address in target.unchanged]
    if target.unmanaged:
        body.append("  set on the server and not in the document, left alone:")
        body += [
            f"{_INDENT}{escaped(each.address)} {escaped(each.name)} = {value_text(each.value)}"
            for each in target.unmanaged
        ]
    if body:
        yield ""
        yield from body


def _step_lines(step: Step, allowed: Allowed, kinds: Kinds) -> Iterator[str]:
    yield f"  {mark(step, allowed)} {escaped(step.address)}"
    rows = [*_rows(step.change, kind_of(kinds, step.change.resource.kind))]
    width = max([_NAME_WIDTH, *(len(name) for name, _ in rows)])
    for name, text in rows:
        yield f"{_INDENT}{name:<{width}}  {text}"
    still_open = step.open_obstacles(allowed)
    for message in dict.fromkeys(obstacle.message for obstacle in still_open):
        yield f"{_INDENT}{escaped(message)}"
    if all(obstacle.needs for obstacle in still_open):
        for option in dict.fromkeys(allow_option(step, obstacle) for obstacle in still_open):
            yield f"{_INDENT}allow it: {option}"
    for needs in dict.fromkeys(obstacle.needs for obstacle in step.obstacles if obstacle not in still_open):
        yield f"{_INDENT}allowed: {needs}"


def _rows(change: Change, kind: ResourceKind) -> Iterator[tuple[str, str]]:
    match change:
        case Create(resource):
            for name, text in created_properties(resource, kind):
                yield escaped(name), text
        case Update():
            by_name = {item.name: item for item in change.properties}
            for name in in_table_order(by_name, kind):
                yield escaped(name), difference_text(by_name[name], kind)
        case Delete():
            return
        case _:
            assert_never(change)
