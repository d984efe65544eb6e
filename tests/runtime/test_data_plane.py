"""The data plane as an application sees it."""

import asyncio
import logging
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backplane_runtime import (
    DataPlane,
    Exposure,
    InvalidEventError,
    Outcome,
    PublishError,
    Status,
    delivery,
)
from backplane_runtime.events import Event, EventType
from backplane_runtime.ledger import Counts, LedgerView
from backplane_runtime.settings import Composite, InMemory, Member, Plane, Spool
from backplane_runtime.testing import capture_events
from tests.runtime.scripted import Scripted, ScriptedBackplane, scripted, wait_until

pytestmark = pytest.mark.runtime_only

QUICK = Plane(flush_interval_ms=10, close_timeout_ms=300, durability="memory")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.nodeid)


def outcome(experiment: str = "e") -> Outcome:
    return Outcome(experiment, subject="s", metric="m")


def law_holds(view: LedgerView) -> bool:
    counts = [view.total, *view.by_type.values()]
    lanes = view.by_backplane.values()
    return all(one.is_lawful for one in counts) and all(
        one.taken == one.in_flight + one.acknowledged + one.dropped for one in lanes
    )


def test_the_tour_of_the_interface() -> None:
    """The calls of the interface page, in its order."""
    with DataPlane(InMemory()) as plane:
        assert (
            plane.exposure("checkout-button", "blue", subject="user-42", tenant="acme", reason="rule:beta")
            is Status.QUEUED
        )
        assert plane.outcome("checkout-button", subject="user-42", metric="revenue", value=19.99) is Status.QUEUED
        assert plane.publish(Outcome("checkout-button", subject="user-42", metric="purchase")) is Status.QUEUED
        assert plane.assignment("checkout-button", "red", "blue", subject="user-42") is Status.QUEUED
        assert plane.signal("checkout-button", "custom", "look here") is Status.QUEUED
        assert plane.error("checkout-button", "ValueError", "it broke") is Status.QUEUED
        assert plane.flush(timeout=5.0)
        assert plane.health().healthy
        assert not plane.health().memory_only
        assert plane.ledger().total.acknowledged == 6


def test_opening_starts_no_thread(tmp_path: Path) -> None:
    """Nor does it import a client."""
    before = threading.active_count()
    plane = DataPlane(InMemory())
    assert threading.active_count() == before
    plane.publish(outcome())
    assert threading.active_count() == before + 3  # the writer, upkeep, and one for the backplane
    plane.close()
    assert threading.active_count() == before


def test_sampled_events_carry_their_rate() -> None:
    """What is downstream has to weigh them."""
    with capture_events(Plane(sampling_rate=0.999999)) as captured:
        captured.plane.publish(outcome(), metadata={"service": "shop"}, correlation="r-1")
        captured.plane.signal("e", "custom", "m")
        first, second = captured.envelopes()
        assert first.metadata == {"service": "shop", "samplingRate": 0.999999}
        assert first.correlation_id == "r-1"
        assert second.metadata is None


def test_repeats_are_counted() -> None:
    """Under `onFirstUse`."""
    with capture_events(Plane(exposure_semantics="onFirstUse")) as captured:
        event = Exposure("e", "v", subject="s")
        assert [captured.plane.publish(event) for _ in range(3)] == [Status.QUEUED, Status.DUPLICATE, Status.DUPLICATE]
        assert captured.plane.ledger().total.duplicate == 2
        assert len(captured.payloads(EventType.EXPOSURE)) == 1


def test_an_invalid_event_is_dropped_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It never raises, and ten thousand of them are one line."""
    with DataPlane(InMemory()) as plane:
        bad = Outcome("e", subject="s", metric="m", attributes={"x": object()})
        assert {plane.publish(bad) for _ in range(100)} == {Status.DROPPED}
        assert plane.ledger().total.dropped == 100
    assert len([record for record in caplog.records if "dropped" in record.message]) == 1


def test_strict_raises() -> None:
    """In tests, a lost event is an error."""
    plane = DataPlane(InMemory(), strict=True)
    with pytest.raises(InvalidEventError, match=r"Outcome cannot be published.*subjectId"):
        plane.publish(Outcome("e", subject=1, metric="m"))  # type: ignore[arg-type]  # the mistake under test
    plane.close()
    with pytest.raises(PublishError):
        plane.publish(outcome())
    assert law_holds(plane.ledger())


def test_a_log_handler_that_raises_does_not_reach_the_caller() -> None:
    """Nor is the event counted twice."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError(record.msg)

    handler = Broken()
    logging.getLogger("backplane").addHandler(handler)
    try:
        plane = DataPlane(InMemory())
        plane.close()
        assert plane.publish(outcome()) is Status.DROPPED
        assert plane.publish(Outcome("", subject="s", metric="m")) is Status.DROPPED
    finally:
        logging.getLogger("backplane").removeHandler(handler)
    assert plane.ledger().total.published == plane.ledger().total.dropped == 2


