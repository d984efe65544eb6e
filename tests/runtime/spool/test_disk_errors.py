"""A disk that is full or read-only: errors are raised, nothing half written is ever seen, and it goes on when there is room."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backplane_runtime.spool import SpoolLog, SpoolOptions, adopt, stranded, usage
from tests.runtime.spool.spools import KAFKA, ONE, adopted, die, lines, numbered, put, read_all

pytestmark = pytest.mark.runtime_only


def mounted(arguments: list[str], path: Path) -> Iterator[Path]:
    """Mount something at *path* while a test runs; skip where that is not allowed, fail where it must be (CI)."""
    path.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *arguments, str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = f"needs the right to mount: run the tests as root ({done.stderr.strip()})"
        (pytest.fail if os.environ.get("CI") == "true" and os.geteuid() == 0 else pytest.skip)(reason)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    yield from mounted(["-t", "tmpfs", "-o", "size=1m", "tmpfs"], tmp_path / "tiny")


@pytest.mark.parametrize("sync", [False, True])
def test_a_full_disk(tiny: Path, sync: bool) -> None:  # noqa: FBT001
    """Each append is taken whole or not at all, before, while and after the disk is full."""
    log = SpoolLog.create(tiny, SpoolOptions(destinations=(KAFKA,), segment_bytes=200_000))
    taken = refused = 0
    while refused < 20:
        first = log.appended
        try:
            log.append(lines(first, 50, pad=900), sync=sync)
            taken += 1
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 - most appends raise nothing
            refused += 1
            assert log.appended == first
    assert taken > 15
    log.commit()
    reader = log.reader("kafka")
    events = read_all(reader)
    assert events == numbered(1, log.end - 1, pad=900)
    # Deliver some: then there is room again, and the numbers go on.
    for batch in range(500, log.end - 100, 100):
        reader.settle(batch)
    log.release()
    put(log, 50, pad=900)
    assert read_all(reader) == numbered(log.end - 50, 50, pad=900)
    position, end = reader.position, log.end
    die(log)
    again = adopted(tiny)
    assert read_all(again.reader("kafka")) == numbered(position, end - position, pad=900)
    assert (again.reader("kafka").skipped, again.damaged_bytes) == (0, 0)
    again.close()


def fill(path: Path) -> None:
    """Write until there is no room for a page."""
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_full_disk_does_not_hold_up_delivery(tiny: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Readers cannot note how far they are, say so, and go on; when there is room, they note it."""
    log = SpoolLog.create(tiny, ONE)
    put(log, 400, pad=900)
    with pytest.raises(OSError, match="No space left"):
        fill(tiny / "filler")
    reader = log.reader("kafka")
    for number in range(1, 400):
        assert reader.read(1, 10_000) == numbered(number, 1, pad=900)
        reader.settle(number + 1)
    assert reader.position == 400
    assert caplog.text.count("the place of `kafka` could not be noted") == 1
    (tiny / "filler").unlink()
    assert reader.read(1, 10_000) == numbered(400, 1, pad=900)
    die(log)
    again = adopted(tiny)
    assert again.reader("kafka").position == 400
    assert again.reader("kafka").read(9, 10_000) == numbered(400, 1, pad=900)
    again.close()


def test_no_room_for_a_folder(tiny: Path) -> None:
    """`create` raises, and leaves nothing behind."""
    (tiny / "spool").mkdir()
    with pytest.raises(OSError, match="No space left"):
        (tiny / "filler").write_bytes(bytes(2 << 20))
    with pytest.raises(OSError, match="No space left"):
        SpoolLog.create(tiny / "spool", ONE)
    assert list((tiny / "spool").iterdir()) == []


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder with one dead spool in it, mounted read-only; file modes do not stop root."""
    root = tmp_path / "spool"
    log = SpoolLog.create(root, ONE)
    put(log, 3)
    die(log)
    for path in mounted(["--bind", str(root)], tmp_path / "read-only"):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(path)], check=True)
        yield path


def test_a_read_only_folder(read_only: Path) -> None:
    """Nothing can be made there, and the program starts all the same; what lies there can be delivered."""
    with pytest.raises(OSError, match="Read-only file system"):
        SpoolLog.create(read_only, ONE)
    (log,) = adopt(read_only, (KAFKA,))
    assert read_all(log.reader("kafka")) == numbered(1, 3)
    log.reader("kafka").settle(4)
    log.close()


@pytest.fixture
def volume() -> Iterator[Path]:
    """A root in which somebody else's folder cannot be looked into, as `lost+found` at the top of a volume of ext4."""
    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        foreign = Path(name) / "lost+found"
        foreign.mkdir(0)
        Path(name).chmod(0o777)
        if is_root:
            os.seteuid(65534)  # root may look into everything
        try:
            yield Path(name)
        finally:
            if is_root:
                os.seteuid(0)


