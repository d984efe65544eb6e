"""Appending, reading, settling, releasing, closing."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from backplane_runtime.spool import SpoolLog, SpoolOptions, usage
from tests.runtime.spool.spools import KAFKA, ONE, SMALL, SQL, adopted, die, lines, numbered, put, read_all, segments

pytestmark = pytest.mark.runtime_only


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SpoolLog]:
    log = SpoolLog.create(tmp_path / "spool", ONE)
    yield log
    log.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SpoolLog]:
    log = SpoolLog.create(tmp_path / "spool", SMALL)
    yield log
    log.close()


def test_events_come_back_as_they_were_with_numbers_from_one(log: SpoolLog) -> None:
    """Batches of the writer and of the reader have nothing to do with each other."""
    put(log, 3)
    put(log, 4)
    reader = log.reader("kafka")
    assert reader.read(5, 10_000) == numbered(1, 5)
    assert reader.read(5, 10_000) == numbered(6, 2)
    assert reader.read(5, 10_000) == []
    assert (log.end, log.appended, reader.position, reader.skipped) == (8, 8, 1, 0)


def test_what_is_not_committed_is_not_seen(log: SpoolLog) -> None:
    """Also not by a reader that waits behind what is committed."""
    put(log, 1)
    reader = log.reader("kafka")
    assert read_all(reader) == numbered(1, 1)
    log.append(lines(2, 2))
    assert (log.end, log.appended) == (2, 4)
    assert reader.read(10, 10_000) == []
    log.commit()
    assert reader.read(10, 10_000) == numbered(2, 2)


def test_a_batch_is_bounded_in_bytes_but_holds_one_event(log: SpoolLog) -> None:
    """An event that is larger than a batch may be goes alone."""
    put(log, 10, pad=100)
    reader = log.reader("kafka")
    size = len(lines(1, 1, pad=100)[0])
    assert reader.read(10, 3 * size) == numbered(1, 3, pad=100)
    assert reader.read(10, 3 * size - 1) == numbered(4, 2, pad=100)
    assert reader.read(10, 1) == numbered(6, 1, pad=100)


def test_a_batch_is_bounded_in_bytes_across_frames(log: SpoolLog) -> None:
    """What was taken of one frame counts when the next one is taken."""
    for _ in range(4):
        put(log, 2, pad=100)
    size = len(lines(1, 1, pad=100)[0])
    assert log.reader("kafka").read(10, 5 * size) == numbered(1, 5, pad=100)


def test_a_large_batch_is_several_frames_and_reads_as_one(log: SpoolLog) -> None:
    """A reader holds a megabyte or so, however much was appended at once."""
    put(log, 3000, pad=1000)
    assert segments(log.path)[0].read_bytes().count(b"\xffBP") >= 3
    assert read_all(log.reader("kafka")) == numbered(1, 3000, pad=1000)


def test_an_event_that_is_no_line_is_refused(log: SpoolLog) -> None:
    """It would come back as two."""
    with pytest.raises(ValueError, match="newline"):
        log.append([b"a\nb"])
    put(log, 1)
    assert read_all(log.reader("kafka")) == numbered(1, 1)


def test_each_destination_reads_for_itself(tmp_path: Path) -> None:
    """And the log is drained when both are through."""
    log = SpoolLog.create(tmp_path, SpoolOptions(destinations=(KAFKA, SQL)))
    put(log, 3)
    fast, slow = log.reader("kafka"), log.reader("sql")
    assert read_all(fast) == numbered(1, 3)
    fast.settle(4)
    assert (fast.position, slow.position, log.is_drained) == (4, 1, False)
    assert read_all(slow) == numbered(1, 3)
    slow.settle(4)
    assert log.is_drained
    log.close()


def test_settling_goes_forward_only(log: SpoolLog) -> None:
    """A late answer for an earlier batch changes nothing."""
    put(log, 10)
    reader = log.reader("kafka")
    reader.read(10, 10_000)
    reader.settle(6)
    reader.settle(3)
    assert reader.position == 6


def test_what_was_not_read_cannot_be_settled(log: SpoolLog) -> None:
    """Nobody can have delivered it."""
    put(log, 10)
    reader = log.reader("kafka")
    reader.read(3, 10_000)
    with pytest.raises(ValueError, match="not read"):
        reader.settle(5)


def test_segments_that_all_have_passed_are_removed(tmp_path: Path) -> None:
    """The slowest destination decides; the last segment stays, for it is written to."""
    options = SpoolOptions(destinations=(KAFKA, SQL), segment_bytes=1000)
    log = SpoolLog.create(tmp_path, options)
    for _ in range(10):
        put(log, 10, pad=50)
    names = [path.name for path in segments(log.path)]
    assert names == [f"{first:020d}.seg" for first in (1, 21, 41, 61, 81)]
    fast, slow = log.reader("kafka"), log.reader("sql")
    read_all(fast)
    fast.settle(101)
    log.release()
    assert len(segments(log.path)) == 5
    slow.read(45, 10_000)
    slow.settle(46)
    held = log.held_bytes
    log.release()
    assert [path.name for path in segments(log.path)] == names[2:]
    assert log.held_bytes < held
    assert read_all(slow) == numbered(46, 55, pad=50)
    slow.settle(100)
    log.release()
    assert [path.name for path in segments(log.path)] == names[4:]
    log.close()


def test_a_last_segment_in_which_all_is_delivered_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From time to time: many idle processes must not hold the quota with what nobody needs."""
    log = SpoolLog.create(tmp_path, SpoolOptions(destinations=(KAFKA,), segment_bytes=8000))
    reader = log.reader("kafka")
    put(log, 5, pad=50)
    reader.read(9, 10_000)
    reader.settle(6)
    log.release()
    assert segments(log.path)[0].stat().st_size < 1000  # not worth it
    for first in (6, 26):
        put(log, 20, pad=50)
        assert read_all(reader) == numbered(first, 20, pad=50)
        log.release()
        assert log.held_bytes > 1000
        reader.settle(first + 20)
        log.release()
        if first == 26:  # too soon after the first time
            assert log.held_bytes > 1000
            monkeypatch.setattr("backplane_runtime.spool.log.LEAVE_SECONDS", 0.0)
            log._next_leaving = 0.0
            log.release()
        assert [(path.name, path.stat().st_size) for path in segments(log.path)] == [(f"{first + 20:020d}.seg", 0)]
        assert log.held_bytes < 200
    put(log, 3)
    assert read_all(reader) == numbered(46, 3)
    again = die(log)
    log = adopted(again.parent)
    assert read_all(log.reader("kafka")) == numbered(46, 3)
    log.close()


