"""Damage costs the events that it hit, is counted, is kept for people, and keeps nobody from starting."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from backplane_runtime.spool import SpoolLog, SpoolOptions, adopt
from backplane_runtime.spool.frame import HEADER_SIZE, MAGIC
from tests.runtime.spool.spools import KAFKA, ONE, SMALL, SQL, adopted, die, lines, numbered, put, read_all, segments

pytestmark = pytest.mark.runtime_only


@pytest.fixture
def dead(tmp_path: Path) -> Path:
    """A folder with 60 events in frames of four and segments of five frames, whose process is dead."""
    log = SpoolLog.create(tmp_path / "root", SpoolOptions(destinations=(KAFKA,), segment_bytes=500))
    for _ in range(15):
        put(log, 4)
    return die(log)


def recovered(path: Path) -> SpoolLog | None:
    """Take the folder over."""
    logs = adopt(path.parent, (KAFKA,))
    return logs[0] if logs else None


def test_the_last_segment_cut_at_every_byte(tmp_path: Path, dead: Path) -> None:
    """All events of complete frames are read, none is invented, and a torn frame is no damage."""
    last = segments(dead)[-1]
    whole = last.read_bytes()
    first = int(last.stem)
    starts = [at for at in range(len(whole)) if whole.startswith(MAGIC, at)]
    assert len(starts) >= 3
    for size in range(len(whole) + 1):
        copy = tmp_path / "copy" / dead.name
        shutil.copytree(dead, copy)
        os.truncate(copy / last.name, size)
        complete = sum(start <= size for start in (*starts[1:], len(whole)))
        log = recovered(copy)
        assert log is not None
        assert read_all(log.reader("kafka")) == numbered(1, first - 1 + 4 * complete)
        assert (log.reader("kafka").skipped, log.damaged_bytes) == (0, 0)
        log.reader("kafka").settle(log.end)
        log.close()
        assert list((tmp_path / "copy").iterdir()) == []


def test_every_byte_flipped_once(tmp_path: Path, dead: Path) -> None:
    """Each event is as it was written, or it is missing and counted; at most the frame that was hit is missing."""
    middle = segments(dead)[1]
    whole = middle.read_bytes()
    written = dict(numbered(1, 60))
    for at in range(len(whole)):
        copy = tmp_path / "copy" / dead.name
        shutil.copytree(dead, copy)
        (copy / middle.name).write_bytes(whole[:at] + bytes((whole[at] ^ (1 << at % 8),)) + whole[at + 1 :])
        log = recovered(copy)
        assert log is not None
        reader = log.reader("kafka")
        events = read_all(reader)
        assert [written[number] for number, _ in events] == [line for _, line in events]
        assert [number for number, _ in events] == sorted({number for number, _ in events})
        assert (len(events), reader.skipped, log.end) == (56, 4, 61)
        assert log.damaged_bytes > 0
        (kept,) = (copy / "quarantine").iterdir()
        assert kept.stat().st_size == log.damaged_bytes
        log.forget()
        shutil.rmtree(copy)


def test_every_byte_of_the_last_frame_flipped(tmp_path: Path, dead: Path) -> None:
    """Where its header is whole, the number of its events is known although nothing follows it."""
    last = segments(dead)[-1]
    whole = last.read_bytes()
    start = whole.rindex(MAGIC)
    for at in range(start, len(whole)):
        copy = tmp_path / "copy" / dead.name
        shutil.copytree(dead, copy)
        (copy / last.name).write_bytes(whole[:at] + bytes((whole[at] ^ 0x10,)) + whole[at + 1 :])
        log = recovered(copy)
        assert log is not None
        reader = log.reader("kafka")
        assert read_all(reader) == numbered(1, 56)
        in_header = at < start + HEADER_SIZE
        assert reader.skipped == (0 if in_header else 4)
        assert log.damaged_bytes == len(whole) - start
        reader.settle(log.end)
        assert log.is_drained
        log.close()
        assert [path.name for path in (copy / "quarantine").iterdir()] == [f"{int(last.stem):020d}-{start}.bin"]
        shutil.rmtree(copy)


def spoil(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        (lambda data: data + bytes(5000), 0),
        (lambda data: data + b"\xff" * 5000, 0),
        (lambda data: data + MAGIC * 2000, 0),
        (lambda data: bytes(len(data)), 20),
        (lambda data: b"garbage" + data, 0),
        (lambda data: data[:40] + b"inserted" + data[40:], 4),
        (lambda data: data[:40] + data[50:], 4),
        (lambda data: data[:0], 20),
        (lambda data: data + data, 0),
        (lambda data: data.replace(MAGIC + b"\x01", MAGIC + b"\x02"), 20),
    ],
    ids=["zeros", "ones", "magic", "zeroed", "front", "inserted", "cut out", "empty", "doubled", "version"],
)
def test_a_middle_segment_that_is_spoiled(dead: Path, change: Callable[[bytes], bytes], lost: int) -> None:
    """What is whole is delivered, what is missing is counted, and it comes to an end."""
    path = segments(dead)[0]
    assert [int(one.stem) for one in segments(dead)] == [1, 21, 41]
    spoil(path, change)
    log = recovered(dead)
    assert log is not None
    reader = log.reader("kafka")
    events = read_all(reader)
    assert len(events) == 60 - lost
    assert set(events) <= set(numbered(1, 60))
    assert reader.skipped == lost
    reader.settle(61)
    assert log.is_drained
    log.close()


def test_a_missing_segment_is_counted_and_passed(dead: Path) -> None:
    """Somebody deleted it."""
    segments(dead)[0].unlink()
    log = recovered(dead)
    assert log is not None
    reader = log.reader("kafka")
    assert read_all(reader) == numbered(21, 40)
    assert reader.skipped == 20
    log.close()


def test_all_segments_gone_means_nothing_to_deliver(dead: Path) -> None:
    """There is no folder to adopt, and none to stumble over."""
    for path in segments(dead):
        path.unlink()
    assert recovered(dead) is None


def test_files_that_are_not_ours_are_left_alone(dead: Path) -> None:
    """A note of an administrator, an editor's copy, a segment's name with something else in it."""
    (dead / "README.txt").write_text("do not touch")
    (dead / "00000000000000000001.seg~").write_text("editor")
    (dead / "00000000000000000007.seg").write_text("not a segment")
    log = recovered(dead)
    assert log is not None
    reader = log.reader("kafka")
    assert read_all(reader) == numbered(1, 60)
    reader.settle(61)
    log.release()
    log.close()
    assert (dead / "README.txt").read_text() == "do not touch"


def test_damage_is_said_once_and_copied_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """However many destinations meet it."""
    log = SpoolLog.create(tmp_path, SpoolOptions(destinations=(KAFKA, SQL)))
    for _ in range(3):
        put(log, 4)
    path = segments(die(log))[0]
    whole = bytearray(path.read_bytes())
    whole[60] ^= 1
    path.write_bytes(whole)
    again = adopted(tmp_path, KAFKA, SQL)
    for name in ("kafka", "sql"):
        assert read_all(again.reader(name)) == numbered(5, 8)
        assert again.reader(name).skipped == 4
    assert len(list((log.path / "quarantine").iterdir())) == 1
    assert caplog.text.count("are damaged") == 1
    assert f"{path.name} are damaged, from byte 0 on; see `backplane spool verify`" in caplog.text
    again.close()


def test_damage_in_a_folder_for_somebody_else_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever looks for something to take over looks again each half minute, and leaves the folder as it is."""
    log = SpoolLog.create(tmp_path, ONE)
    put(log, 4)
    put(log, 4)
    (path,) = segments(die(log))
    whole = bytearray(path.read_bytes())
    whole[60] ^= 1
    path.write_bytes(whole)
    for _ in range(3):
        assert adopt(tmp_path, (SQL,)) == []
    assert caplog.text.count("are damaged") == 1
    again = adopted(tmp_path)
    assert again.damaged_bytes
    again.close()


