"""A row about the wall clock: it steps back and forward, within a program and between programs."""

from __future__ import annotations

from tests.faults.judgement import Outcome, Promise, judge
from tests.faults.scene import Row, Scene

HOUR, DAY = 3_600.0, 86_400.0
PACE = {"flushIntervalMs": 20, "durability": "processStrict"}


def _step(scene: Scene) -> Outcome:
    """The first program is killed at a later time than that at which the next one starts."""
    count = scene.sized(4_000, 40_000)
    stage = scene.sqlite(2 * count)
    stage.plane |= PACE
    first = stage.start(count=count, rate=4_000, clock=(-HOUR, DAY, DAY), ending="wait")
    first.await_published(count).kill()
    stage.run(first=count, count=count, rate=4_000, clock=(-2 * DAY, HOUR, -HOUR), settle=30)
    stage.drain()
    return judge(stage, Promise("0 lost, in order"), "time.time_ns of the program is replaced")


ROWS = (Row("clock steps back and forward", _step),)
