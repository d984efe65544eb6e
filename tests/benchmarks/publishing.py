"""What an event costs the thread that publishes it, and a batch the database."""

from __future__ import annotations

import json
import queue
import sqlite3
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from backplane_runtime import DataPlane, Outcome
from backplane_runtime.settings import InMemory, Plane, Sqlite
from tests.benchmarks.table import Row

EVENTS = 20_000
RUNS = 5


def rows() -> Iterator[Row]:
    """Yield the cost of `publish` beside what people write by hand, and of a delivered event beside SQLite itself."""
    beside = "`publish`, CPU of the caller, beside dataclass + json + Queue"
    yield Row(beside, _median(_publish), _median(_by_hand))
    yield Row("event in SQLite, publish to commit, beside bare executemany", _median(_to_sqlite), _median(_executemany))


def _median(measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(RUNS))


def _publish() -> float:
    # The thread's own time: delivery runs beside it and is not the caller's.
    plane = DataPlane(InMemory(capacity=EVENTS), plane=Plane(max_queue_size=2 * EVENTS, failure_mode="drop"))
    event = Outcome("checkout-button", subject="user-42", metric="revenue", value=19.99)
    plane.publish(event)
    plane.flush()
    started = time.thread_time()
    for _ in range(EVENTS):
        plane.publish(event)
    spent = time.thread_time() - started
    plane.close()
    return spent / EVENTS


@dataclass
class _Event:
    event_id: str
    experiment: str
    subject: str
    metric: str
    value: float


def _by_hand() -> float:
    waiting: queue.Queue[str] = queue.Queue()
    started = time.thread_time()
    for _ in range(EVENTS):
        event = _Event(str(uuid.uuid4()), "checkout-button", "user-42", "revenue", 19.99)
        waiting.put_nowait(json.dumps(asdict(event)))
    return (time.thread_time() - started) / EVENTS


def _to_sqlite() -> float:
    with tempfile.TemporaryDirectory() as folder:
        settings = Sqlite(path=str(Path(folder) / "events.db"))
        plane = DataPlane(settings, plane=Plane(max_queue_size=2 * EVENTS, failure_mode="drop"))
        started = time.perf_counter()
        for number in range(EVENTS):
            plane.outcome("checkout-button", subject=f"user-{number}", metric="revenue", value=19.99)
        plane.flush(60)
        spent = time.perf_counter() - started
        plane.close()
    return spent / EVENTS


def _executemany() -> float:
    row = ("checkout-button", "user-42", json.dumps({"metric": "revenue", "value": 19.99} | {"pad": "x" * 150}))
    with tempfile.TemporaryDirectory() as folder:
        database = sqlite3.connect(Path(folder) / "events.db")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE e (id TEXT NOT NULL UNIQUE, experiment TEXT, subject TEXT, payload TEXT)")
        started = time.perf_counter()
        for first in range(0, EVENTS, 500):
            rows = [(f"{number:032x}", *row) for number in range(first, first + 500)]
            with database:
                database.executemany("INSERT INTO e VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)
        spent = time.perf_counter() - started
        database.close()
    return spent / EVENTS
