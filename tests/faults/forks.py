"""Rows about forks and about several processes on one spool folder."""

from __future__ import annotations

import sqlite3

from tests.faults.judgement import Outcome, Promise, judge
from tests.faults.scene import Row, Scene
from tests.faults.sinks import SqliteSink
from tests.faults.stage import wait_until

THREADS = 4
PACE = {"batchSize": 50, "flushIntervalMs": 20}


def _fork(scene: Scene) -> Outcome:
    """Fork again and again while other threads publish, and the children publish too."""
    children, count = scene.sized(4, 20), scene.sized(2_000, 10_000)
    stage = scene.sqlite((THREADS + children) * count)
    stage.run(threads=THREADS, count=count, rate=2_500, forks=children, plane=PACE)
    # The parent does not wait for its children, as a daemon does not.
    wait_until(lambda: len(stage.last_words()) > children, f"{children} children ended")
    stage.drain()
    return judge(stage, Promise("0 lost, 0 twice"), f"{children} children of {THREADS} threads")


def _share(scene: Scene) -> Outcome:
    """Two processes at once on one folder and one sink; one is killed, the other ends in order."""
    count = scene.sized(2_000, 50_000)
    stage = scene.sqlite(2 * THREADS * count)
    stage.plane |= PACE | {"durability": "processStrict"}
    one = stage.start(threads=THREADS, count=count, rate=1_000, stream="one")
    other = stage.start(first=THREADS * count, threads=THREADS, count=count, rate=1_000, stream="other")
    one.await_published(count // 2)
    one.kill()
    other.wait()
    stage.drain()
    return judge(stage, Promise("0 lost (processStrict)"))


def _die_twice(scene: Scene) -> Outcome:
    """The process that takes over is killed while it delivers, and publishes, too."""
    count = scene.sized(2_000, 20_000)
    stage, sink = scene.sqlite_away(2 * count)
    stage.plane |= PACE | {"durability": "processStrict"}
    stage.start(count=count, ending="wait").await_published(count).kill()
    sink.open()
    heir = stage.start(first=count, count=count, rate=500, ending="wait")
    wait_until(lambda: _count(sink) > 0, "the first delivery")
    heir.kill()
    between = _count(sink)
    stage.drain()
    return judge(stage, Promise("0 lost (processStrict)"), f"{between:,} were delivered at the second death")


def _count(sink: SqliteSink) -> int:
    try:
        return sum(1 for _ in sink.arrivals())
    except sqlite3.OperationalError:  # there is a file, and no table yet
        return 0


ROWS = (
    Row("os.fork while four threads publish", _fork),
    Row("two processes on one spool folder, one killed", _share),
    Row("two deaths in a row", _die_twice),
)
