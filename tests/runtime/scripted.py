"""A backplane that tests tell what to do, and what they wait for."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence

from backplane_runtime import DataPlane, Registration, register_backplane
from backplane_runtime.backplanes.api import BackplaneHealth, Rejected, UnavailableError, Verdict
from backplane_runtime.envelope import Record
from backplane_runtime.settings import Plane, Settings


class Scripted(Settings, frozen=True, kw_only=True):
    """Settings of a backplane that tests tell what to do."""

    key: str


class ScriptedBackplane:
    """Fails while `is_down`, and hangs while `gate` is closed. Experiments are named for what becomes of their events:
    `poison` is rejected, `stuck` is never taken, `bug` raises, and those in `slow` are taken at the second attempt, before
    which it `goes_down_when_slow`. Of one batch it takes the first `at_most`.
    """  # noqa: D205 - one sentence for each

    by_key: dict[str, ScriptedBackplane] = {}  # noqa: RUF012 - tests find theirs here

    def __init__(self, settings: Scripted) -> None:
        self.is_down = False
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[list[Record]] = []
        self.slow: list[str] = []
        self.goes_down_when_slow = False
        self.at_most = sys.maxsize
        self.by_key[settings.key] = self

    def start(self) -> None:
        """Connect."""
        self._check()

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        """Take *batch*."""
        self._check()
        self.gate.wait()
        if any(one.experiment == "bug" for one in batch):
            raise ZeroDivisionError
        taken = batch[: self.at_most]
        verdicts = [self._verdict(one.experiment) for one in taken]
        self.batches.append(list(batch))
        return verdicts + [Verdict.RETRY] * (len(batch) - len(taken))

    def health(self, timeout: float) -> BackplaneHealth:  # noqa: ARG002 - the contract's signature
        """Say how it is."""
        self.gate.wait()
        return BackplaneHealth(healthy=not self.is_down, message="down" if self.is_down else "up")

    def close(self, timeout: float) -> None:  # noqa: ARG002 - the contract's signature
        """Let go."""
        self.batches.append([])

    def _verdict(self, experiment: str) -> Verdict | Rejected:
        if experiment == "stuck":
            return Verdict.RETRY
        if experiment in self.slow:
            self.slow.remove(experiment)
            self.is_down = self.goes_down_when_slow
            return Verdict.RETRY
        return Rejected("poison") if experiment == "poison" else Verdict.ACKNOWLEDGED

    def _check(self) -> None:
        if self.is_down:
            raise UnavailableError("nobody is there")

    @property
    def records(self) -> list[Record]:
        """Return all that was handed over, in order."""
        return [record for batch in self.batches for record in batch]

    @property
    def names(self) -> list[str]:
        """Return the experiments of all that was handed over, in order."""
        return [record.experiment for record in self.records]


register_backplane("scripted", Registration(make=ScriptedBackplane, settings_type=Scripted))


def scripted(name: str, plane: Plane) -> tuple[DataPlane, ScriptedBackplane]:
    """Return a data plane with a scripted backplane, and that."""
    data_plane = DataPlane(Scripted(key=name), plane=plane)
    return data_plane, ScriptedBackplane.by_key[name]


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Say whether *condition* became true in that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
