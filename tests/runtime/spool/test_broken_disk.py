"""Single faults of a disk, one at a time, on the disk that forgets: what `test_model` meets by chance."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest

from backplane_runtime.spool import SpoolLog, SpoolOptions, adopt
from backplane_runtime.spool.files import read_whole
from tests.runtime.spool.disk import Crashed, Disk, Interrupted
from tests.runtime.spool.spools import KAFKA, adopted, die, lines, numbered, put, read_all, segments

pytestmark = pytest.mark.runtime_only

ROOT = Path("/spool")
OPTIONS = SpoolOptions(destinations=(KAFKA,), segment_bytes=10_000)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def log(disk: Disk) -> SpoolLog:
    return SpoolLog.create(ROOT, OPTIONS, files=disk)


def names(disk: Disk, log: SpoolLog) -> list[str]:
    return [name.lstrip("0") for name in disk.names(log.path) if name.endswith(".seg")]


def after(disk: Disk, *, power: bool) -> SpoolLog:
    """End the process, or lose the power with nothing of what was not synced, and take over."""
    if power:
        disk.lose_power(_Nothing())
    else:
        disk.kill()
    (log,) = adopt(ROOT, (KAFKA,), files=disk)
    return log


class _Nothing(random.Random):
    """Chance that keeps nothing that was not synced."""

    def random(self) -> float:
        return 1.0

    def choice(self, options: object) -> float:  # type: ignore[override]  # noqa: ARG002
        return 0.0


def test_a_failed_sync_is_made_good_by_the_next_one(disk: Disk, log: SpoolLog) -> None:
    """In a new file: to sync the old one again would succeed, and save nothing (fsyncgate)."""
    put(log, 5)
    log.sync()
    put(log, 5)
    reader = log.reader("kafka")
    assert reader.read(7, 10_000) == numbered(1, 7)
    disk.arm("sync", 1)
    with pytest.raises(OSError, match="Input/output error"):
        log.sync()
    assert log.appended == 11
    log.sync()
    assert names(disk, log) == ["1.seg", "6.seg"]
    put(log, 5)
    assert read_all(reader) == numbered(8, 8)
    assert reader.skipped == 0
    log.sync()
    assert read_all(after(disk, power=True).reader("kafka")) == numbered(1, 15)


def test_a_failed_sync_of_a_file_that_holds_nothing_durable(disk: Disk, log: SpoolLog) -> None:
    """The new file has the name of the old one, under readers that have it open."""
    put(log, 5)
    reader = log.reader("kafka")
    assert reader.read(2, 10_000) == numbered(1, 2)
    disk.arm("sync", 1)
    with pytest.raises(OSError, match="Input/output error"):
        log.sync()
    log.sync()
    assert names(disk, log) == ["1.seg"]
    put(log, 5)
    assert names(disk, log) == ["1.seg", "6.seg"]
    assert read_all(reader) == numbered(3, 8)
    log.sync()
    assert read_all(after(disk, power=True).reader("kafka")) == numbered(1, 10)


def test_an_append_after_a_failed_sync_makes_good_too(disk: Disk, log: SpoolLog) -> None:
    """What was appended before is durable when a durable append returns."""
    put(log, 5)
    disk.arm("sync", 1)
    with pytest.raises(OSError, match="Input/output error"):
        log.sync()
    log.append(lines(6, 2), sync=True)
    assert read_all(after(disk, power=True).reader("kafka")) == numbered(1, 7)


def test_a_durable_append_whose_sync_fails_never_happened(disk: Disk, log: SpoolLog) -> None:
    """Its events are the caller's still; its numbers go to the next ones, in a new file."""
    log.append(lines(1, 3), sync=True)
    disk.arm("sync", 1)
    with pytest.raises(OSError, match="Input/output error"):
        log.append([b'"refused"'] * 4, sync=True)
    assert log.appended == 4
    put(log, 2)
    assert names(disk, log) == ["1.seg", "4.seg"]
    assert read_all(log.reader("kafka")) == numbered(1, 5)
    assert read_all(after(disk, power=False).reader("kafka")) == numbered(1, 5)


