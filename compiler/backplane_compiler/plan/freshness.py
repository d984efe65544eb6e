"""Whether the world is still the one that a plan was made for: pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from backplane_compiler.infra.state import InfraState, Property, Resource
from backplane_compiler.plan.change import Change, Create, Update
from backplane_compiler.plan.diff import diff, fingerprint, relevant, same_value
from backplane_compiler.plan.plan import Step, TargetPlan


def is_done(change: Change, live: Resource | None) -> bool:
    """Whether *live* already is what *change* brings about."""
    if not isinstance(change, (Create, Update)):
        return live is None
    return live is not None and not diff(InfraState((live,)), InfraState((change.resource,)))


def moved(target: TargetPlan, observed: InfraState) -> Iterator[str]:
    """Yield a line for each step whose resource is neither as the plan saw it nor on the way to what it wants.

    What an earlier, interrupted `apply` of the same plan has already done is no move, so a second one continues.
    """
    live = observed.by_address()
    for step in target.steps:
        change, found = step.change, live.get(step.address)
        if is_done(change, found):
            continue
        if fingerprint(_rewound(change, found), change.resource) != step.fingerprint:
            yield _what_moved(step, found)


def _rewound(change: Change, live: Resource | None) -> Resource | None:
    """Return *live* with what *change* has already reached put back to what it was before."""
    if live is None or not isinstance(change, Update):
        return live
    properties = dict(live.properties)
    for item in change.properties:
        if item.name in properties and same_value(properties[item.name].value, item.after):
            _put_back(properties, item.name, change.before)
    return replace(live, properties=properties)


def _put_back(properties: dict[str, Property], name: str, before: Resource) -> None:
    if name in before.properties:
        properties[name] = before.properties[name]
    else:
        del properties[name]


def _what_moved(step: Step, live: Resource | None) -> str:
    if isinstance(step.change, Create):
        return f"{step.address} did not exist when the plan was made, and exists now"
    if live is None:
        return f"{step.address} existed when the plan was made, and does not now"
    names = ", ".join(_moved_properties(step.change, live))
    return f"{step.address} is not as it was when the plan was made" + (f": {names} changed" if names else "")


def _moved_properties(change: Change, live: Resource) -> list[str]:
    if not isinstance(change, Update):
        return []
    now = relevant(_rewound(change, live) or live, change.after).properties
    before = change.before.properties
    return sorted(name for name in now.keys() | before.keys() if now.get(name) != before.get(name))
