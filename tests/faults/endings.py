"""Rows about the end of a program: whatever it is, what was published is delivered, at the latest by the next start."""

from __future__ import annotations

import signal
from functools import partial
from typing import Literal

from tests.faults.judgement import Outcome, Promise, judge
from tests.faults.scene import Row, Scene

SLOW = {"flushIntervalMs": 60_000}  # nothing goes by itself: all of it is in memory or on disk when the end comes
MOST_SECONDS = 20.0


def _end(scene: Scene, ending: Literal["return", "exit", "raise"], code: int) -> Outcome:
    count = scene.sized(2_000, 20_000)
    stage = scene.sqlite(4 * count)
    program = stage.run(threads=4, count=count, ending=ending, plane=SLOW)
    stage.drain()
    outcome = judge(stage, Promise("0 lost"))
    return outcome if program.code == code else outcome.broken(f"exit code {program.code}, not {code}")


def _terminate(scene: Scene, *, handles_sigterm: bool) -> Outcome:
    """Send SIGTERM while four threads publish."""
    count = scene.sized(5_000, 20_000)
    stage = scene.sqlite(4 * count)
    program = stage.start(
        threads=4, count=count, rate=2_500, ending="wait", handles_sigterm=handles_sigterm, plane=SLOW
    )
    program.await_published(count if scene.is_short else 2 * count)
    program.signal(signal.SIGTERM)
    seconds = program.wait(MOST_SECONDS)
    stage.unfinished += 0 if handles_sigterm else 4
    stage.drain()
    # After the handler of ours the signal kills: other threads may publish a last event meanwhile.
    promise = Promise("0 lost") if handles_sigterm else Promise("0 lost before the signal", loss=4 * 60)
    outcome = judge(stage, promise, f"gone after {seconds:.1f} s")
    wanted = 0 if handles_sigterm else -signal.SIGTERM
    return outcome if program.code == wanted else outcome.broken(f"exit code {program.code}, not {wanted}")


ROWS = (
    Row("normal exit without flush", partial(_end, ending="return", code=0)),
    Row("sys.exit", partial(_end, ending="exit", code=3)),
    Row("exception that nobody catches", partial(_end, ending="raise", code=1)),
    Row("SIGTERM, default disposition", partial(_terminate, handles_sigterm=False)),
    Row("SIGTERM, handler raises SystemExit", partial(_terminate, handles_sigterm=True)),
)
