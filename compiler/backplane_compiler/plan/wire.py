"""The JSON form of a plan, as types: what a plan file of version 1 may hold, and nothing else."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from backplane_compiler.plan.plan import Acknowledgement

FORMAT = "experiment-backplane/plan"
VERSION = 1

WireValue = bool | int | float | str | tuple[str, ...]


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of all: camelCase, and unknown keys refused, because `apply` must not pass over what it does not understand."""


class WireProperty(Wire, frozen=True, kw_only=True):
    """A value and who set it."""

    value: WireValue
    origin: Literal["set", "default"]


class WireResource(Wire, frozen=True, kw_only=True):
    """A resource as `infra.json` has it."""

    address: str
    kind: str
    name: str
    depends_on: tuple[str, ...]
    traits: tuple[str, ...]
    properties: dict[str, WireProperty]


class WirePropertyChange(Wire, frozen=True, kw_only=True):
    """One difference; null is what is not there."""

    name: str
    before: WireValue | None
    after: WireValue | None


class WireObstacle(Wire, frozen=True, kw_only=True):
    """What stands in the way of a step."""

    code: str
    message: str
    needs: Acknowledgement | None
    property: str | None


class WireStep(Wire, frozen=True, kw_only=True):
    """One change: `before` is null for a creation, `after` for a deletion; `properties` are the differences of an update."""

    action: Literal["create", "update", "delete"]
    address: str
    before: WireResource | None
    after: WireResource | None
    properties: tuple[WirePropertyChange, ...]
    obstacles: tuple[WireObstacle, ...]
    fingerprint: str


class WireUnmanaged(Wire, frozen=True, kw_only=True):
    """A live value that the document does not mention."""

    address: str
    name: str
    value: WireValue


class WireServer(Wire, frozen=True, kw_only=True):
    """A cluster, namespace or database."""

    family: str
    label: str


class WireTarget(Wire, frozen=True, kw_only=True):
    """What is to be done on one server."""

    server: WireServer
    type: str
    identity: str
    description: str
    connection: dict[str, Any]
    steps: tuple[WireStep, ...]
    unchanged: tuple[str, ...]
    unmanaged: tuple[WireUnmanaged, ...]


class WireAllowed(Wire, frozen=True, kw_only=True):
    """One acknowledgement that was given."""

    kind: Acknowledgement
    address: str


class WirePlan(Wire, frozen=True, kw_only=True):
    """The whole file; `digest` is the SHA-256 of its canonical bytes without the digest itself."""

    format: str
    version: int
    digest: str
    document_digest: str
    allowed: tuple[WireAllowed, ...]
    targets: tuple[WireTarget, ...]