def test_a_thread_that_is_late_changes_nothing(tmp_path: Path) -> None:
    """When a log is closed, its folder may be another process's at once."""
    log = SpoolLog.create(tmp_path, SpoolOptions(destinations=(KAFKA,), segment_bytes=50))
    put(log, 1)
    put(log, 4)
    reader = log.reader("kafka")
    reader.read(2, 10_000)
    reader.settle(2)
    log.close()
    again = adopted(tmp_path)
    before = {path: path.read_bytes() for path in again.path.iterdir()}
    reader.settle(3)
    reader.set_aside(1, b"{}", "late")
    reader.read(3, 10_000)
    log.release()
    log.anchor()
    assert {path: path.read_bytes() for path in again.path.iterdir()} == before
    assert again.reader("kafka").position == 2
    again.close()


def test_a_drained_folder_goes_with_close(log: SpoolLog) -> None:
    """Nothing is left behind where nothing is of use."""
    put(log, 5)
    log.reader("kafka").read(5, 10_000)
    log.reader("kafka").settle(6)
    log.close()
    assert list(log.path.parent.iterdir()) == []
    log.close()


def test_a_folder_with_events_stays(log: SpoolLog) -> None:
    """It is for the next process."""
    put(log, 5)
    log.close()
    assert segments(log.path) != []


def test_what_was_appended_and_never_committed_stays(log: SpoolLog) -> None:
    """The writer was interrupted between the two; the events were taken."""
    log.append(lines(1, 1))
    log.close()
    assert segments(log.path) != []


def test_an_event_that_was_set_aside_keeps_the_folder(log: SpoolLog) -> None:
    """It is for people, and a line that a program can read."""
    put(log, 2)
    reader = log.reader("kafka")
    (number, line), _ = reader.read(5, 10_000)
    reader.set_aside(number, line, "the server refuses it: code 42")
    reader.settle(3)
    log.close()
    kept = [json.loads(text) for text in (log.path / "set-aside.jsonl").read_text().splitlines() if text]
    assert [(one["destination"], one["number"], one["reason"]) for one in kept] == [
        ("kafka", 1, "the server refuses it: code 42")
    ]
    assert kept[0]["event"] == {"number": 1, "pad": ""}


def test_an_event_that_is_no_json_is_kept_as_text(log: SpoolLog) -> None:
    """The file stays one that every line can be read of."""
    put(log, 1)
    reader = log.reader("kafka")
    reader.set_aside(1, b"\xfe{", "no JSON")
    (kept,) = [json.loads(text) for text in (log.path / "set-aside.jsonl").read_text().splitlines() if text]
    assert kept["text"] == "\\xfe{"


def test_held_bytes_are_those_of_the_files(small: SpoolLog) -> None:
    """What the quota is measured with is true, but for the small fixed files."""
    for _ in range(10):
        put(small, 10, pad=50)
    read_all(small.reader("kafka"), count=7)
    fixed = sum((small.path / name).stat().st_size for name in ("spool.json", "lock"))
    assert small.held_bytes + fixed == usage(small.path.parent)


def test_nobody_else_can_read_it(small: SpoolLog) -> None:
    """Events may be personal data."""
    put(small, 1)
    assert stat.S_IMODE(small.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in small.path.iterdir()} == {0o600}


@pytest.mark.parametrize("name", ["../../etc/x", "a/b", "ü" * 300, "", ".", "con.cursor", "Kafka"])
def test_a_destination_may_have_any_name(tmp_path: Path, name: str) -> None:
    """And no file is made outside the folder for it; `kafka` and `Kafka` are two."""
    odd = SpoolOptions(destinations=(KAFKA, SQL))
    destinations = (KAFKA, msgspec.structs.replace(KAFKA, name=name))
    log = SpoolLog.create(tmp_path, msgspec.structs.replace(odd, destinations=destinations))
    put(log, 1)
    assert read_all(log.reader(name)) == numbered(1, 1)
    log.reader(name).settle(2)
    assert log.position("kafka") == 1
    assert len({path.name.casefold() for path in log.path.glob("*.cursor")}) == 2
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {
        one for one in log.path.iterdir() if one.is_file()
    }
    log.close()
