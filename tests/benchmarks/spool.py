"""What an event costs the spool: written, written durably, read back; each beside the least that any program would do."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from backplane_runtime.spool import Destination, SpoolLog, SpoolOptions
from tests.benchmarks.table import Row

EVENTS = 200_000
RUNS = 5
BATCH = 5000
SMALL_BATCH = 500
# As long as an envelope of an outcome is.
LINES = [b'{"eventId":"%032x","payload":"%b"}' % (number, b"x" * 220) for number in range(BATCH)]
OPTIONS = SpoolOptions(destinations=(Destination(name="d", type="t", target="t"),))


def rows() -> Iterator[Row]:
    """Yield the seconds an event takes in the spool, beside plain files written and read by hand."""
    write, durable = _median(lambda: _write(BATCH)), _median(lambda: _write(BATCH, sync=True))
    yield Row("event to the spool, batches of 5000, beside join + write", write, _median(_write_by_hand))
    yield Row(
        "event to the spool, batches of 500, beside join + write",
        _median(lambda: _write(SMALL_BATCH)),
        _median(_write_by_hand),
    )
    yield Row(
        "event to the spool, durable, batches of 5000, beside the same + fdatasync", durable, _median(_sync_by_hand)
    )
    read, by_hand = _median(_read), _median(_read_by_hand)
    yield Row("event back from the spool, batches of 500, beside read + split", read, by_hand)


def _median(measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(RUNS))


def _write(batch: int, *, sync: bool = False) -> float:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        log = SpoolLog.create(Path(folder), OPTIONS)
        lines = LINES[:batch]
        started = time.perf_counter()
        for _ in range(EVENTS // batch):
            log.append(lines, sync=sync)
            log.commit()
        spent = time.perf_counter() - started
        log.close()
    return spent / EVENTS


def _read() -> float:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        log = SpoolLog.create(Path(folder), OPTIONS)
        for _ in range(EVENTS // BATCH):
            log.append(LINES)
        log.commit()
        reader = log.reader("d")
        started = time.perf_counter()
        while batch := reader.read(500, 1 << 20):
            reader.settle(batch[-1][0] + 1)
        spent = time.perf_counter() - started
        log.close()
    return spent / EVENTS


def _write_by_hand() -> float:
    return _by_hand(os.fstat)  # as good as nothing


def _sync_by_hand() -> float:
    return _by_hand(os.fdatasync)


def _by_hand(after: Callable[[int], object]) -> float:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        descriptor = os.open(Path(folder) / "events", os.O_CREAT | os.O_WRONLY)
        started = time.perf_counter()
        for _ in range(EVENTS // BATCH):
            os.write(descriptor, b"\n".join((*LINES, b"")))
            after(descriptor)
        spent = time.perf_counter() - started
        os.close(descriptor)
    return spent / EVENTS


def _read_by_hand() -> float:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        path = Path(folder) / "events"
        path.write_bytes(b"\n".join((*LINES, b"")) * (EVENTS // BATCH))
        started = time.perf_counter()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                block.split(b"\n")
        spent = time.perf_counter() - started
    return spent / EVENTS
