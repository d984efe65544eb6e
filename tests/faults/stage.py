"""The stage of one row: its folder, its sink, its spool, and the programs that are started on it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgspec

from tests.faults.orders import LastWords, Orders
from tests.faults.sinks import Sink
from tests.faults.tally import Tally

SECONDS = 120.0  # a program that takes longer hangs
ROOT = Path(__file__).parents[2]


class Stage:
    """See the module; `size` is the number of events that all programs publish together at most."""

    def __init__(self, folder: Path, sink: Sink, size: int) -> None:
        self.folder = folder
        self.sink = sink
        self.spool = folder / "spool"
        self.tally = Tally(folder / "tally", size)
        self.plane: dict[str, Any] = {"spool": {"directory": str(self.spool)}, "flushIntervalMs": 100}
        self.programs: list[Program] = []
        self.unfinished = 0  # events whose `publish` had not returned when their program was killed

    def start(
        self, *, before: tuple[str, ...] = (), environment: dict[str, str] | None = None, **orders: Any
    ) -> Program:
        """Start a program; *before* is a command that starts it, and *orders* are those of `Orders`."""
        self.plane |= orders.pop("plane", {})
        given = Orders(
            kind=self.sink.kind,
            options=self.sink.options,
            plane=self.plane,
            tally=str(self.folder / "tally"),
            size=self.tally.size,
            report=str(self.folder / "report"),
            **orders,
        )
        program = Program(self, given, before, environment or {})
        self.programs.append(program)
        return program

    def run(self, **orders: Any) -> Program:
        """Start a program and wait for its end."""
        program = self.start(**orders)
        program.wait()
        return program

    def drain(self, **more: Any) -> None:
        """Have a new program deliver what is left.

        Raises:
            RuntimeError: if it does not.
        """
        program = self.run(ending="drain", threads=0, **more)
        if program.code:
            raise RuntimeError(f"what was left is not delivered:\n{program.complaints()}")

    def last_words(self) -> list[LastWords]:
        """Return what those programs said that ended in order."""
        report = self.folder / "report"
        return (
            [msgspec.json.decode(line, type=LastWords) for line in report.read_bytes().splitlines()]
            if report.exists()
            else []
        )


class Program:
    """A publishing program that was started."""

    def __init__(self, stage: Stage, orders: Orders, before: tuple[str, ...], environment: dict[str, str]) -> None:
        self.orders = orders
        self.was_struck = False  # by a signal: then it need not have published all
        self._stage = stage
        self._log = stage.folder / f"log-{time.monotonic_ns()}"
        command = [*before, sys.executable, "-W", "ignore", "-m", "tests.faults.program"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, msgspec.json.encode(orders).decode()],
                cwd=ROOT,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def code(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.poll()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def stop(self) -> int:
        """The number after its last event."""
        orders = self.orders
        return orders.first + (orders.threads + orders.forks) * orders.count

    def published(self) -> int:
        """Return how many events it has published so far."""
        return self._stage.tally.count(self.orders.first, self.stop)

    def await_published(self, count: int) -> Self:
        """Return when it has published *count* events."""
        wait_until(lambda: self.published() >= count or self.code is not None, f"{count} events published")
        if self.published() < count:
            raise RuntimeError(f"the program ended:\n{self.complaints()}")
        return self

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.was_struck = True
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it by SIGKILL, in the middle of whatever it does."""
        self.was_struck = True
        self._process.kill()
        self._process.wait()
        self._stage.unfinished += self.orders.threads

    def wait(self, seconds: float = SECONDS) -> float:
        """Wait for its end, and return how many seconds it took.

        Raises:
            RuntimeError: if it takes more than *seconds*; it is killed then.
        """
        begin = time.monotonic()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise RuntimeError(f"the program hangs:\n{self.complaints()}") from None
        return time.monotonic() - begin

    def complaints(self) -> str:
        """Return the end of what it wrote."""
        return self._log.read_text(errors="replace")[-2000:]


def wait_until(holds: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    """Return as soon as *holds* says yes.

    Raises:
        RuntimeError: if that takes more than *seconds*.
    """
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise RuntimeError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(0.005)
