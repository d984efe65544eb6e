"""Many threads, many data planes, one process: nothing is lost, doubled, left over or waited for too long."""

import gc
import logging
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from backplane_runtime import DataPlane, Outcome, Status
from backplane_runtime.backplanes.in_memory import InMemoryBackplane
from backplane_runtime.receipts import Receipt
from backplane_runtime.settings import InMemory, Plane, Spool, Sqlite
from tests.runtime.processes.programs import deliver, names, rows
from tests.runtime.processes.sinks import gated

pytestmark = [pytest.mark.runtime_only]

QUICK = Plane(flush_interval_ms=1, max_queue_size=1_000_000)


def at_once(*work: Callable[[], object]) -> None:
    """Do all of *work* at the same time, each in a thread, and raise what any of them raised."""
    barrier = threading.Barrier(len(work))

    def one(call: Callable[[], object]) -> None:
        barrier.wait(20)
        call()

    with ThreadPoolExecutor(len(work)) as pool:
        for future in [pool.submit(one, call) for call in work]:
            future.result(60)


def test_each_thread_keeps_its_order(tmp_path: Path) -> None:
    """Of 16 threads, each with a key of its own."""
    path = tmp_path / "events.db"
    plane = DataPlane(Sqlite(path=str(path), enable_idempotency=False), plane=QUICK)

    def work(mine: int) -> None:
        for number in range(500):
            assert plane.outcome(f"{mine} {number}", subject=str(mine), metric="m") is Status.QUEUED

    at_once(*(lambda mine=mine: work(mine) for mine in range(16)))
    assert plane.flush(60)
    plane.close()
    found = rows(path)
    assert len(found) == len({event_id for event_id, _ in found}) == 16 * 500
    by_thread: dict[str, list[int]] = defaultdict(list)
    for _, name in found:
        thread, number = name.split()
        by_thread[thread].append(int(number))
    assert all(numbers == list(range(500)) for numbers in by_thread.values())


