"""What is in memory has a bound, in events and in bytes, and whoever meets it is told."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from backplane_runtime import DataPlane, Outcome, Status
from backplane_runtime.settings import Composite, InMemory, Member, Plane, Spool
from tests.runtime.processes.programs import wait_until
from tests.runtime.processes.sinks import gated

pytestmark = [pytest.mark.runtime_only]

MEGABYTE = 1 << 20


def large(number: int, size: int = MEGABYTE) -> Outcome:
    return Outcome("e", subject=str(number), metric="m", attributes={"text": "x" * size})


def test_bytes_in_memory_are_bounded() -> None:
    """Of events that wait for a backplane that hangs, not only of those in the queue."""
    settings, gate = gated()
    options = Plane(durability="memory", max_queue_bytes=8 * MEGABYTE, flush_interval_ms=1)
    plane = DataPlane(settings, plane=options)
    for number in range(40):
        plane.publish(large(number))
        time.sleep(0.005)  # so that the writer takes each out of the queue
    held = sum(link.log.held_bytes for link in plane._delivery.chain.links)
    assert held <= 8 * MEGABYTE
    total = plane.ledger().total
    assert total.dropped + total.in_flight == 40
    assert total.in_flight >= 4
    gate.set()
    assert plane.flush(20)
    assert plane.publish(large(1)) is Status.QUEUED  # there is room again at once
    assert plane.flush(20)
    plane.close()


def test_whoever_blocks_waits_for_bytes_too() -> None:
    """Under `failureMode: block` nothing is dropped where there is room within the time."""
    settings, gate = gated()
    options = Plane(failure_mode="block", max_queue_bytes=4 * MEGABYTE, flush_interval_ms=1)
    plane = DataPlane(settings, plane=options)
    threading.Timer(0.5, gate.set).start()
    assert {plane.publish(large(number)) for number in range(20)} == {Status.QUEUED}
    assert plane.flush(20)
    assert plane.ledger().total.acknowledged == 20
    plane.close()


@pytest.mark.parametrize("size", [1, 3, 10])
def test_each_of_many_who_block_gets_room(size: int) -> None:
    """One place that is free is one thread's; the others go on waiting."""
    plane = DataPlane(InMemory(), plane=Plane(failure_mode="block", max_queue_size=size, flush_interval_ms=1))

    def work() -> None:
        for _ in range(50):
            plane.outcome("e", subject="s", metric="m")

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert plane.flush(20)
    total = plane.ledger().total
    assert (total.published, total.acknowledged, total.dropped) == (800, 800, 0)
    plane.close()


@pytest.mark.parametrize("durability", ["memory", "process", "processStrict"])
def test_a_queue_of_one(durability: object) -> None:
    """It works, slowly; what finds no room is counted."""
    options = msgspec.convert({"durability": durability, "maxQueueSize": 1, "flushIntervalMs": 1}, Plane)
    plane = DataPlane(InMemory(), plane=options)
    statuses = [plane.outcome("e", subject=str(number), metric="m") for number in range(20)]
    assert plane.flush(20)
    total = plane.ledger().total
    assert total.acknowledged == sum(status is not Status.DROPPED for status in statuses) > 0
    assert total.dropped == statuses.count(Status.DROPPED)
    if durability == "processStrict":
        assert total.dropped == 0
    plane.close()


def _composite(*, hung: object) -> Composite:
    assert isinstance(hung, InMemory)
    return Composite(backplanes=(Member(name="well", settings=InMemory()), Member(name="hung", settings=hung)))


def test_one_that_hangs_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    """Of two backplanes one hangs: the other has everything until the memory is full, and what is dropped then is told."""
    settings, gate = gated()
    options = Plane(durability="memory", max_queue_size=100, flush_interval_ms=1, close_timeout_ms=100)
    plane = DataPlane(_composite(hung=settings), plane=options)
    for number in range(500):
        plane.outcome("e", subject=str(number), metric="m")
    kept = plane.ledger().total.published - plane.ledger().total.dropped
    assert 75 <= kept <= 100
    wait_until(lambda: plane.ledger().by_backplane["well"].acknowledged == kept)
    assert plane.ledger().by_backplane["hung"].in_flight == kept
    assert "the queue in memory is full (`maxQueueSize`)" in caplog.text
    plane.close()
    gate.set()
    assert plane.ledger().total.dropped == 500


def test_one_that_hangs_on_disk(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """The same, where the spool is full: the one that is behind may lose what it is owed, the other loses none of it."""
    settings, gate = gated()
    spool = Spool(directory=str(tmp_path / "spool"), max_bytes=MEGABYTE)
    options = Plane(spool=spool, flush_interval_ms=1, close_timeout_ms=100)
    plane = DataPlane(_composite(hung=settings), plane=options)
    until = time.monotonic() + 20
    while plane.ledger().total.dropped < 100 and time.monotonic() < until:
        plane.publish(large(int(time.monotonic() * 1e6), 2000))
        time.sleep(0.001)
    assert plane.ledger().total.dropped >= 100
    used = sum(path.stat().st_size for path in (tmp_path / "spool").rglob("*") if path.is_file())
    assert used < 1.5 * MEGABYTE
    kept = plane.ledger().total.published - plane.ledger().total.dropped
    wait_until(lambda: plane.ledger().by_backplane["well"].acknowledged == kept)
    assert "the spool is full (`spool.maxBytes`)" in caplog.text
    gate.set()
    assert plane.flush(20)
    hung = plane.ledger().by_backplane["hung"]
    assert hung.acknowledged + hung.dropped == kept
    assert hung.acknowledged == plane.ledger().total.acknowledged > 0
    plane.close()


def test_a_line_break_in_raw_json(caplog: pytest.LogCaptureFixture) -> None:
    """It would be two lines in the spool: the event is refused, and the next ones go on."""
    plane = DataPlane(InMemory(), plane=Plane(flush_interval_ms=1))
    raw = msgspec.Raw(b'{"a":\n1}')
    events: Sequence[Outcome] = [Outcome("e", subject="s", metric="m", attributes={"raw": raw})]
    assert [plane.publish(event) for event in events] == [Status.DROPPED]
    assert plane.publish(Outcome("e", subject="s", metric="m"), metadata={"raw": raw}) is Status.DROPPED
    assert "line break" in caplog.text
    assert plane.publish(Outcome("e", subject="s", metric="m"), metadata={"raw": "a\nb"}) is Status.QUEUED
    assert plane.flush(20)
    assert plane.ledger().total.acknowledged == 1
    plane.close()