def test_damage_under_a_live_owner_is_passed(tmp_path: Path) -> None:
    """The writer goes on, and so do the readers."""
    log = SpoolLog.create(tmp_path, ONE)
    put(log, 4)
    put(log, 4)
    path = segments(log.path)[0]
    descriptor = os.open(path, os.O_WRONLY)
    os.pwrite(descriptor, b"?", path.stat().st_size - 5)
    os.close(descriptor)
    reader = log.reader("kafka")
    assert read_all(reader) == numbered(1, 4)
    assert reader.skipped == 4
    reader.settle(5)
    assert reader.position == 9
    put(log, 4)
    assert read_all(reader) == numbered(9, 4)
    log.close()


def test_what_is_kept_of_damage_is_bounded(tmp_path: Path) -> None:
    """A disk that is all damage must not fill itself with copies."""
    log = SpoolLog.create(tmp_path, ONE)
    put(log, 4)
    path = segments(die(log))[0]
    with path.open("ab") as file:
        file.write(b"\xfe" * (20 << 20))
    again = adopted(tmp_path)
    assert read_all(again.reader("kafka")) == numbered(1, 4)
    assert again.damaged_bytes == 20 << 20
    (kept,) = (log.path / "quarantine").iterdir()
    assert kept.stat().st_size == 8 << 20
    again.close()