@contextmanager
def publishing(plane: DataPlane, threads: int = 4) -> Iterator[None]:
    """Have threads publish without end."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            for _ in range(20):
                plane.outcome("background", subject="s", metric="m")
            time.sleep(0.0005)

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work) for _ in range(threads)]
        try:
            yield
        finally:
            stop.set()
            for future in futures:
                future.result(20)


@pytest.mark.parametrize("durability", ["memory", "process", "processStrict"])
def test_flush_ends_while_others_publish(durability: Any) -> None:
    """It answers for what was published before it, from several threads at once."""
    plane = DataPlane(InMemory(capacity=10_000_000), plane=Plane(max_queue_size=1_000_000, durability=durability))
    backplane = plane.backplane("inMemory")
    assert isinstance(backplane, InMemoryBackplane)

    def flush_mine(name: str) -> None:
        plane.outcome(name, subject="s", metric="m")
        assert plane.flush(30)
        assert name in {record.experiment for record in list(backplane.records)}

    with publishing(plane):
        time.sleep(0.05)
        at_once(*(lambda name=f"mine {number}": flush_mine(name) for number in range(3)))
    plane.close()


@pytest.mark.parametrize("durability", ["memory", "process", "processStrict"])
def test_closing_while_others_publish(tmp_path: Path, durability: Any) -> None:
    """Each event is delivered, or dropped and counted; none stays in between."""
    for attempt in range(10):
        path = tmp_path / f"{attempt}.db"
        # Long: a batch that is under way when the time is over is counted as dropped, though the file may have it.
        options = Plane(flush_interval_ms=1, durability=durability, max_queue_size=1_000_000, close_timeout_ms=60_000)
        plane = DataPlane(Sqlite(path=str(path)), plane=options)
        taken: Counter[Status] = Counter()
        stop = threading.Event()

        def work(plane: DataPlane = plane, taken: Counter[Status] = taken, stop: threading.Event = stop) -> None:
            mine: Counter[Status] = Counter()
            while not stop.is_set():
                mine[plane.outcome("e", subject="s", metric="m")] += 1
            taken.update(mine)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.01 + 0.003 * attempt)
        at_once(plane.close, plane.close)
        stop.set()
        for thread in threads:
            thread.join(20)
        total = plane.ledger().total
        assert total.published == total.accounted == taken.total()
        assert total.in_flight == 0
        assert not plane._queue
        if durability != "memory":
            deliver(path)
        assert sum(names(path).values()) == total.acknowledged + total.spooled
        assert total.acknowledged + total.spooled >= taken.total() - taken[Status.DROPPED] - 4


def test_an_event_that_comes_when_all_is_over(caplog: pytest.LogCaptureFixture) -> None:
    """Its publisher had found room, and was not given the processor until now: it is counted and told."""
    plane = DataPlane(InMemory(), plane=QUICK)
    plane.outcome("e", subject="s", metric="m")
    way = plane._ways[Outcome]

    def slow(event: Outcome) -> Any:
        made = way(event)
        closing = threading.Thread(target=plane.close)
        limit = plane._delivery.limit
        closing.start()
        closing.join(20)
        plane._delivery.limit = limit  # as it was when it looked
        return made

    plane._ways[Outcome] = slow
    plane.outcome("late", subject="s", metric="m")
    total = plane.ledger().total
    assert (total.published, total.acknowledged, total.dropped, total.in_flight) == (2, 1, 1, 0)
    assert "the data plane is closed" in caplog.text


def test_after_close() -> None:
    """Everything still answers, and at once."""
    plane = DataPlane(InMemory(), plane=QUICK)
    plane.outcome("e", subject="s", metric="m")
    plane.close()
    plane.close()
    began = time.monotonic()
    assert plane.outcome("e", subject="s", metric="m") is Status.DROPPED
    receipt = plane.publish(Outcome("e", subject="s", metric="m"), receipt=True)
    assert receipt.acknowledged.result(1) is receipt.spooled.result(1) is Status.DROPPED
    assert plane.flush(5)
    plane.start()
    assert plane.health(5).healthy
    assert time.monotonic() - began < 2
    total = plane.ledger().total
    assert (total.published, total.acknowledged, total.dropped) == (3, 1, 2)


def test_close_goes_on_where_an_exception_stopped_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in `close`, and again in the next one."""
    path = tmp_path / "events.db"
    plane = DataPlane(Sqlite(path=str(path)), plane=Plane(flush_interval_ms=60_000))
    for number in range(100):
        plane.outcome(f"e {number}", subject="s", metric="m")
    for place in ("end", "alone"):
        with monkeypatch.context() as patch:
            patch.setattr(plane._writer, place, _interrupted)
            with pytest.raises(KeyboardInterrupt):
                plane.close()
    plane.close()
    assert plane.ledger().total.acknowledged == len(names(path)) == 100


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def _descriptors() -> set[str]:
    found = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")  # noqa: PTH115 - it names no file
        except FileNotFoundError:
            continue  # of the listing itself
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@pytest.mark.parametrize("is_used", [False, True])
def test_two_hundred_data_planes_leave_nothing(tmp_path: Path, is_used: bool) -> None:  # noqa: FBT001
    """No thread, no descriptor, no object."""
    before, threads = _descriptors(), threading.active_count()
    gc.collect()
    alive = sum(issubclass(type(one), DataPlane) for one in gc.get_objects())
    for number in range(200):
        plane = DataPlane(Sqlite(path=str(tmp_path / "events.db")), plane=QUICK)
        if is_used:
            plane.outcome(f"e {number}", subject="s", metric="m")
            plane.close()
        del plane
    gc.collect()
    assert sum(issubclass(type(one), DataPlane) for one in gc.get_objects()) == alive
    assert threading.active_count() == threads
    assert _descriptors() == before
    if is_used:
        assert set(names(tmp_path / "events.db").values()) == {1}
        assert len(names(tmp_path / "events.db")) == 200


