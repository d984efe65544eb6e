"""The plan: data that `plan` writes, `explain` prints and `apply` executes exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from backplane_compiler.infra.state import Server
from backplane_compiler.plan.change import Change
from backplane_compiler.plan.diff import Unmanaged


class Acknowledgement(StrEnum):
    """Kinds of risk that a person accepts for one address, as `--allow KIND:ADDRESS`."""

    DATA_LOSS = "data-loss"
    ORDERING = "ordering"
    REPLACE = "replace"
    DOWNTIME = "downtime"
    UNMANAGED = "unmanaged"


Allowed = frozenset[tuple[Acknowledgement, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Why a step is not simply done: `needs` an acknowledgement, or (`None`) cannot be done by `apply`.

    `property` is the property that it is about, where it is about one.
    """

    code: str
    message: str
    needs: Acknowledgement | None = None
    property: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change, what stands in its way, and the fingerprint of the live resource that it was planned against."""

    change: Change
    obstacles: tuple[Obstacle, ...] = ()
    fingerprint: str = ""

    @property
    def address(self) -> str:
        """Return the address of the resource that changes."""
        return self.change.address

    def open_obstacles(self, allowed: Allowed) -> tuple[Obstacle, ...]:
        """Return the obstacles that *allowed* does not take away; a step with one is blocked."""
        return tuple(
            obstacle
            for obstacle in self.obstacles
            if obstacle.needs is None or (obstacle.needs, self.address) not in allowed
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPlan:
    """What is to be done on one server, in order.

    `identity` is the server's own id (a Kafka cluster id, a database's name), `description` what the text shows beside it;
    both are empty where the server was not asked. `connection` is the wire form of the settings, secrets as references;
    `unchanged` are the addresses that are as the document wants them; `unmanaged` are live values that the document does
    not mention and that are left alone.
    """

    server: Server
    type: str
    identity: str
    description: str
    connection: Mapping[str, Any]
    steps: tuple[Step, ...]
    unchanged: tuple[str, ...] = ()
    unmanaged: tuple[Unmanaged, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that is to be done for one document.

    `allowed` holds what a person acknowledged, by address. An address means the same resource name on every server of the
    document: who allows it allows it on all of them.
    """

    document_digest: str
    targets: tuple[TargetPlan, ...]
    allowed: Allowed = field(default_factory=frozenset)

    def steps(self) -> Iterator[Step]:
        """Yield the steps of all targets."""
        for target in self.targets:
            yield from target.steps

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to change."""
        return not any(target.steps for target in self.targets)

    @property
    def is_blocked(self) -> bool:
        """Whether a step needs an acknowledgement that was not given, or cannot be done; `apply` then does nothing."""
        return any(step.open_obstacles(self.allowed) for step in self.steps())

    @property
    def unused_acknowledgements(self) -> tuple[tuple[Acknowledgement, str], ...]:
        """Return what was allowed and nothing asks for: most likely a typing error in an address."""
        asked = {(obstacle.needs, step.address) for step in self.steps() for obstacle in step.obstacles}
        return tuple(sorted(self.allowed - asked))

    def with_allowed(self, more: Iterable[tuple[Acknowledgement, str]]) -> Plan:
        """Return this plan with *more* acknowledgements."""
        return replace(self, allowed=self.allowed | frozenset(more))


def parse_acknowledgement(text: str) -> tuple[Acknowledgement, str]:
    """Return the kind and the address in `KIND:ADDRESS`.

    Raises:
        ValueError: with the kinds that there are.
    """
    kind, colon, address = text.partition(":")
    known = [each.value for each in Acknowledgement]
    if not colon or not address or kind not in known:
        raise ValueError(f"`{text}` is no acknowledgement; write KIND:ADDRESS with one of the kinds {', '.join(known)}")
    return Acknowledgement(kind), address
