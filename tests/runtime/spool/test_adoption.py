"""What a dead process left is delivered by the next one, once, and exactly as it would have been."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from backplane_runtime.spool import SpoolLog, SpoolOptions, Stranded, adopt, stranded
from backplane_runtime.spool.files import Files
from backplane_runtime.spool.layout import LOCK, new_folder_name
from tests.runtime.spool.spools import KAFKA, ONE, SMALL, SQL, adopted, die, lines, numbered, put, read_all, segments

pytestmark = pytest.mark.runtime_only


def test_the_events_of_a_dead_process_are_all_there(tmp_path: Path) -> None:
    """Those that were appended, committed or not."""
    log = SpoolLog.create(tmp_path, SMALL)
    for _ in range(5):
        put(log, 10, pad=50)
    log.append(lines(51, 2, pad=50))
    die(log)
    again = adopted(tmp_path)
    assert (again.name, again.end, again.is_adopted) == (log.name, 53, True)
    assert read_all(again.reader("kafka")) == numbered(1, 52, pad=50)
    again.close()


def test_a_live_folder_is_left_alone(tmp_path: Path) -> None:
    """Its owner delivers."""
    log = SpoolLog.create(tmp_path, ONE)
    put(log, 1)
    assert adopt(tmp_path, (KAFKA,)) == []
    log.close()


def test_it_goes_on_where_the_other_stopped(tmp_path: Path) -> None:
    """What was settled does not come again."""
    log = SpoolLog.create(tmp_path, SMALL)
    put(log, 20, pad=50)
    put(log, 20, pad=50)
    reader = log.reader("kafka")
    reader.read(30, 100_000)
    reader.settle(31)
    die(log)
    again = adopted(tmp_path)
    assert again.reader("kafka").position == 31
    assert read_all(again.reader("kafka")) == numbered(31, 10, pad=50)
    again.close()


def test_batches_that_were_on_their_way_come_again_as_they_were(tmp_path: Path) -> None:
    """A server that tells duplicates by batch must see the same batch, whatever the sizes are now."""
    log = SpoolLog.create(tmp_path, ONE)
    put(log, 20)
    reader = log.reader("kafka")
    first, second = reader.read(3, 10_000), reader.read(5, 10_000)
    die(log)
    again = adopted(tmp_path).reader("kafka")
    assert [again.read(100, 10_000), again.read(1, 1)] == [first, second]
    assert again.read(100, 10_000) == numbered(9, 12)


def test_of_a_batch_that_was_settled_in_part_the_rest_comes(tmp_path: Path) -> None:
    """And ends where it ended."""
    log = SpoolLog.create(tmp_path, ONE)
    put(log, 20)
    log.reader("kafka").read(10, 10_000)
    log.reader("kafka").settle(5)
    die(log)
    again = adopted(tmp_path).reader("kafka")
    assert again.read(100, 10_000) == numbered(5, 6)


def test_an_adopted_folder_goes_when_it_is_drained(tmp_path: Path) -> None:
    """Nothing is left."""
    log = SpoolLog.create(tmp_path, SMALL)
    put(log, 20, pad=50)
    die(log)
    again = adopted(tmp_path)
    read_all(again.reader("kafka"))
    again.reader("kafka").settle(21)
    assert again.is_drained
    again.close()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_process_that_died_with_nothing_left_is_removed(tmp_path: Path) -> None:
    """Whoever starts next tidies up, whatever its destinations are."""
    log = SpoolLog.create(tmp_path, ONE)
    put(log, 3)
    read_all(log.reader("kafka"))
    log.reader("kafka").settle(4)
    die(log)
    assert adopt(tmp_path, (SQL,)) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"name": "other"}, {"type": "sqlite"}, {"target": "elsewhere"}])
def test_events_for_another_place_are_left_alone_and_named(tmp_path: Path, change: dict[str, str]) -> None:
    """Name, type and target must be the same; otherwise somebody else may come, and people can see it."""
    log = SpoolLog.create(tmp_path, ONE)
    put(log, 3)
    die(log)
    before = {path: path.read_bytes() for path in log.path.iterdir()}
    other = msgspec.structs.replace(KAFKA, **change)
    assert adopt(tmp_path, (other,)) == []
    assert stranded(tmp_path, (other,)) == [Stranded(log.name, KAFKA, 3)]
    assert stranded(tmp_path, (KAFKA,)) == []
    assert {path: path.read_bytes() for path in log.path.iterdir()} == before


def test_a_destination_that_the_next_process_lacks_keeps_its_events(tmp_path: Path) -> None:
    """It may come back: its cursor and the segments that it needs stay."""
    log = SpoolLog.create(tmp_path, SpoolOptions(destinations=(KAFKA, SQL), segment_bytes=1000))
    for _ in range(4):
        put(log, 20, pad=50)
    die(log)
    again = adopted(tmp_path, KAFKA)
    read_all(again.reader("kafka"))
    again.reader("kafka").settle(81)
    again.release()
    again.close()
    assert stranded(tmp_path, (KAFKA,)) == [Stranded(log.name, SQL, 80)]
    third = adopted(tmp_path, SQL)
    assert read_all(third.reader("sql")) == numbered(1, 80, pad=50)
    third.close()


def test_the_oldest_folder_comes_first(tmp_path: Path) -> None:
    """What was published first is delivered first."""
    names = []
    for _ in range(3):
        log = SpoolLog.create(tmp_path, ONE)
        put(log, 1)
        names.append(die(log).name)
    logs = adopt(tmp_path, (KAFKA,))
    assert [log.name for log in logs] == names
    for log in logs:
        log.close()


def test_so_many_folders_that_a_process_could_not_hold_them(tmp_path: Path) -> None:
    """The oldest are taken, and the others when these are done; each costs one descriptor."""
    names = []
    for _ in range(20):
        log = SpoolLog.create(tmp_path, ONE)
        put(log, 1)
        names.append(die(log).name)
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208 - numbers
    taken = []
    for _ in range(3):
        logs = adopt(tmp_path, (KAFKA,), at_most=8)
        assert len(os.listdir("/dev/fd")) == before + len(logs)  # noqa: PTH208 - numbers
        for log in logs:
            assert read_all(log.reader("kafka")) == numbered(1, 1)
            log.reader("kafka").settle(2)
            log.close()
        taken.append([log.name for log in logs])
    assert taken == [names[:8], names[8:16], names[16:]]
    assert adopt(tmp_path, (KAFKA,), at_most=0) == []


def test_nothing_can_be_appended_to_an_adopted_folder(tmp_path: Path) -> None:
    """Its numbers belong to who wrote it."""
    log = SpoolLog.create(tmp_path, ONE)
    put(log, 1)
    die(log)
    again = adopted(tmp_path)
    with pytest.raises(ValueError, match="adopted"):
        again.append([b"{}"])
    again.close()


def test_a_folder_of_a_newer_version_is_left_alone_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An older program must not spoil what it does not understand."""
    log = SpoolLog.create(tmp_path, ONE)
    put(log, 2)
    meta = log.path / "spool.json"
    meta.write_text(json.dumps({**json.loads(meta.read_text()), "version": 2}))
    die(log)
    before = {path: path.read_bytes() for path in log.path.iterdir()}
    assert adopt(tmp_path, (KAFKA,)) == []
    assert "left alone: it is of version 2, and this program knows 1 at most" in caplog.text
    assert {path: path.read_bytes() for path in log.path.iterdir()} == before
    assert [(one.destination, one.events) for one in stranded(tmp_path, (KAFKA,))] == [(None, 2)]


