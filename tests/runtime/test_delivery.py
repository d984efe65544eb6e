"""What becomes of events between `publish` and their backplanes: restarts, poison, room, identity."""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backplane_runtime import DataPlane, Exposure, Outcome, Status, spooling, upkeep
from backplane_runtime.events import EventType
from backplane_runtime.overflow import PRESSED_FROM, is_kept
from backplane_runtime.settings import PiiRedaction, Plane, Spool, Sqlite
from tests.runtime.scripted import ScriptedBackplane, scripted, wait_until

pytestmark = pytest.mark.runtime_only


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.nodeid)


@pytest.fixture
def quick(tmp_path: Path) -> Plane:
    return Plane(flush_interval_ms=10, close_timeout_ms=200, spool=Spool(directory=str(tmp_path / "spool")))


def outcome(experiment: str = "e", subject: str = "s", **more: Any) -> Outcome:
    return Outcome(experiment, subject=subject, metric="m", **more)


def test_what_a_closed_data_plane_left_is_delivered_by_the_next(name: str, quick: Plane) -> None:
    """Before what the next one publishes itself, with the same ids, and counted as recovered."""
    first, backplane = scripted(name, quick)
    backplane.is_down = True
    for number in range(1200):
        first.publish(outcome(f"old {number}"))
    first.close()
    assert first.ledger().total.spooled == 1200
    assert not backplane.records

    second, backplane = scripted(name, quick)
    second.publish(outcome("new"))
    assert second.flush(20)
    assert backplane.names == [*(f"old {number}" for number in range(1200)), "new"]
    total = second.ledger().total
    assert (total.published, total.recovered, total.acknowledged) == (1201, 1200, 1201)
    assert second.ledger().by_backplane["scripted"].taken == 1201
    second.close()
    assert [*Path(str(quick.spool.directory)).iterdir()] == []


def test_start_delivers_without_an_event(name: str, quick: Plane) -> None:
    """A service that publishes rarely need not keep what its predecessor left."""
    first, backplane = scripted(name, quick)
    backplane.is_down = True
    first.publish(outcome("old"))
    first.close()
    second, backplane = scripted(name, quick)
    second.start()
    assert wait_until(lambda: backplane.names == ["old"])
    second.close()


def test_a_backplane_that_sends_elsewhere_does_not_get_what_was_spooled(
    name: str, quick: Plane, caplog: pytest.LogCaptureFixture
) -> None:
    """It stays on disk, and the log says for whom."""
    first, backplane = scripted(name, quick)
    backplane.is_down = True
    first.publish(outcome("for the first"))
    first.close()
    second, other = scripted(name + " elsewhere", quick)
    second.publish(outcome("for the second"))
    assert second.flush(20)
    second.close()
    assert other.names == ["for the second"]
    assert (
        "holds 1 events for `scripted` (scripted), which this data plane does not have, or sends elsewhere"
        in caplog.text
    )
    assert len([*Path(str(quick.spool.directory)).iterdir()]) == 1


def test_what_was_acknowledged_before_a_restart_is_not_sent_again(name: str, quick: Plane) -> None:
    """The cursor is on disk, not in memory."""
    first, backplane = scripted(name, quick)
    first.publish(outcome("sent"))
    assert first.flush(20)
    backplane.is_down = True
    first.publish(outcome("left"))
    first.close()
    second, backplane = scripted(name, quick)
    assert second.flush(20)
    assert backplane.names == ["left"]
    second.close()


@pytest.mark.parametrize(
    ("culprit", "reason"), [("stuck", "not taken, though others are"), ("bug", "ZeroDivisionError")]
)
def test_one_event_that_is_never_taken_does_not_hold_up_the_rest(
    name: str, quick: Plane, culprit: str, reason: str
) -> None:
    """It is set aside with its reason after some attempts, and those of other backplanes' making go on."""
    plane, backplane = scripted(name, quick)
    for one in ("a", culprit, "b"):
        plane.publish(outcome(one))
    published = 2
    while not plane.flush(0.3):  # alone, an event proves nothing: beside others, its attempts count
        plane.publish(outcome("later"))
        published += 1
        assert published < 200
    assert Counter(backplane.names) - Counter({culprit: 99}) == Counter(["a", "b", *["later"] * (published - 2)])
    counts = plane.ledger().by_backplane["scripted"]
    assert (counts.acknowledged, counts.dropped, counts.set_aside) == (published, 1, 1)
    plane.close()
    (aside,) = Path(str(quick.spool.directory)).glob("*/set-aside.jsonl")
    assert reason in aside.read_text(encoding="utf-8")