def test_what_is_no_event_is_counted_and_said_with_its_line(caplog: pytest.LogCaptureFixture) -> None:
    """A wrong argument is a mistake of the program, and no reason to fail a request; in tests it is raised."""
    wrong: Any = {"experimentName": "e"}
    with DataPlane(InMemory()) as plane:
        assert plane.publish(wrong) is Status.DROPPED
        assert plane.publish(Event("e")) is Status.DROPPED
        assert plane.exposure("e") is Status.DROPPED  # type: ignore[call-arg]  # the mistake under test
        assert plane.ledger().total.dropped == plane.ledger().total.published == 3
        assert plane.ledger().by_type[EventType.EXPOSURE].dropped == 1
    (said,) = [record.message for record in caplog.records]
    assert "publish takes an event such as `Exposure(…)`, not dict" in said
    assert "test_data_plane.py:" in said
    with DataPlane(InMemory(), strict=True) as plane:
        with pytest.raises(TypeError):
            plane.publish(wrong)
        with pytest.raises(TypeError):
            plane.exposure("e")  # type: ignore[call-arg]  # the mistake under test


def test_the_receipt_of_what_is_no_event_ends() -> None:
    """Whoever waits for it would wait for ever."""
    with DataPlane(InMemory()) as plane:
        nothing: Any = "checkout-button"
        receipt = plane.publish(nothing, receipt=True)
        assert receipt.status is Status.DROPPED
        assert receipt.spooled.result(0) is receipt.acknowledged.result(0) is Status.DROPPED


def test_publish_after_close(caplog: pytest.LogCaptureFixture) -> None:
    """Counted, logged, not raised; and closing again is nothing."""
    plane = DataPlane(InMemory())
    plane.publish(outcome())
    plane.close()
    plane.close()
    assert plane.publish(outcome()) is Status.DROPPED
    assert (plane.ledger().total.acknowledged, plane.ledger().total.dropped) == (1, 1)
    assert "closed" in caplog.text


def test_a_partial_batch_goes_after_the_interval(name: str) -> None:
    """Without a flush."""
    plane, backplane = scripted(name, QUICK)
    plane.publish(outcome("one"))
    deadline = time.monotonic() + 5
    while not backplane.names and time.monotonic() < deadline:
        time.sleep(0.005)
    assert backplane.names == ["one"]
    plane.close()


def test_batches_are_bounded_and_in_order(name: str) -> None:
    """By count."""
    plane, backplane = scripted(name, Plane(batch_size=10, flush_interval_ms=60_000))
    names = [f"e{number}" for number in range(25)]
    for one in names:
        plane.publish(outcome(one))
    assert plane.flush()
    plane.close()
    assert backplane.names == names
    assert max(map(len, backplane.batches)) <= 10