@pytest.mark.parametrize(
    ("first", "fault", "calls"), [(0, "sync", 1), (3, "sync", 1), (0, "error", 3), (3, "error", 1)]
)
def test_a_frame_that_cannot_be_cut_off_does_not_count(
    disk: Disk, log: SpoolLog, first: int, fault: str, calls: int
) -> None:
    """The next file begins with its number; so nobody takes it for what it is not."""
    if first:
        put(log, first)
    disk.calls = 3  # of a write that fails, a part is done that is not none and not all
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "truncate", _refuse)
        disk.arm(fault, calls)
        with pytest.raises(OSError, match=r"Input/output error|No space left"):
            log.append([b'"refused, and longer than what comes next"'] * 4, sync=True)
        put(log, 2)
    assert names(disk, log) == (["1.seg", "4.seg"] if first else ["1.seg"])
    assert read_all(log.reader("kafka")) == numbered(1, first + 2)
    again = after(disk, power=False)
    assert read_all(again.reader("kafka")) == numbered(1, first + 2)
    assert (again.reader("kafka").skipped, again.damaged_bytes) == (0, 0)


def _refuse(*arguments: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_what_a_failed_sync_took_away_is_said_once(disk: Disk, log: SpoolLog) -> None:
    """The page is gone from the cache too: the rest is saved, the loss is raised and counted, and it goes on."""
    put(log, 2)
    put(log, 2)
    put(log, 2)
    disk.arm("sync", 1)
    with pytest.raises(OSError, match="Input/output error"):
        log.sync()
    file = disk._file(log.path / f"{1:020d}.seg")
    file.cached[90:100] = bytes(10)
    with pytest.raises(OSError, match="events that were written before are lost"):
        log.sync()
    log.sync()
    put(log, 2)
    log.sync()
    reader = log.reader("kafka")
    assert read_all(reader) == [*numbered(1, 2), *numbered(5, 4)]
    assert reader.skipped == 2
    assert read_all(after(disk, power=True).reader("kafka")) == [*numbered(1, 2), *numbered(5, 4)]


@pytest.mark.parametrize("kind", ["error", "interrupt"])
@pytest.mark.parametrize("sync", [False, True])
def test_an_append_that_fails_at_any_call(disk: Disk, kind: str, sync: bool) -> None:  # noqa: FBT001
    """Nothing of it is seen, live or after the death of the process; the next one succeeds, with its numbers."""
    for call in range(1, 12):
        log = SpoolLog.create(ROOT, SpoolOptions(destinations=(KAFKA,), segment_bytes=150), files=disk)
        put(log, 5)
        log.append(lines(6, 1))  # the segment is full, and not durable
        disk.arm(kind, call)
        try:
            log.append([b'"refused, and longer than what comes next"'] * 4, sync=sync)
        except (OSError, Interrupted):
            assert log.appended == 7
        else:
            assert disk.fault == kind  # it needs fewer calls
            log.forget()
            return
        disk.disarm()
        put(log, 2)
        assert read_all(log.reader("kafka")) == numbered(1, 8)
        again = after(disk, power=False)
        assert read_all(again.reader("kafka")) == numbered(1, 8)
        assert (again.reader("kafka").skipped, again.damaged_bytes) == (0, 0)
        again.reader("kafka").settle(9)
        again.close()
    pytest.fail("an append takes more calls than this test has tried")


class Life:
    """What a process does from its beginning to its end, and what it has been told so far."""

    def __init__(self, disk: Disk) -> None:
        self.appended = self.settled = 1
        self._disk = disk

    def live(self) -> None:
        log = SpoolLog.create(ROOT, SpoolOptions(destinations=(KAFKA,), segment_bytes=150), files=self._disk)
        reader = log.reader("kafka")
        for _ in range(4):
            log.append(lines(log.appended, 5), sync=True)
            log.commit()
            self.appended = log.appended
            while batch := reader.read(3, 1000):
                reader.settle(batch[-1][0] + 1)
                self.settled = batch[-1][0] + 1
            log.release()
        log.close()


@pytest.mark.parametrize("seed", range(6))
def test_dead_at_any_call_of_a_life(disk: Disk, seed: int) -> None:
    """The next process starts, has what was appended, and leaves nothing behind; seed 0 is a kill, others lose the power."""
    for call in range(1, 500):
        life = Life(disk)
        disk.arm("crash", call)
        try:
            life.live()
        except Crashed:
            disk.lose_power(random.Random(seed * 1000 + call)) if seed else disk.kill()  # noqa: S311
        else:
            disk.disarm()
            assert call > 70
            return
        for log in adopt(ROOT, (KAFKA,), files=disk):
            reader = log.reader("kafka")
            assert seed or life.settled <= reader.position
            assert log.end >= life.appended
            events = read_all(reader)
            promised = [event for event in events if event[0] < life.appended]
            assert promised == numbered(reader.position, life.appended - reader.position)
            # Of an append that had not returned, a part may be there.
            assert set(events) <= set(numbered(reader.position, log.end - reader.position))
            assert reader.skipped <= log.end - life.appended
            reader.settle(log.end)
            log.close()
        for name in disk.names(ROOT):
            assert seed
            assert disk.exists(ROOT / name / "quarantine")
            disk.throw_away(ROOT / name)
    pytest.fail("a life takes more calls than this test has tried")


@pytest.mark.parametrize("seed", range(20))
def test_a_folder_that_was_removed_does_not_come_back(disk: Disk, log: SpoolLog, seed: int) -> None:
    """Not with its events and without its cursor: all of them would be delivered again."""
    put(log, 5)
    log.sync()
    read_all(log.reader("kafka"))
    log.reader("kafka").settle(6)
    log.close()
    disk.lose_power(random.Random(seed))  # noqa: S311 - a seed that can be repeated
    assert adopt(ROOT, (KAFKA,), files=disk) == []
    assert disk.names(ROOT) == []


def test_a_page_that_cannot_be_read_any_more_costs_its_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that gives up a sector: the kernel gives what is before it, and for the page itself EIO, again and again."""
    log = SpoolLog.create(tmp_path, SpoolOptions(destinations=(KAFKA,)))
    for _ in range(3):
        put(log, 4, pad=4000)
    bad = segments(die(log))[0].stat().st_size // 2 // 4096 * 4096
    read = os.pread

    def broken(descriptor: int, length: int, offset: int) -> bytes:
        if bad <= offset < bad + 4096:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(descriptor, min(length, bad - offset) if offset < bad else length, offset)

    monkeypatch.setattr(os, "pread", broken)
    again = adopted(tmp_path)
    assert read_all(again.reader("kafka")) == [*numbered(1, 4, pad=4000), *numbered(9, 4, pad=4000)]
    assert again.reader("kafka").skipped == 4
    again.close()


def test_what_is_set_aside_survives_a_loss_of_power_also_beside_a_quarantine(disk: Disk, log: SpoolLog) -> None:
    """Its name too: another file for people may have been there first."""
    put(log, 5)
    put(log, 5)
    log.sync()
    (name,) = names(disk, log)
    disk._file(log.path / name.rjust(24, "0")).change(100, b"\xff")
    reader = log.reader("kafka")
    assert read_all(reader) == numbered(6, 5)
    assert disk.exists(log.path / "quarantine")
    reader.set_aside(6, b"{}", "no")
    again = after(disk, power=True)
    assert b'"reason":"no"' in read_whole(disk, again.path / "set-aside.jsonl", 1000)


def test_a_folder_that_was_anchored_survives_a_loss_of_power(disk: Disk) -> None:
    """Its description and its names; before, nothing of it was synced."""
    log = SpoolLog.create(ROOT, SpoolOptions(destinations=(KAFKA,), is_anchored=False), files=disk)
    put(log, 3)
    log.sync()
    log.anchor()
    assert read_all(after(disk, power=True).reader("kafka")) == numbered(1, 3)


@pytest.mark.parametrize("call", ["open_to_read", "names", "lock"])
def test_a_root_that_cannot_be_looked_at_keeps_nobody_from_starting(
    disk: Disk, log: SpoolLog, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said, with the reason."""
    put(log, 1)
    disk.kill()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, call, _refuse)
        assert adopt(ROOT, (KAFKA,), files=disk) == []
    assert "Input/output error" in caplog.text
    (again,) = adopt(ROOT, (KAFKA,), files=disk)
    again.close()


def test_no_lock_to_be_had(disk: Disk) -> None:
    """A file system without locks is no place for a spool: nothing is left there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "lock", _refuse)
        with pytest.raises(OSError, match="Input/output error"):
            SpoolLog.create(ROOT, OPTIONS, files=disk)
    assert disk.names(ROOT) == []
    assert disk._open == {}
