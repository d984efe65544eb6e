"""Comparison of what is live with what is wanted: pure, and without knowledge of any service.

Only what the document asks for is compared. A value that equals the desired one is no difference, whoever set it, so defaults
never look like drift; a live value that the document does not mention is *unmanaged*: reported, and left alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, assert_never

from backplane_compiler.infra.state import InfraState, Origin, Property, Resource, Value, resource_to_plain
from backplane_compiler.plan.change import Change, Create, Delete, PropertyChange, Update

_ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Unmanaged:
    """A value that somebody set on the server and that the document does not mention."""

    address: str
    name: str
    value: Value


def diff(observed: InfraState, desired: InfraState) -> tuple[Change, ...]:
    """Return the changes that bring *observed* to *desired*, by address; what *desired* does not name is left alone."""
    live = observed.by_address()
    changes = (_change(live.get(wanted.address), wanted) for wanted in desired.resources)
    return tuple(change for change in changes if change is not None)


def apply_changes(changes: Iterable[Change], state: InfraState) -> InfraState:
    """Return *state* after *changes*: the law partner of `diff`, so that `diff(apply_changes(diff(a, b), a), b)` is empty."""
    resources = state.by_address()
    for change in changes:
        match change:
            case Create(resource):
                resources[resource.address] = resource
            case Update():
                resources[change.address] = _updated(resources.get(change.address, change.before), change)
            case Delete(resource):
                resources.pop(resource.address, None)
            case _:
                assert_never(change)
    return InfraState.of(resources.values())


def unmanaged(observed: InfraState, desired: InfraState) -> tuple[Unmanaged, ...]:
    """Return what is set in *observed* on resources of *desired* and not mentioned there."""
    wanted = desired.by_address()
    return tuple(
        Unmanaged(resource.address, name, item.value)
        for resource in observed.resources
        if resource.address in wanted
        for name, item in sorted(resource.properties.items())
        if item.origin is Origin.SET and name not in wanted[resource.address].properties
    )


def fingerprint(live: Resource | None, wanted: Resource) -> str:
    """Return `sha256:…` of *live* as far as it matters: what is wanted of it, and what somebody set on it."""
    plain: Any = _ABSENT if live is None else resource_to_plain(relevant(live, wanted))["properties"]
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def relevant(live: Resource, wanted: Resource) -> Resource:
    """Return *live* without what its server fills in and *wanted* does not mention: a cluster's new default moves nothing."""
    kept = {
        name: item for name, item in live.properties.items() if name in wanted.properties or item.origin is Origin.SET
    }
    return replace(live, properties=kept)


def same_value(first: Value | None, second: Value | None) -> bool:
    """Whether both mean the same. `True` is not 1 here, which Python takes for equal."""
    return isinstance(first, bool) == isinstance(second, bool) and first == second


def _change(live: Resource | None, wanted: Resource) -> Change | None:
    if live is None:
        return Create(wanted)
    differences = tuple(_differences(live, wanted))
    return Update(relevant(live, wanted), wanted, differences) if differences else None


def _differences(live: Resource, wanted: Resource) -> Iterator[PropertyChange]:
    for name, item in sorted(wanted.properties.items()):
        found = live.properties.get(name)
        before = None if found is None else found.value
        if not same_value(before, item.value):
            yield PropertyChange(name, before, item.value)


def _updated(live: Resource, change: Update) -> Resource:
    properties = dict(live.properties)
    for item in change.properties:
        if item.after is None:
            properties.pop(item.name, None)
        else:
            properties[item.name] = Property(item.after)
    return replace(live, properties=properties)
