"""A plan as JSON and back: canonical bytes, versioned, with a digest, and errors that name the place.

A plan holds no secret: the connection is the wire form of the settings, in which secrets are references.
"""

from __future__ import annotations

import json
from typing import Any, assert_never

import msgspec

from backplane_compiler.infra.state import Resource, Server, resource_from_plain, resource_to_plain
from backplane_compiler.plan.change import Change, Create, Delete, PropertyChange, Update
from backplane_compiler.plan.diff import Unmanaged
from backplane_compiler.plan.plan import Obstacle, Plan, Step, TargetPlan
from backplane_compiler.plan.values import escaped
from backplane_compiler.plan.wire import (
    FORMAT,
    VERSION,
    WireAllowed,
    WireObstacle,
    WirePlan,
    WirePropertyChange,
    WireResource,
    WireServer,
    WireStep,
    WireTarget,
    WireUnmanaged,
)
from backplane_runtime.config import canonical_bytes, digest_of


class PlanFormatError(Exception):
    """A plan file that cannot be used; the text names the file, the place in it and what to do."""


def plan_to_bytes(plan: Plan) -> bytes:
    """Return the file's bytes for *plan*; the same plan always gives the same."""
    wire = WirePlan(
        format=FORMAT,
        version=VERSION,
        digest="",
        document_digest=plan.document_digest,
        allowed=tuple(WireAllowed(kind=kind, address=address) for kind, address in sorted(plan.allowed)),
        targets=tuple(map(_target_to_wire, plan.targets)),
    )
    plain: dict[str, Any] = msgspec.to_builtins(wire)
    plain["digest"] = digest_of(plain)
    return canonical_bytes(plain)


def plan_from_bytes(raw: bytes, *, name: str = "plan.json") -> Plan:
    """Return the plan in *raw*; *name* is used in error texts.

    Raises:
        PlanFormatError: if it is no plan, of a version that this program does not know, or changed by hand.
    """
    plain = _parse(raw, name)
    try:
        # Before its types: what no plan can hold (half a character, an infinite number) fails here and not deep inside.
        digest = digest_of(plain)
        wire = msgspec.convert(plain, WirePlan)
    except (msgspec.ValidationError, ValueError, RecursionError) as error:
        raise PlanFormatError(f"{name}: {escaped(str(error))}; make the plan again with `backplane plan`") from error
    if wire.digest != digest:
        raise PlanFormatError(
            f"{name}: was changed after it was made (its digest does not match); make it again with `backplane plan`"
        )
    return Plan(
        document_digest=wire.document_digest,
        allowed=frozenset((each.kind, each.address) for each in wire.allowed),
        targets=tuple(_target_from_wire(target, f"{name}: $.targets[{at}]") for at, target in enumerate(wire.targets)),
    )


def is_plan(raw: bytes) -> bool:
    """Whether *raw* looks like a plan file, of any version; a document is not one."""
    try:
        plain = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(plain, dict) and plain.get("format") == FORMAT


def _parse(raw: bytes, name: str) -> dict[str, Any]:
    try:
        plain = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise PlanFormatError(f"{name}: is not JSON: {error}") from error
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise PlanFormatError(f"{name}: is not a plan (`format` is not `{FORMAT}`); make one with `backplane plan -o`")
    if plain.get("version") != VERSION:
        raise PlanFormatError(
            f"{name}: is of version {escaped(str(plain.get('version')))}, and this program reads version {VERSION}; "
            "use the experiment-backplane that made it, or make the plan again"
        )
    return plain


def _target_to_wire(target: TargetPlan) -> WireTarget:
    return WireTarget(
        server=WireServer(family=target.server.family, label=target.server.label),
        type=target.type,
        identity=target.identity,
        description=target.description,
        connection=dict(target.connection),
        steps=tuple(map(_step_to_wire, target.steps)),
        unchanged=target.unchanged,
        unmanaged=tuple(
            WireUnmanaged(address=each.address, name=each.name, value=each.value) for each in target.unmanaged
        ),
    )


def _target_from_wire(wire: WireTarget, path: str) -> TargetPlan:
    addresses = [step.address for step in wire.steps]
    if len({*addresses}) < len(addresses):
        raise PlanFormatError(f"{path}: two steps have one address")
    return TargetPlan(
        server=Server(family=wire.server.family, label=wire.server.label),
        type=wire.type,
        identity=wire.identity,
        description=wire.description,
        connection=wire.connection,
        steps=tuple(_step_from_wire(step, f"{path}.steps[{at}]") for at, step in enumerate(wire.steps)),
        unchanged=wire.unchanged,
        unmanaged=tuple(Unmanaged(each.address, each.name, each.value) for each in wire.unmanaged),
    )


def _step_to_wire(step: Step) -> WireStep:
    action, before, after, properties = _change_parts(step.change)
    return WireStep(
        action=action,
        address=step.address,
        before=None if before is None else _resource_to_wire(before),
        after=None if after is None else _resource_to_wire(after),
        properties=tuple(
            WirePropertyChange(name=each.name, before=each.before, after=each.after) for each in properties
        ),
        obstacles=tuple(
            WireObstacle(code=each.code, message=each.message, needs=each.needs, property=each.property)
            for each in step.obstacles
        ),
        fingerprint=step.fingerprint,
    )


def _change_parts(change: Change) -> tuple[Any, Resource | None, Resource | None, tuple[PropertyChange, ...]]:
    match change:
        case Create(resource):
            return "create", None, resource, ()
        case Update(before, after, properties):
            return "update", before, after, properties
        case Delete(resource):
            return "delete", resource, None, ()
        case _:
            assert_never(change)


def _step_from_wire(wire: WireStep, path: str) -> Step:
    change = _change_from_wire(wire, path)
    if change.address != wire.address:
        raise PlanFormatError(f"{path}: its address is not that of the resource that it changes")
    return Step(
        change=change,
        obstacles=tuple(
            Obstacle(code=each.code, message=each.message, needs=each.needs, property=each.property)
            for each in wire.obstacles
        ),
        fingerprint=wire.fingerprint,
    )


def _change_from_wire(wire: WireStep, path: str) -> Change:
    match wire.action, wire.before, wire.after:
        case "create", None, WireResource() as after:
            return Create(_resource_from_wire(after))
        case "delete", WireResource() as before, None:
            return Delete(_resource_from_wire(before))
        case "update", WireResource() as before, WireResource() as after:
            properties = tuple(PropertyChange(each.name, each.before, each.after) for each in wire.properties)
            return Update(_resource_from_wire(before), _resource_from_wire(after), properties)
        case _:
            raise PlanFormatError(f"{path}: `{wire.action}` has the wrong ones of `before` and `after`")


def _resource_to_wire(resource: Resource) -> WireResource:
    return msgspec.convert(resource_to_plain(resource), WireResource)


def _resource_from_wire(wire: WireResource) -> Resource:
    return resource_from_plain(msgspec.to_builtins(wire))