@pytest.mark.parametrize("text", [b"", b"\0" * 200, b"{}", b'{"format": "other", "version": 1}', b'{"a":' * 100_000])
def test_a_spoiled_description_keeps_nobody_from_starting(tmp_path: Path, text: bytes) -> None:
    """The events are still there for `backplane spool export`."""
    log = SpoolLog.create(tmp_path, ONE)
    put(log, 2)
    (log.path / "spool.json").write_bytes(text)
    die(log)
    assert adopt(tmp_path, (KAFKA,)) == []
    assert [(one.destination, one.events) for one in stranded(tmp_path, (KAFKA,))] == [(None, 2)]


def test_a_log_handler_that_raises_keeps_no_folder_from_delivery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was taken before the word about another folder is delivered; otherwise its lock would be held, and for nothing."""
    first, spoiled = SpoolLog.create(tmp_path, ONE), SpoolLog.create(tmp_path, ONE)
    for log in (first, spoiled):
        put(log, 2)
    (die(spoiled) / "spool.json").write_text("{")
    die(first)

    def refuse(record: logging.LogRecord) -> bool:
        raise RuntimeError(record.msg)

    monkeypatch.setattr(logging.getLogger("backplane"), "filters", [refuse])
    again = adopted(tmp_path)
    assert read_all(again.reader("kafka")) == numbered(1, 2)
    again.close()


def test_a_description_cannot_name_a_file_elsewhere(tmp_path: Path) -> None:
    """Who can write in the folder cannot make us write outside of it."""
    log = SpoolLog.create(tmp_path, ONE)
    put(log, 2)
    meta = log.path / "spool.json"
    meta.write_text(meta.read_text().replace("kafka.cursor", "../kafka.cursor"))
    die(log)
    assert adopt(tmp_path, (KAFKA,)) == []
    assert [path.name for path in tmp_path.iterdir()] == [log.name]


def test_a_lost_cursor_means_from_the_first_event_on(tmp_path: Path) -> None:
    """Twice is better than never; events that were released before are not missed."""
    log = SpoolLog.create(tmp_path, SMALL)
    for _ in range(4):
        put(log, 20, pad=50)
    log.reader("kafka").read(45, 100_000)
    log.reader("kafka").settle(46)
    log.release()
    (log.path / "kafka.cursor").unlink()
    die(log)
    again = adopted(tmp_path)
    first = int(segments(log.path)[0].stem)
    assert read_all(again.reader("kafka")) == numbered(first, 81 - first, pad=50)
    assert again.reader("kafka").skipped == 0
    again.close()


def test_what_a_process_left_that_died_while_it_made_or_removed_a_folder_is_swept(tmp_path: Path) -> None:
    """Hidden folders are nobody's; one that is locked is somebody's, and a name that is not ours is not touched."""
    log = SpoolLog.create(tmp_path, ONE)
    put(log, 1)
    half = tmp_path / f".{log.name}"
    die(log).rename(half)
    empty = tmp_path / f".{log.name[:-8]}00000000"
    empty.mkdir()
    (tmp_path / ".foreign").mkdir()
    alive = SpoolLog.create(tmp_path, ONE)
    hidden = tmp_path / f".{alive.name}"
    alive.path.rename(hidden)
    assert adopt(tmp_path, (KAFKA,)) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([".foreign", hidden.name])
    alive.forget()


class _Late(Files):
    """Somebody else removes a folder between the moment at which it was seen and that at which its lock is taken."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def lock(self, descriptor: int) -> bool:
        shutil.rmtree(self._folder)
        return super().lock(descriptor)


