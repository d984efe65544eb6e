"""Rows about SIGKILL at random moments, for each level of durability.

The next start takes over what the spool holds and publishes on; it is killed in its turn. What is lost is counted for each
kill: the events for which `publish` had returned, and which never arrived.
"""

from __future__ import annotations

import random
import statistics
import time
from functools import partial

from tests.faults.judgement import Outcome, Promise, judge
from tests.faults.scene import Row, Scene
from tests.faults.stage import Stage
from tests.faults.tally import ACCEPTED

LATEST = 0.4  # seconds after its first event at which a program is killed
SEED = 4
THREADS = 2
# What a loaded machine may add to the writer's period of 5 ms. The note of the row says what it was here.
PERIODS = {"process": 0.1, "host": 0.1, "processStrict": 0.0}
TEXTS = {
    "memory": "what was not acknowledged",
    "process": "the last ms of events",
    "processStrict": "0 lost",
    "host": "the last ms of events",
}


def _kill(scene: Scene, durability: str, rate: int) -> Outcome:
    kills = scene.sized(8, 100) if rate <= 2_000 else scene.sized(4, 100)
    each = int(rate * 3 * LATEST) // THREADS
    stage = scene.sqlite(kills * each * THREADS)
    stage.plane |= {"durability": durability, "flushIntervalMs": 20}
    chance = random.Random(SEED)  # noqa: S311 - the moments of a test
    for kill in range(kills):
        program = stage.start(
            first=kill * each * THREADS, threads=THREADS, count=each, rate=rate / THREADS, ending="wait"
        )
        program.await_published(1)
        time.sleep(chance.uniform(0, LATEST))
        program.kill()
    stage.drain()
    losses = _losses(stage, kills)
    worst, middle = max(losses), statistics.median(losses)
    note = f"{kills} kills; per kill median {middle:g}, most {worst} = {worst / rate * 1000:.1f} ms"
    allowed = sum(losses) if durability == "memory" else int(PERIODS[durability] * rate) * kills
    return judge(stage, Promise(TEXTS[durability], loss=allowed, keeps_disk=durability != "memory"), note)


def _losses(stage: Stage, kills: int) -> list[int]:
    """Return how many events each killed program had published that never arrived."""
    there = bytearray(stage.tally.size)
    for arrival in stage.sink.arrivals():
        there[arrival.number] = 1
    each = stage.tally.size // kills
    published = stage.tally.published()
    return [
        sum(published[n] == ACCEPTED and not there[n] for n in range(kill * each, (kill + 1) * each))
        for kill in range(kills)
    ]


ROWS = tuple(
    Row(f"SIGKILL, {durability}, {rate:,} events/s", partial(_kill, durability=durability, rate=rate))
    for durability in TEXTS
    for rate in (2_000, 20_000)
)
