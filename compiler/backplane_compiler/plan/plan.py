"""The plan: data that `plan` writes, `explain` prints and `apply` executes exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from backplane_compiler.infra.state import Server
from backplane_compiler.plan.change import Change


class Acknowledgement(StrEnum):
    """Kinds of risk that a person accepts for one address, as `--allow KIND:ADDRESS`."""

    DATA_LOSS = "data-loss"
    ORDERING = "ordering"
    REPLACE = "replace"
    DOWNTIME = "downtime"
    UNMANAGED = "unmanaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Why a step is not simply done: `needs` an acknowledgement, or (`None`) cannot be done by `apply`."""

    code: str
    message: str
    needs: Acknowledgement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change, what stands in its way, and the fingerprint of the live resource that it was planned against."""

    change: Change
    obstacles: tuple[Obstacle, ...] = ()
    fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPlan:
    """What is to be done on one server, in order.

    `identity` is the server's own id (a Kafka cluster id, a database's name), `description` what the text shows beside it;
    `connection` is the wire form of the settings, secrets as references; `unmanaged` are live settings that the document
    does not mention and that are left alone.
    """

    server: Server
    type: str
    identity: str
    description: str
    connection: Mapping[str, Any]
    steps: tuple[Step, ...]
    unchanged: tuple[str, ...] = ()
    unmanaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that is to be done for one document."""

    document_digest: str
    targets: tuple[TargetPlan, ...]
    allowed: frozenset[tuple[Acknowledgement, str]] = field(default_factory=frozenset)
