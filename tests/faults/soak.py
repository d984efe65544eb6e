"""The soak: minutes of steady publishing into a database that is struck by one fault after the other; memory stays flat."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.backlog import resident
from tests.faults.judgement import Outcome, Promise, judge
from tests.faults.networks import behind_proxy
from tests.faults.proxy import Mode, Proxy
from tests.faults.scene import Row, Scene
from tests.faults.stage import Program

RATE = 5_000
THREADS = 2
GROWTH = 1.10  # the last third may hold this much more than the first, and
SLACK_MEGABYTES = 3.0
SETTLE = 100


def _soak(scene: Scene) -> Outcome:
    seconds = 8 if scene.is_short else scene.minutes * 60
    every = 0.5 if scene.is_short else 30.0
    count = int(RATE * seconds) // THREADS
    with behind_proxy(scene, THREADS * count) as (stage, proxy):
        stage.plane["flushIntervalMs"] = 1_000
        program = stage.start(threads=THREADS, count=count, rate=RATE / THREADS, settle=SETTLE)
        program.await_published(1)
        faults = _Faults(proxy, scene.postgresql.pid)
        sizes = _watch(program, faults, THREADS * count, every)
        program.wait()
        first, last = _thirds(sizes)
        note = f"{seconds:.0f} s, {faults.struck} faults, resident {first:.1f} MB in the first third, {last:.1f} in the last"
        outcome = judge(stage, Promise("0 lost, 0 twice, flat memory"), note)
    return outcome if last <= first * GROWTH + SLACK_MEGABYTES else outcome.broken("memory grows")


class _Faults:
    """Strikes the sink with one fault after the other, at random, with peace between them."""

    def __init__(self, proxy: Proxy, postmaster: int) -> None:
        self.struck = 0
        self._proxy = proxy
        self._postmaster = postmaster
        self._stopped: list[int] = []
        self._is_peace = True
        self._chance = random.Random(7)  # noqa: S311 - the moments of a test
        self._next = time.monotonic() + 1

    def go_on(self) -> None:
        """Begin or end a fault, if it is time."""
        if time.monotonic() < self._next:
            return
        if self._is_peace:
            self._strike()
            self._next = time.monotonic() + self._chance.uniform(0.2, 4)
        else:
            self.end()
            self._next = time.monotonic() + self._chance.uniform(1, 6)

    def end(self) -> None:
        """End the fault that there is."""
        self._is_peace = True
        self._proxy.mode = "pass"
        for pid in self._stopped:
            with contextlib.suppress(ProcessLookupError):  # a backend of a connection that is gone
                os.kill(pid, signal.SIGCONT)
        self._stopped = []

    def _strike(self) -> None:
        self._is_peace = False
        self.struck += 1
        modes: tuple[Mode, ...] = ("refuse", "hang", "slow", "reset")
        choice = self._chance.randrange(len(modes) + 1)
        if choice < len(modes):
            self._proxy.mode = modes[choice]
            return
        children = Path(f"/proc/{self._postmaster}/task/{self._postmaster}/children").read_text().split()
        self._stopped = [self._postmaster, *map(int, children)]
        for pid in self._stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)


def _watch(program: Program, faults: _Faults, count: int, every: float) -> list[float]:
    """Let faults strike until all is published, and return the memory of the program in equal intervals."""
    sizes: list[float] = []
    begin = following = time.monotonic()
    try:
        while (done := program.published()) < count and program.code is None:
            faults.go_on()
            if time.monotonic() >= following:
                following += every
                sizes.append(resident(program.pid))
                print(
                    f"  {time.monotonic() - begin:6.0f} s  {sizes[-1]:6.1f} MB  {done:>10,} published  {faults.struck} faults"
                )
            time.sleep(0.05)
    finally:
        faults.end()
    return sizes


def _thirds(sizes: Sequence[float]) -> tuple[float, float]:
    """Return the medians of the first and of the last third."""
    third = max(1, len(sizes) // 3)
    return statistics.median(sizes[:third]), statistics.median(sizes[-third:])


ROWS = (Row("soak", _soak, "postgresql", is_asked_for=True),)
