"""A signal handler that raises between any two lines of the writing side costs no event and doubles none."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from backplane_runtime.spool import SpoolLog, SpoolOptions, adopt
from tests.runtime.spool.disk import Disk, Interrupted
from tests.runtime.spool.spools import KAFKA, lines, numbered, read_all

pytestmark = pytest.mark.runtime_only

ROOT = Path("/spool")
MODULES = tuple(f"/spool/{name}.py" for name in ("log", "tail", "segments", "frame", "scan"))
STEPS = 10


class Strike:
    """Raises `Interrupted` once, before the line of `MODULES` that is the *at*th to be executed."""

    def __init__(self, at: int) -> None:
        self.left = at

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.endswith(MODULES) or not self.left:
            return None
        if event == "line":
            self.left -= 1
            if not self.left:
                raise Interrupted
        return self.trace


def insist(work: Callable[[], object], is_done: Callable[[], bool], strike: Strike) -> None:
    """Do *work*; again if it was interrupted before it was done, or met the error of a disk."""
    while True:
        try:
            sys.settrace(strike.trace)
            work()
        except Interrupted:
            if not is_done():
                continue
        except OSError:
            continue
        finally:
            sys.settrace(None)
        return


def live(log: SpoolLog, disk: Disk, strike: Strike) -> None:
    """Append durably and not, over the end of segments and a failed sync."""
    for step in range(STEPS):
        first = log.appended
        batch = lines(first, 3)
        if step in (3, 5):
            disk.arm("sync", 1)
        if step == 5:
            insist(log.sync, lambda: False, strike)
        insist(
            lambda batch=batch, step=step: log.append(batch, sync=step % 4 == 3),  # type: ignore[misc]
            lambda first=first: log.appended > first,  # type: ignore[misc]
            strike,
        )
        if step % 2:
            insist(log.commit, lambda: False, strike)
            assert log.end == log.appended
    insist(log.sync, lambda: False, strike)
    insist(log.commit, lambda: False, strike)


@pytest.mark.parametrize("segment_bytes", [100, 250, 100_000])
def test_interrupted_before_any_line(segment_bytes: int) -> None:
    """All is there, live, after the death of the process, and after a loss of power."""
    options = SpoolOptions(destinations=(KAFKA,), segment_bytes=segment_bytes)
    for at in range(1, 5000):
        disk, strike = Disk(), Strike(at)
        log = SpoolLog.create(ROOT, options, files=disk)
        live(log, disk, strike)
        expected = numbered(1, 3 * STEPS)
        assert read_all(log.reader("kafka")) == expected, at
        disk.kill()
        (again,) = adopt(ROOT, (KAFKA,), files=disk)
        assert read_all(again.reader("kafka")) == expected, at
        disk.lose_power(random.Random(at))  # noqa: S311
        (again,) = adopt(ROOT, (KAFKA,), files=disk)
        assert read_all(again.reader("kafka")) == expected, at
        if strike.left:
            assert at > 500
            return
    pytest.fail("a life has more lines than this test has tried")