@pytest.mark.parametrize(
    "text", ["", "garbage\n", "1 9 - 00000000\n", "\0" * 100, "2 9 - 00000000\n", "1 x - 1\n", "\n" * 9]
)
def test_a_spoiled_cursor_means_from_the_start(dead: Path, text: str) -> None:
    """Twice is better than never."""
    (dead / "kafka.cursor").write_text(text)
    log = recovered(dead)
    assert log is not None
    assert read_all(log.reader("kafka")) == numbered(1, 60)
    log.close()


def test_a_torn_line_of_the_cursor_costs_itself_only(tmp_path: Path) -> None:
    """The line before it counts, and what the next process adds is not spoiled by it."""
    log = SpoolLog.create(tmp_path, ONE)
    put(log, 10)
    reader = log.reader("kafka")
    for before in (4, 7):
        reader.read(3, 10_000)
        reader.settle(before)
    cursor = die(log) / "kafka.cursor"
    cursor.write_bytes(cursor.read_bytes()[:-3])
    again = adopted(tmp_path)
    assert again.reader("kafka").position == 4
    assert again.reader("kafka").read(3, 10_000) == numbered(4, 3)
    again.reader("kafka").settle(7)
    die(again)
    third = adopted(tmp_path)
    assert third.reader("kafka").position == 7
    third.close()


def test_a_cursor_that_is_ahead_of_the_events_means_nothing_is_left(tmp_path: Path) -> None:
    """A loss of power took the events, which were delivered, and left the cursor."""
    log = SpoolLog.create(tmp_path, SMALL)
    put(log, 10)
    log.reader("kafka").read(10, 10_000)
    log.reader("kafka").settle(11)
    log.append(lines(11, 1))
    path = segments(die(log))[0]
    os.truncate(path, 0)
    assert adopt(tmp_path, (KAFKA,)) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that interrupts")
def test_a_signal_handler_that_raises_costs_no_event_and_doubles_none(tmp_path: Path) -> None:
    """Wherever it strikes, `appended` tells what was taken."""

    class Struck(Exception):  # noqa: N818
        pass

    def strike(number: int, frame: object) -> None:
        raise Struck

    log = SpoolLog.create(tmp_path, SpoolOptions(destinations=(KAFKA,), segment_bytes=5000))
    before = signal.signal(signal.SIGALRM, strike)
    strikes = 0
    try:
        while strikes < 200:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.00002 * (1 + strikes % 9))
                for _ in range(50):
                    log.append(lines(log.appended, 3, pad=30), sync=log.appended % 7 == 0)
            except Struck:
                strikes += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    put(log, 3, pad=30)
    assert read_all(log.reader("kafka")) == numbered(1, log.end - 1, pad=30)
    assert log.reader("kafka").skipped == 0
    path = die(log)
    again = recovered(path)
    assert again is not None
    assert read_all(again.reader("kafka")) == numbered(1, log.end - 1, pad=30)
    again.close()
