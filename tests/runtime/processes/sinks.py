"""Backplanes of the tests' own: one that waits at a gate, as a server that hangs does, and counts what it was given."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence

from backplane_runtime import Registration, register_backplane
from backplane_runtime.backplanes.api import BackplaneHealth, Verdict
from backplane_runtime.envelope import Record
from backplane_runtime.settings import InMemory

GATES: dict[str, threading.Event] = {}
_numbers = itertools.count()


class GatedSettings(InMemory, frozen=True):
    """`gate` names the gate."""

    gate: str = ""


class Gated:
    """Takes a batch when its gate is open, and waits for that."""

    def __init__(self, settings: GatedSettings) -> None:
        self.gate = GATES[settings.gate]
        self.records: list[Record] = []

    def start(self) -> None:
        """Do nothing."""

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict]:
        """Wait at the gate."""
        self.gate.wait(60)
        self.records += batch
        return [Verdict.ACKNOWLEDGED] * len(batch)

    def health(self, timeout: float) -> BackplaneHealth:  # noqa: ARG002 - the contract's signature
        """Say whether the gate is open."""
        return BackplaneHealth(healthy=self.gate.is_set(), message="gate")

    def close(self, timeout: float) -> None:
        """Do nothing."""


# A name behind those of our own: some tests look at how the list of types begins.
register_backplane("waiting", Registration(make=Gated, settings_type=GatedSettings))


def gated(*, is_open: bool = False) -> tuple[GatedSettings, threading.Event]:
    """Return settings of a backplane with a gate of its own, and the gate."""
    name = f"gate {next(_numbers)}"
    gate = GATES[name] = threading.Event()
    if is_open:
        gate.set()
    return GatedSettings(gate=name), gate