def test_a_folder_of_somebody_else_in_the_root(volume: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is none of ours, and keeps nobody from what is."""
    log = SpoolLog.create(volume, ONE)
    put(log, 3)
    die(log)
    assert [(one.folder, one.events) for one in stranded(volume, ())] == [(log.name, 3)]
    assert usage(volume) == usage(log.path) > 0
    again = adopted(volume)
    assert read_all(again.reader("kafka")) == numbered(1, 3)
    again.close()
    # Not what a data plane of an earlier test says in a thread of its own: it, too, is nobody in particular meanwhile.
    assert [one.getMessage() for one in caplog.records if one.thread == threading.get_ident()] == []


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    """`create` raises; nobody is kept from starting."""
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        SpoolLog.create(tmp_path / "spool", ONE)
    with pytest.raises(OSError, match="Not a directory"):
        SpoolLog.create(tmp_path / "spool" / "below", ONE)
    assert adopt(tmp_path / "spool", (KAFKA,)) == []
    assert (tmp_path / "spool").read_text() == "a file"


def test_a_folder_that_is_deleted_under_its_owner(tmp_path: Path) -> None:
    """A new segment cannot be made: it is said, and the reader counts what is gone."""
    log = SpoolLog.create(tmp_path, SpoolOptions(destinations=(KAFKA,), segment_bytes=100))
    put(log, 10)
    shutil.rmtree(log.path)
    with pytest.raises(FileNotFoundError):
        put(log, 10)
    assert log.appended == 11
    assert read_all(log.reader("kafka")) == []
    assert log.reader("kafka").skipped == 10
    log.close()


LIMITED = """
import errno, resource, sys
from pathlib import Path
from tests.runtime.spool.spools import *
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
log = SpoolLog.create(Path(sys.argv[1]), ONE)
for _ in range(300):
    try:
        log.append(lines(log.appended, 7, pad=100))
    except OSError as error:
        assert error.errno == errno.EFBIG, error
log.commit()
assert read_all(log.reader("kafka")) == numbered(1, log.end - 1, pad=100)
assert 500 < log.end < 1000, log.end
print(log.end)
"""


def test_a_write_that_is_cut_in_the_middle(tmp_path: Path) -> None:
    """The kernel takes a part of the frame and refuses the rest: the part is cut off."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    again = adopted(tmp_path)
    assert again.end == int(done.stdout)
    assert read_all(again.reader("kafka")) == numbered(1, again.end - 1, pad=100)
    assert (again.reader("kafka").skipped, again.damaged_bytes) == (0, 0)
    again.close()


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    """However often a process makes, adopts and closes."""
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208 - numbers
    for _ in range(50):
        log = SpoolLog.create(tmp_path, SpoolOptions(destinations=(KAFKA,), segment_bytes=100))
        for _ in range(3):
            put(log, 5)
        log.reader("kafka").read(3, 10_000)
        die(log)
        again = adopted(tmp_path)
        read_all(again.reader("kafka"))
        again.reader("kafka").settle(16)
        again.release()
        again.close()
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208 - numbers


def test_no_descriptor_to_be_had(tmp_path: Path) -> None:
    """A reader that cannot open a segment gives what it has, then raises, skips nothing, and goes on later."""
    log = SpoolLog.create(tmp_path, SpoolOptions(destinations=(KAFKA,), segment_bytes=100))
    put(log, 5)
    put(log, 5)
    reader = log.reader("kafka")
    assert reader.read(2, 10_000) == numbered(1, 2)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, limits[1]))
    try:
        assert reader.read(6, 10_000) == numbered(3, 3)
        with pytest.raises(OSError, match="Too many open files"):
            reader.read(6, 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert reader.read(6, 10_000) == numbered(6, 5)
    log.close()


def test_no_descriptor_for_a_batch_that_must_be_as_it_was(tmp_path: Path) -> None:
    """It is not given in part: the next call gives it whole."""
    log = SpoolLog.create(tmp_path, SpoolOptions(destinations=(KAFKA,), segment_bytes=100))
    put(log, 5)
    put(log, 5)
    log.reader("kafka").read(2, 10_000)
    log.reader("kafka").read(6, 10_000)
    die(log)
    again = adopted(tmp_path)
    reader = again.reader("kafka")
    assert reader.read(1, 1) == numbered(1, 2)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, limits[1]))
    try:
        for _ in range(2):
            with pytest.raises(OSError, match="Too many open files"):
                reader.read(1, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert reader.read(1, 1) == numbered(3, 6)
    assert reader.read(9, 10_000) == numbered(9, 2)
    again.close()