def test_a_dead_backplane_is_retried_and_nothing_is_lost(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Once, in order, when it is back; health says why it waits."""
    plane, backplane = scripted(name, QUICK)
    backplane.is_down = True
    for one in "abc":
        plane.publish(outcome(one))
    assert not plane.flush(timeout=0.3)
    health = plane.health()
    assert not health.healthy
    assert health.backplanes["scripted"].details["lastError"] == "nobody is there"
    assert plane.ledger().total.in_flight == 3
    backplane.is_down = False
    assert plane.flush(timeout=15)
    assert backplane.names == ["a", "b", "c"]
    plane.close()
    assert len([record for record in caplog.records if "takes no events" in record.message]) == 1


def test_a_full_queue_drops_the_newest_and_says_so(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Never silently."""
    plane, backplane = scripted(name, msgspec.structs.replace(QUICK, max_queue_size=3))
    backplane.gate.clear()
    statuses = [plane.publish(outcome(str(number))) for number in range(5)]
    assert statuses == [Status.QUEUED] * 3 + [Status.DROPPED] * 2
    backplane.gate.set()
    assert plane.flush()
    assert backplane.names == ["0", "1", "2"]
    assert plane.publish(outcome()) is Status.QUEUED
    plane.close()
    assert plane.ledger().total.dropped == 2
    assert "maxQueueSize" in caplog.text


def test_a_dropped_first_exposure_does_not_suppress_the_next(name: str) -> None:
    """It would be lost for good."""
    plane, backplane = scripted(name, msgspec.structs.replace(QUICK, max_queue_size=1, exposure_semantics="onFirstUse"))
    backplane.gate.clear()
    exposure = Exposure("e", "v", subject="s")
    assert plane.publish(outcome()) is Status.QUEUED
    assert plane.publish(exposure) is Status.DROPPED
    backplane.gate.set()
    assert plane.flush()
    assert [plane.publish(exposure), plane.publish(exposure)] == [Status.QUEUED, Status.DUPLICATE]
    plane.close()


def test_only_what_was_not_stored_is_sent_again(name: str) -> None:
    """And nothing overtakes it in the next batch."""
    plane, backplane = scripted(name, msgspec.structs.replace(QUICK, batch_size=3))
    backplane.slow = ["b"]
    for one in "abcd":
        plane.publish(outcome(one))
    assert plane.flush()
    assert backplane.names == ["a", "b", "c", "b", "d"]
    assert plane.ledger().total.acknowledged == 4
    assert plane.ledger().by_backplane["scripted"].acknowledged == 4
    assert law_holds(plane.ledger())
    plane.close()


def test_block_waits_for_room_until_its_deadline(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And then drops."""
    monkeypatch.setattr(delivery, "BLOCK_SECONDS", 0.2)
    plane, backplane = scripted(name, msgspec.structs.replace(QUICK, max_queue_size=1, failure_mode="block"))
    backplane.gate.clear()
    assert plane.publish(outcome("first")) is Status.QUEUED
    started = time.monotonic()
    assert plane.publish(outcome("dropped")) is Status.DROPPED
    assert time.monotonic() - started >= 0.19
    threading.Timer(0.05, backplane.gate.set).start()
    assert plane.publish(outcome("second")) is Status.QUEUED
    plane.close()
    assert backplane.names == ["first", "second"]


def test_poison_is_dropped_with_its_reason(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """And does not hold up what comes after it."""
    plane, _ = scripted(name, QUICK)
    for one in ("a", "poison", "b"):
        plane.publish(outcome(one))
    assert plane.flush()
    total = plane.ledger().total
    assert (total.acknowledged, total.dropped) == (2, 1)
    plane.close()
    assert "rejected an event, which was dropped: poison" in caplog.text


def composite(name: str) -> tuple[DataPlane, ScriptedBackplane, ScriptedBackplane]:
    members = (
        Member(name="all", settings=Scripted(key=name + "/all")),
        Member(name="some", settings=Scripted(key=name + "/some"), events=(EventType.EXPOSURE, EventType.OUTCOME)),
    )
    plane = DataPlane(Composite(members), plane=QUICK)
    return plane, ScriptedBackplane.by_key[name + "/all"], ScriptedBackplane.by_key[name + "/some"]


def test_a_dead_member_does_not_hold_up_the_others(name: str) -> None:
    """An event counts as acknowledged when all that take it have it."""
    plane, everything, some = composite(name)
    some.is_down = True
    plane.publish(outcome("o"))
    plane.error("x", "t", "m")
    assert not plane.flush(timeout=0.3)
    assert everything.names == ["o", "x"]
    view = plane.ledger()
    assert (view.total.acknowledged, view.total.in_flight) == (1, 1)
    assert view.by_backplane["all"].acknowledged == 2
    assert law_holds(view)
    some.is_down = False
    assert plane.flush(timeout=15)
    assert some.names == ["o"]
    assert plane.ledger().total.acknowledged == 2
    plane.close()


def test_close_waits_no_longer_than_its_time_and_counts_the_loss(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """A hanging server cannot keep a process."""
    plane, backplane = scripted(name, QUICK)
    plane.publish(outcome("in hand"))
    backplane.gate.clear()
    for _ in range(4):
        plane.publish(outcome())
    time.sleep(0.05)
    started = time.monotonic()
    plane.close()
    assert time.monotonic() - started < 1.5
    lost = plane.ledger().total.dropped
    assert lost >= 4
    assert f"{lost} undelivered events are lost" in caplog.text
    backplane.gate.set()  # what the hanging call brings now, comes too late to be counted again
    time.sleep(0.1)
    assert plane.ledger().total.dropped == lost
    assert plane.ledger().by_backplane["scripted"].in_flight == 0
    assert law_holds(plane.ledger())


def test_health_answers_within_its_time(name: str) -> None:
    """Also when a backplane does not."""
    plane, backplane = scripted(name, QUICK)
    backplane.gate.clear()
    started = time.monotonic()
    health = plane.health(timeout=0.2)
    assert time.monotonic() - started < 1
    assert (health.healthy, health.message) == (False, "scripted: no answer within 0.2 s")
    backplane.gate.set()


def test_async_twins_do_not_block_the_loop(name: str) -> None:
    """While `aflush` waits, the loop runs."""
    plane, backplane = scripted(name, QUICK)
    backplane.gate.clear()

    async def main() -> tuple[bool, bool]:
        async with plane:
            plane.publish(outcome())
            waiting = asyncio.create_task(plane.aflush(timeout=5))
            await asyncio.sleep(0.05)
            was_free = not waiting.done()
            backplane.gate.set()
            return was_free and await waiting, (await plane.ahealth()).healthy

    assert asyncio.run(main()) == (True, True)


@pytest.mark.parametrize("durability", ["memory", "process", "processStrict", "host"])
def test_the_law_holds_at_every_moment(name: str, durability: Any) -> None:
    """Eight threads publish all kinds of fates while another looks."""
    plane = Plane(
        max_queue_size=50,
        batch_size=7,
        flush_interval_ms=1,
        sampling_rate=0.9,
        exposure_semantics="onFirstUse",
        durability=durability,
    )
    data_plane, backplane = scripted(name, msgspec.structs.replace(plane, enable_error_events=False))
    views: list[LedgerView] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            views.append(data_plane.ledger())

    def publish(seed: int) -> None:
        for number in range(300):
            backplane.is_down = number % 50 < 5
            data_plane.exposure("e", "v", subject=f"s{number % 40}")
            data_plane.publish(outcome("poison" if number % 11 == seed else "e"))
            data_plane.error("e", "t", "m")
            data_plane.outcome("", subject=f"x{number}", metric="m")

    watcher = threading.Thread(target=watch)
    watcher.start()
    publishers = [threading.Thread(target=publish, args=(seed,)) for seed in range(8)]
    for thread in publishers:
        thread.start()
    for thread in publishers:
        thread.join()
    backplane.is_down = False
    data_plane.flush(60)
    data_plane.close()
    stop.set()
    watcher.join()
    last = data_plane.ledger()
    assert all(law_holds(view) for view in [*views, last])
    assert all(a.total.published <= b.total.published for a, b in pairwise(views))
    assert last.total.published == 8 * 300 * 4
    assert last.total.in_flight == last.total.spooled == 0
    assert min(last.total.sampled_out, last.total.duplicate, last.total.disabled, last.total.dropped) > 0


def test_a_count_below_zero_is_against_the_law() -> None:
    """It balances, though an event left a fate which it never had."""
    assert Counts(published=1, acknowledged=1).is_lawful
    assert not Counts(published=1, acknowledged=2).is_lawful
    assert not Counts(published=1, spooled=-1, acknowledged=2).is_lawful


def test_what_is_left_at_exit_is_sent() -> None:
    """By a program that forgets to close."""
    code = """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(message)s")
from backplane_runtime import DataPlane
from backplane_runtime.settings import Logging
plane = DataPlane(Logging(format="text"))
for number in range(1000):
    plane.outcome(f"e{number}", subject="s", metric="m")
del plane
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert len(done.stdout.splitlines()) == 1000
    assert not done.stderr


@pytest.mark.parametrize("durability", ["memory", "process"])
def test_a_dead_member_takes_no_room_from_the_others(name: str, durability: Any, tmp_path: Path) -> None:
    """Where the room is full, the one that is far behind loses its oldest events, and the others none."""
    members = [Member(name=key, settings=Scripted(key=name + key)) for key in ("well", "dead")]
    room = Plane(
        flush_interval_ms=10,
        close_timeout_ms=300,
        durability=durability,
        max_queue_size=400,
        batch_size=50,
        spool=Spool(directory=str(tmp_path), max_bytes=1 << 20),
    )
    plane = DataPlane(Composite(members), plane=room)
    well, dead = (ScriptedBackplane.by_key[name + key] for key in ("well", "dead"))
    dead.is_down = True
    wide = {"text": "x" * 2000}
    for number in range(3000):
        status = plane.outcome(f"e{number}", subject=f"s{number}", metric="m", attributes=wide)
        assert status is Status.QUEUED, number
        if number % 50 == 49:
            assert wait_until(lambda: len(well.names) > number)  # noqa: B023 - called at once
            time.sleep(0.1)  # room is freed by and by
    assert len(well.names) == 3000
    assert wait_until(lambda: plane.ledger().by_backplane["dead"].dropped > 100)
    dead.is_down = False
    assert plane.flush(30)
    view = plane.ledger()
    assert view.by_backplane["well"].dropped == 0
    assert view.by_backplane["dead"].acknowledged == len(dead.names) > 0
    assert dead.names[-1] == "e2999"
    assert law_holds(view)
    plane.close()
