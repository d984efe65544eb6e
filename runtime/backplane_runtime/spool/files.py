"""Every call of the operating system that the spool makes, so that a test can put a disk that forgets in its place."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from backplane_runtime import native

FOLDER_MODE = 0o700
FILE_MODE = 0o600
_BUFFERS_AT_ONCE = 512  # below IOV_MAX, which is 1024 on Linux and macOS
_PAGE = 4096  # bytes
# macOS has no fdatasync, and its fsync leaves the data in the drive's cache (fcntl(2), F_FULLFSYNC).
_FULL_SYNC = getattr(fcntl, "F_FULLFSYNC", None)

# A forked child shares the lock of every file that was open at the fork, so it closes them all: also those that another
# thread of the parent had only just opened. Otherwise nobody could adopt the folder of a dead parent while the child lives.
_guard = native.RLock()
_open_descriptors: set[int] = set()


def hold() -> None:
    """Keep other threads from opening and closing files; called before a fork."""
    _guard.acquire()


def let_go() -> None:
    """End what `hold` began; called in the parent."""
    _guard.release()


def close_inherited() -> None:
    """Close, in a forked child, what is the parent's and nobody has closed yet."""
    global _guard  # noqa: PLW0603 - a lock of another process
    for descriptor in _open_descriptors:
        os.close(descriptor)
    _open_descriptors.clear()
    _guard = native.RLock()


def _open(path: Path, flags: int) -> int:
    with _guard:
        descriptor = os.open(path, flags | os.O_CLOEXEC, FILE_MODE)
        _open_descriptors.add(descriptor)
        return descriptor


class Files:
    """The file system. Every method raises OSError as the call beneath it does."""

    def make_folder(self, path: Path) -> None:
        """Make the folder *path*, for its owner only.

        Raises:
            FileExistsError: if there is one.
        """
        path.mkdir(FOLDER_MODE)

    def make_root(self, path: Path) -> None:
        """Make the folder *path* and what is missing above it; it may be there already."""
        path.mkdir(FOLDER_MODE, parents=True, exist_ok=True)

    def create(self, path: Path) -> int:
        """Return a descriptor of the new file *path*, for its owner only, to read and to write.

        Raises:
            FileExistsError: if there is one.
        """
        return _open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)

    def open_to_append(self, path: Path) -> int:
        """Return a descriptor at the end of *path*, which is made if it is not there."""
        return _open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def open_to_read(self, path: Path) -> int:
        """Return a descriptor of *path* that changes nothing."""
        return _open(path, os.O_RDONLY)

    def close(self, descriptor: int) -> None:
        """Close *descriptor*, unless it was inherited and is closed already."""
        with _guard:
            if descriptor in _open_descriptors:
                try:
                    os.close(descriptor)
                finally:
                    _open_descriptors.discard(descriptor)

    def write(self, descriptor: int, buffers: Sequence[bytes], offset: int) -> None:
        """Write all of *buffers*, one behind the other, at *offset*; an error may leave a part of them."""
        rest = list(buffers)
        while rest:
            done = os.pwritev(descriptor, rest[:_BUFFERS_AT_ONCE], offset)
            offset += done
            while rest and done >= len(rest[0]):
                done -= len(rest.pop(0))
            if done:
                rest[0] = rest[0][done:]

    def append(self, descriptor: int, data: bytes) -> None:
        """Write all of *data* at the end; an error may leave a part of it."""
        while data:
            data = data[os.write(descriptor, data) :]

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        """Return *size* bytes at *offset*, fewer at the end, and in front of a page that the disk cannot read any more.

        Such a page reads as zeros: damage like any other, for no checksum fits.
        """
        try:
            return os.pread(descriptor, size, offset)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return bytes(min(size, _PAGE - offset % _PAGE))

    def size(self, descriptor: int) -> int:
        """Return the size of an open file in bytes."""
        return os.fstat(descriptor).st_size

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut an open file to *size* bytes."""
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """Return when what was written survives a loss of power. After an error, nobody knows what does (fsyncgate)."""
        if _FULL_SYNC is not None:
            fcntl.fcntl(descriptor, _FULL_SYNC)
        elif hasattr(os, "fdatasync"):
            os.fdatasync(descriptor)
        else:
            os.fsync(descriptor)

    def sync_folder(self, path: Path) -> None:
        """Return when the names in *path* survive a loss of power."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file or folder another name, over the file of that name if there is one."""
        old.rename(new)

    def unlink(self, path: Path) -> None:
        """Remove the file *path*, which may be gone already."""
        path.unlink(missing_ok=True)

    def remove_folder(self, path: Path) -> None:
        """Remove the empty folder *path*, which may be gone already."""
        try:
            path.rmdir()
        except FileNotFoundError:
            return

    def names(self, path: Path) -> list[str]:
        """Return the names in the folder *path*, sorted."""
        return sorted(os.listdir(path))  # noqa: PTH208 - names, not paths

    def exists(self, path: Path) -> bool:
        """Say whether *path* names anything that this process may see."""
        return os.path.exists(path)  # noqa: PTH110 - `Path.exists` raises where a folder above may not be looked into

    def lock(self, descriptor: int) -> bool:
        """Take the lock of an open file for as long as it is open, and say whether it was free; never wait."""
        return _lock(descriptor, fcntl.LOCK_EX)

    def is_locked(self, descriptor: int) -> bool:
        """Say whether somebody holds the lock of an open file."""
        if not _lock(descriptor, fcntl.LOCK_SH):
            return True
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return False

    def is_at(self, descriptor: int, path: Path) -> bool:
        """Say whether an open file is still the one that *path* names."""
        here = os.fstat(descriptor)
        try:
            there = path.stat()
        except OSError:
            return False
        return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


FILES = Files()


def read_whole(files: Files, path: Path, at_most: int) -> bytes:
    """Return the content of *path*, *at_most* bytes of it."""
    descriptor = files.open_to_read(path)
    try:
        return files.read(descriptor, min(files.size(descriptor), at_most), 0)
    finally:
        files.close(descriptor)


def size_of(files: Files, path: Path) -> int:
    """Return the size of the file *path*, 0 if there is none."""
    try:
        descriptor = files.open_to_read(path)
    except FileNotFoundError:
        return 0
    try:
        return files.size(descriptor)
    finally:
        files.close(descriptor)


def write_durably(files: Files, path: Path, data: bytes, *, sync: bool = True) -> None:
    """Put *data* in place of what *path* holds: after a crash at any moment it holds the old or the new.

    The name survives a loss of power when the folder is synced. Without *sync* only a crash of the process is meant.
    """
    temporary = path.with_name(path.name + ".tmp")
    files.unlink(temporary)  # of a process that died here
    descriptor = files.create(temporary)
    try:
        files.write(descriptor, [data], 0)
        if sync:
            files.sync(descriptor)
    finally:
        files.close(descriptor)
    files.rename(temporary, path)