def test_a_data_plane_in_each_thread(tmp_path: Path) -> None:
    """On one file and one spool."""
    path = tmp_path / "events.db"

    def work(mine: int) -> None:
        with DataPlane(Sqlite(path=str(path), enable_idempotency=False), plane=QUICK) as plane:
            for number in range(100):
                plane.outcome(f"{mine} {number}", subject="s", metric="m")
            assert plane.flush(60)

    at_once(*(lambda mine=mine: work(mine) for mine in range(8)))
    assert names(path) == Counter(f"{mine} {number}" for mine in range(8) for number in range(100))


def test_starting_while_another_closes(tmp_path: Path) -> None:
    """No thread is left, whoever comes first."""
    threads = threading.active_count()
    for number in range(50):
        plane = DataPlane(Sqlite(path=str(tmp_path / "events.db")), plane=QUICK)
        at_once(plane.start, plane.close, lambda plane=plane: plane.outcome("e", subject="s", metric="m"))  # type: ignore[misc]
        assert plane.ledger().total.in_flight == 0, number
    assert threading.active_count() == threads


def test_receipts_from_many_threads() -> None:
    """Each is told."""
    plane = DataPlane(InMemory(), plane=QUICK)
    receipts: list[Receipt] = []

    def work() -> None:
        receipts.extend(plane.publish(Outcome("e", subject="s", metric="m"), receipt=True) for _ in range(100))

    at_once(*(work for _ in range(8)))
    # Who acknowledges at once may be faster than who tells that it is on disk.
    assert {one.spooled.result(20) for one in receipts} <= {Status.SPOOLED, Status.ACKNOWLEDGED}
    assert {one.acknowledged.result(20) for one in receipts} == {Status.ACKNOWLEDGED}
    plane.close()


@pytest.mark.parametrize(("durability", "fate"), [("memory", Status.DROPPED), ("process", Status.SPOOLED)])
def test_receipts_of_what_is_not_delivered(durability: Any, fate: Status) -> None:
    """They are told at the latest when the data plane is closed: in the hand, in the log, in the queue."""
    settings, gate = gated()
    options = Plane(flush_interval_ms=1, batch_size=10, durability=durability, close_timeout_ms=100)
    plane = DataPlane(settings, plane=options)
    receipts = [plane.publish(Outcome("e", subject="s", metric="m"), receipt=True) for _ in range(100)]
    plane.close()
    assert {one.acknowledged.result(5) for one in receipts} == {fate}
    assert {one.spooled.result(5) for one in receipts} == {fate}
    gate.set()


def test_a_log_handler_that_publishes(tmp_path: Path) -> None:
    """It holds its own lock while it publishes, and ours may be held by who logs: nobody waits for ever."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    options = Plane(flush_interval_ms=1, spool=Spool(directory=str(blocked / "spool")), durability="processStrict")
    plane = DataPlane(InMemory(), plane=options)

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - a handler's signature
            time.sleep(0.05)
            plane.outcome("logged", subject="s", metric="m")

    handler = Handler()
    logger = logging.getLogger()
    logger.addHandler(handler)
    try:
        at_once(
            *(lambda: plane.outcome("e", subject="s", metric="m") for _ in range(4)),
            *(lambda: logger.warning("of the application") for _ in range(4)),
        )
        blocked.unlink()
        at_once(*(lambda: logger.warning("of the application") for _ in range(8)), lambda: time.sleep(1.5))
    finally:
        logger.removeHandler(handler)
    assert plane.flush(20)
    plane.close()


def test_a_thread_that_cannot_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of the interpreter (from Python 3.12 on), or when there are too many: events go to disk all the same."""
    path = tmp_path / "events.db"
    plane = DataPlane(Sqlite(path=str(path)), plane=QUICK)

    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        statuses = {plane.outcome(f"e {number}", subject="s", metric="m") for number in range(10)}
    assert statuses == {Status.SPOOLED}
    plane.close()
    deliver(path)
    assert len(names(path)) == 10