def test_a_backplane_that_takes_a_part_at_a_time_takes_all(name: str, quick: Plane) -> None:
    """Slowness is no fault of the events behind: whatever comes behind them has not been taken either."""
    plane, backplane = scripted(name, quick)
    backplane.at_most = 1
    for number in range(20):
        plane.publish(outcome(f"e{number}"))
    assert plane.flush(20)
    assert plane.ledger().by_backplane["scripted"].dropped == 0
    assert [batch[0].experiment for batch in backplane.batches] == [f"e{number}" for number in range(20)]
    plane.close()


@pytest.mark.parametrize("torn", ["tell", "kept"])
def test_a_fault_of_our_own_costs_no_event(name: str, quick: Plane, torn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was in the hand is sent again before anything else is read: the cursor would pass it."""
    plane, backplane = scripted(name, quick)
    backplane.slow = ["a"]
    fates, faults = plane._delivery.lanes[0].fates, [OSError("full"), ZeroDivisionError()]
    works = getattr(fates, torn)

    def fail(*args: Any) -> Any:
        if faults:
            raise faults.pop()
        return works(*args)

    monkeypatch.setattr(fates, torn, fail)
    for one in "abc":
        plane.publish(outcome(one))
    assert plane.flush(20)
    plane.publish(outcome("d"))
    assert plane.flush(20)
    assert set(backplane.names) == set("abcd")
    assert backplane.names.count("a") >= 2
    assert plane.ledger().total.acknowledged == 4
    plane.close()


def test_an_outage_is_no_reason_to_set_events_aside(name: str, quick: Plane) -> None:
    """However long: what was not taken when half of a batch was, is sent again when the server is back."""
    plane, backplane = scripted(name, quick)
    backplane.slow, backplane.goes_down_when_slow = ["b"], True
    plane.publish(outcome("a"))
    plane.publish(outcome("b"))
    assert wait_until(lambda: backplane.is_down)
    assert not plane.flush(3)
    backplane.is_down = False
    assert plane.flush(30)
    assert backplane.names[-1] == "b"
    assert plane.ledger().by_backplane["scripted"].dropped == 0
    plane.close()


def test_a_batch_is_bounded_in_bytes(name: str, quick: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server refuses what is much too large, for ever."""
    monkeypatch.setattr("backplane_runtime.lane.BATCH_BYTES", 3000)
    plane, backplane = scripted(name, quick)
    for number in range(20):
        plane.publish(outcome(f"e{number}", attributes={"x": "y" * 1000}))
    assert plane.flush(20)
    assert backplane.names == [f"e{number}" for number in range(20)]
    assert max(map(len, backplane.batches)) == 2
    plane.close()


def test_memory_is_bounded_in_bytes(name: str) -> None:
    """Also by few events that are large."""
    options = Plane(durability="memory", max_queue_bytes=1 << 20, flush_interval_ms=10, close_timeout_ms=100)
    plane, backplane = scripted(name, options)
    backplane.is_down = True
    statuses = Counter(plane.publish(outcome(attributes={"x": "y" * 100_000})) for _ in range(50))
    assert 3 <= statuses[Status.QUEUED] <= 10
    assert statuses[Status.DROPPED] == 50 - statuses[Status.QUEUED]
    backplane.is_down = False
    assert plane.flush(20)
    assert plane.publish(outcome(attributes={"x": "y" * 100_000})) is Status.QUEUED
    plane.close()


@pytest.mark.parametrize("where", ["metadata", "correlation"])
def test_what_stands_beside_the_payload_counts_too(name: str, where: str) -> None:
    """It is held in the same memory."""
    options = Plane(durability="memory", max_queue_bytes=4 << 20, flush_interval_ms=10, close_timeout_ms=100)
    plane, backplane = scripted(name, options)
    backplane.is_down = True
    beside: dict[str, Any] = {"metadata": {"x": "y" * 100_000}, "correlation": "y" * 100_000}
    statuses = Counter(plane.publish(outcome(), **{where: beside[where]}) for _ in range(100))
    assert 10 <= statuses[Status.QUEUED] <= 40
    assert statuses[Status.DROPPED] == 100 - statuses[Status.QUEUED]
    plane.close()


def test_what_overflows_in_bytes_is_chosen_by_subject(name: str) -> None:
    """From three quarters full on, as it is where there are too many."""
    options = Plane(durability="memory", max_queue_bytes=16 << 20, close_timeout_ms=100)
    plane, backplane = scripted(name, options)
    backplane.is_down = True
    large = {"x": "y" * 10_000}
    kept: list[Status] = []
    for number in range(2400):
        kept.append(plane.publish(outcome(subject=f"user-{number}", attributes=large)))
        assert number % 20 or plane._delivery.writer.save(20)  # what the queue holds takes other room than the log
    first = kept.index(Status.DROPPED)
    assert 1400 < first < 1500  # of some 1,600 that there is room for
    assert 100 < kept[first:].count(Status.QUEUED) < 200
    plane.close()


def test_what_overflows_is_chosen_by_subject(name: str) -> None:
    """Not by the time of arrival: a variant whose events come late, or come more often, loses no more subjects."""
    options = Plane(durability="memory", max_queue_size=4000, close_timeout_ms=100)
    plane, backplane = scripted(name, options)
    backplane.is_down = True
    kept: dict[str, set[bool]] = {}
    for number in range(12_000):
        subject = f"user-{number % 3000}"  # the first 3,000 find room, then ever fewer do
        status = plane.exposure("e", "blue" if number % 2 else "red", subject=subject)
        if number >= 6000:
            kept.setdefault(subject, set()).add(status is Status.QUEUED)
    by_variant = {one.variant: one.counts for one in plane.ledger().by_variant}
    assert abs(by_variant["red"].dropped - by_variant["blue"].dropped) < 250
    assert by_variant["red"].dropped + by_variant["blue"].dropped == 12_000 - plane.ledger().total.in_flight
    assert 3000 < plane.ledger().total.in_flight <= 4000
    plane.close()


def test_the_share_that_is_kept_falls_evenly() -> None:
    """From all at three quarters to none when it is full; whoever is kept at one fill is kept at every lower one."""
    subjects = [f"user-{number}" for number in range(4000)]
    assert all(is_kept(subject, PRESSED_FROM) for subject in subjects)
    assert not any(is_kept(subject, 1.0) for subject in subjects)
    shares = [{subject for subject in subjects if is_kept(subject, fill)} for fill in (0.8, 0.875, 0.95)]
    assert shares[0] > shares[1] > shares[2]
    assert [round(len(share) / len(subjects), 1) for share in shares] == [0.8, 0.5, 0.2]
    assert is_kept(None, 0.99)


def test_a_full_spool_drops_and_says_so(name: str, quick: Plane, caplog: pytest.LogCaptureFixture) -> None:
    """It never grows beyond its bound, and takes events again when there is room."""
    small = Spool(directory=quick.spool.directory, max_bytes=1 << 20)
    plane, backplane = scripted(name, msgspec.structs.replace(quick, spool=small))
    backplane.is_down = True
    for number in range(3000):
        plane.publish(outcome(subject=f"s{number}", attributes={"x": "y" * 1000}))
        if number % 100 == 0:
            wait_until(lambda: not plane._queue)
    assert plane.ledger().total.dropped > 1000
    assert "the spool is full (`spool.maxBytes`)" in caplog.text
    held = sum(path.stat().st_size for path in Path(str(quick.spool.directory)).rglob("*") if path.is_file())
    assert held < 1.3 * (1 << 20)
    backplane.is_down = False
    assert plane.flush(30)
    assert wait_until(lambda: plane.publish(outcome(subject="again")) is Status.QUEUED)
    plane.close()


def test_a_spool_that_cannot_be_is_replaced_by_memory(
    name: str, quick: Plane, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events are delivered all the same, health says it, and the disk is used again when it can be."""
    monkeypatch.setattr(spooling, "REOPEN_SECONDS", 0.05)
    (tmp_path / "spool").write_text("a file in the folder's place", encoding="utf-8")
    plane, backplane = scripted(name, quick)
    plane.publish(outcome("a"))
    assert plane.flush(20)
    assert plane.health().memory_only
    assert "the spool cannot be written" in plane.health().message
    assert "held in memory only" in caplog.text
    (tmp_path / "spool").unlink()
    assert wait_until(lambda: not plane.health().memory_only)
    backplane.is_down = True
    plane.publish(outcome("b"))
    plane.close()
    assert plane.ledger().total.spooled == 1
    assert backplane.names == ["a"]


def rows(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT EventId, PayloadJson FROM ExperimentEvents").fetchall()


def first_use(folder: Path, **more: Any) -> Plane:
    return Plane(exposure_semantics="onFirstUse", spool=Spool(directory=str(folder / "spool")), **more)


def test_a_first_use_is_one_row_whoever_saw_it(tmp_path: Path) -> None:
    """Two processes, a hook that fires twice, a replay: the id is made of what the exposure says."""
    path = tmp_path / "events.db"
    for _ in range(2):
        with DataPlane(Sqlite(path=str(path)), plane=first_use(tmp_path)) as plane:
            plane.exposure("e", "blue", subject="u", tenant="t")
            plane.publish(Exposure("e", "blue", subject="u", tenant="t", timestamp="2026-01-31T23:59:59Z"))
            plane.exposure("e", "red", subject="u", tenant="t")
            plane.publish(outcome())
            assert plane.flush(20)
    assert len(rows(path)) == 2 + 2
    ids = [event_id for event_id, payload in rows(path) if "variantKey" in payload]
    assert all(one[14] == "8" and one[19] in "89ab" for one in ids)  # RFC 9562, a UUID of version 8


def test_the_quick_and_the_careful_way_make_the_same_id(tmp_path: Path) -> None:
    """Whether an exposure has attributes or a correlation is no part of what it is."""
    path = tmp_path / "events.db"
    for event, metadata in (
        (Exposure("e", "v", subject="u"), None),
        (Exposure("e", "v", subject="u", attributes={"page": "/"}), None),
        (Exposure("e", "v", subject="u"), {"a": 1}),
    ):
        with DataPlane(Sqlite(path=str(path)), plane=first_use(tmp_path)) as plane:
            assert plane.publish(event, metadata=metadata) is Status.QUEUED
            assert plane.flush(20)
    assert len(rows(path)) == 1


@pytest.mark.parametrize("mode", ["mask", "drop", "pseudonymize"])
def test_hidden_subjects_do_not_become_one(tmp_path: Path, mode: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all of them look alike, ids are not made of them; a pseudonym tells them apart, and only with its key."""
    monkeypatch.setenv("PII_KEY", "key")
    path = tmp_path / "events.db"
    redaction = PiiRedaction(redact_subject_ids=True, mode=mode, key_ref="${env:PII_KEY}")
    for _ in range(2):
        with DataPlane(Sqlite(path=str(path)), plane=first_use(tmp_path, pii_redaction=redaction)) as plane:
            for subject in ("u1", "u2", "u3"):
                plane.exposure("e", "v", subject=subject)
            assert plane.flush(20)
    assert len(rows(path)) == (3 if mode == "pseudonymize" else 6)


def test_the_ledger_is_published_each_minute(name: str, quick: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is asked for, as an analysis signal for each experiment; what they say adds up."""
    monkeypatch.setattr(upkeep, "MINUTE_SECONDS", 0.3)
    plane, backplane = scripted(name, msgspec.structs.replace(quick, ledger_signals=True))
    for _ in range(10):
        plane.publish(outcome("checkout", variant="blue"))
    assert wait_until(lambda: EventType.ANALYSIS_SIGNAL in {one.event_type for one in backplane.records})
    signals = [one for one in backplane.records if one.event_type is EventType.ANALYSIS_SIGNAL]
    told = msgspec.json.decode(signals[0].payload)
    assert told["experimentName"] == "checkout"
    assert told["data"]["ledger"]["outcome"]["blue"]["published"] == 10
    plane.close()


def test_what_the_disk_damages_is_counted_as_dropped(name: str, quick: Plane, caplog: pytest.LogCaptureFixture) -> None:
    """And said, and the rest is delivered; the counts add up also in a process that is well."""
    quick = msgspec.structs.replace(quick, batch_size=1)  # what a lane has read is not damaged any more
    plane, backplane = scripted(name, quick)
    backplane.is_down = True
    for number in range(30):
        plane.publish(outcome(f"e{number}"))
        assert wait_until(lambda: not plane._queue)  # a frame each, or nearly so
        if number == 1:  # the lane has its hands full, and looks at no more of the file until it is damaged
            assert wait_until(lambda: len(plane._delivery.lanes[0]._hand) == 2)
    (segment,) = Path(str(quick.spool.directory)).glob("*/*.seg")
    damaged = bytearray(segment.read_bytes())
    place = damaged.index(b'"e15"')
    damaged[place + 1] ^= 1
    segment.write_bytes(damaged)
    backplane.is_down = False
    assert plane.flush(30)
    assert wait_until(lambda: plane.ledger().total.dropped > 0)
    total = plane.ledger().total
    assert (total.published, total.spooled) == (30, 0)
    assert total.acknowledged == len(backplane.names) == 30 - total.dropped
    assert "e15" not in backplane.names
    counts = plane.ledger().by_backplane["scripted"]
    assert (counts.acknowledged, counts.dropped, counts.in_flight) == (total.acknowledged, total.dropped, 0)
    assert "are lost: the disk damaged them" in caplog.text
    plane.close()


def test_a_receipt_tells_that_the_event_is_on_disk_and_that_it_was_acknowledged(name: str, quick: Plane) -> None:
    """Each when it is so."""
    plane, backplane = scripted(name, quick)
    backplane.is_down = True
    receipt = plane.publish(outcome(), receipt=True)
    assert receipt.status is Status.QUEUED
    assert receipt.spooled.result(10) is Status.SPOOLED
    assert not receipt.acknowledged.done()
    backplane.is_down = False
    assert receipt.acknowledged.result(30) is Status.ACKNOWLEDGED
    refused = plane.publish(outcome("poison"), receipt=True)
    assert refused.acknowledged.result(10) is Status.DROPPED
    backplane.is_down = True
    left = plane.publish(outcome(), receipt=True)
    plane.close()
    assert left.acknowledged.result(1) is Status.SPOOLED
    late = plane.publish(outcome(), receipt=True)
    assert (late.status, late.spooled.result(1)) == (Status.DROPPED, Status.DROPPED)


def test_delivery_says_how_it_is(name: str, quick: Plane) -> None:
    """The age of the oldest event that waits, the last acknowledgement, the last error, the bytes on disk."""
    plane, backplane = scripted(name, quick)
    plane.publish(outcome())
    assert plane.flush(20)
    details = plane.health().backplanes["scripted"].details
    assert details["lastAcknowledged"].endswith("Z")
    assert "oldestSeconds" not in details
    backplane.is_down = True
    plane.publish(outcome())
    assert wait_until(lambda: plane.health().backplanes["scripted"].details.get("oldestSeconds", 0) > 0.2)
    health = plane.health()
    assert health.backplanes["scripted"].details["lastError"] == "nobody is there"
    assert health.spool is not None
    assert health.spool.directory == quick.spool.directory
    assert health.spool.held_bytes > 200
    plane.close()


def test_nothing_is_logged_where_all_is_well(name: str, quick: Plane, caplog: pytest.LogCaptureFixture) -> None:
    """Neither at the start nor at the end."""
    with caplog.at_level(logging.INFO):
        plane, _ = scripted(name, quick)
        plane.publish(outcome())
        assert plane.flush(20)
        plane.close()
    assert caplog.records == []
    assert ScriptedBackplane.by_key[name].batches[-1] == []  # it was closed