def test_a_folder_that_goes_while_it_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its last owner removed it: there is nothing to take, and nothing to say."""
    log = SpoolLog.create(tmp_path, ONE)
    put(log, 1)
    assert adopt(tmp_path, (KAFKA,), files=_Late(die(log))) == []
    assert caplog.text == ""


class _LookedAt(Files):
    """Somebody looks at a folder, with `backplane spool ls`, just when its lock is to be taken."""

    def __init__(self, lock: Path) -> None:
        self._looker = os.open(lock, os.O_RDONLY)
        assert super().lock(self._looker)

    def lock(self, descriptor: int) -> bool:
        is_free = super().lock(descriptor)
        if self._looker >= 0:
            os.close(self._looker)
            self._looker = -1
        return is_free


def test_a_folder_that_somebody_looks_at_is_taken_all_the_same(tmp_path: Path) -> None:
    """To look takes microseconds; a start that missed the folder would leave it for half a minute."""
    log = SpoolLog.create(tmp_path, ONE)
    put(log, 1)
    (again,) = adopt(tmp_path, (KAFKA,), files=_LookedAt(die(log) / "lock"))
    again.close()


def test_what_cannot_be_swept_keeps_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said, and the others go."""
    stuck, other = (tmp_path / f".{new_folder_name()}" for _ in range(2))
    for hidden in (stuck, other):
        hidden.mkdir()
        (hidden / LOCK).touch()
    (stuck / "somebody else's").touch()
    assert adopt(tmp_path, (KAFKA,)) == []
    assert list(tmp_path.iterdir()) == [stuck]
    assert "leftovers could not be removed: Directory not empty" in caplog.text


class _TakenAtTheEnd(Files):
    """A file system on which another process takes an emptied folder in the moment before it goes."""

    def __init__(self, taken: Callable[[Path], object]) -> None:
        self.taken = taken

    def remove_folder(self, path: Path) -> None:
        (path / LOCK).touch()
        try:
            super().remove_folder(path)
        finally:
            self.taken(path)


@pytest.mark.parametrize(
    "taken", [Path.exists, lambda path: path.rename(path.parent.with_suffix(".moved"))], ids=["kept", "moved"]
)
def test_an_emptied_folder_that_another_process_takes_is_no_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, taken: Callable[[Path], object]
) -> None:
    """Fifty processes that start at once all sweep; the folder without a lock belongs to whoever makes a new one."""
    hidden = tmp_path / "swept" / f".{new_folder_name()}"
    hidden.mkdir(parents=True)
    (hidden / LOCK).touch()
    assert adopt(hidden.parent, (KAFKA,), files=_TakenAtTheEnd(taken)) == []
    log = SpoolLog.create(tmp_path / "closed", ONE, files=_TakenAtTheEnd(taken))
    log.close()
    assert caplog.text == ""


def test_a_root_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    """The first start of all."""
    assert adopt(tmp_path / "none", (KAFKA,)) == []
    assert stranded(tmp_path / "none", (KAFKA,)) == []


class _Beside(Files):
    """A file system on which the owner of a half-made folder goes on at the moment when somebody finds it without a lock."""

    def open_to_read(self, path: Path) -> int:
        try:
            return super().open_to_read(path)
        except FileNotFoundError:
            self.owned = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            assert self.lock(self.owned)
            path.with_name("spool.json").write_text("{}")
            raise


def test_a_folder_that_is_being_made_is_not_swept(tmp_path: Path) -> None:
    """Not even where its lock was missing a moment ago: the events that come into it would be nobody's."""
    hidden = tmp_path / f".{new_folder_name()}"
    hidden.mkdir()
    files = _Beside()
    assert adopt(tmp_path, (KAFKA,), files=files) == []
    assert sorted(path.name for path in hidden.iterdir()) == ["lock", "spool.json"]
    os.close(files.owned)
    assert adopt(tmp_path, (KAFKA,)) == []
    assert not hidden.exists()


def test_a_folder_whose_lock_somebody_removed(tmp_path: Path) -> None:
    """A cleaner of old files takes it first, because nobody writes to it: the events are delivered all the same."""
    log = SpoolLog.create(tmp_path, ONE)
    put(log, 3)
    die(log)
    (log.path / LOCK).unlink()
    again = adopted(tmp_path)
    assert read_all(again.reader("kafka")) == numbered(1, 3)
    assert adopt(tmp_path, [KAFKA]) == []
    again.close()
