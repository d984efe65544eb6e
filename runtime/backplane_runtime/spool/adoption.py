"""Folders that dead processes left: who may deliver their events takes them over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from backplane_runtime import native
from backplane_runtime.notices import Notices
from backplane_runtime.spool.files import FILES, Files
from backplane_runtime.spool.inspection import folders, is_alive, is_folder, look_at
from backplane_runtime.spool.layout import LOCK, Destination, SpoolFormatError, load_meta
from backplane_runtime.spool.log import SpoolLog
from backplane_runtime.spool.removal import sweep

AT_ONCE = 128  # folders; 1024 descriptors are what a process has by default on Linux

# Who looks at a folder (`backplane spool ls`) tests its lock, which takes microseconds.
_SECOND_LOOK_SECONDS = 0.005


@dataclass(frozen=True)
class Stranded:
    """Events in the folder of a dead process that nobody here may deliver.

    `destination` is None where its `spool.json` cannot be used; `problem` says why, and `events` counts all that there are.
    """

    folder: str
    destination: Destination | None
    events: int
    problem: str = ""


def adopt(
    root: Path, destinations: Sequence[Destination], *, at_most: int = AT_ONCE, files: Files = FILES
) -> list[SpoolLog]:
    """Take over the folders under *root* that `adoptable` yields, the oldest *at_most* of them.

    Each holds a descriptor for its lock until it is closed: a service that has crashed a thousand times must be able to start.
    """
    return list(islice(adoptable(root, destinations, files=files), max(0, at_most)))


def adoptable(root: Path, destinations: Sequence[Destination], *, files: Files = FILES) -> Iterator[SpoolLog]:
    """Take over, one by one, the folders of dead processes that hold events for one of *destinations*; the oldest first.

    A log that it yields is the caller's to close. Folders in which nothing is left are removed; one that cannot be read is
    left alone, with a log line. Never raises for what is under *root*.
    """
    keys = {destination.key for destination in destinations}
    busy: list[Path] = []
    _sweep(files, root)
    for path in _folders(files, root):
        lock = _take(files, path)
        if lock is None:
            busy.append(path)
        elif (log := _opened(files, path, lock, keys)) is not None:
            yield log
    if busy:
        native.sleep(_SECOND_LOOK_SECONDS)
    for path in busy:
        lock = _take(files, path)
        if lock is not None and (log := _opened(files, path, lock, keys)) is not None:
            yield log


def take_over(path: Path, *, files: Files = FILES) -> SpoolLog | None:
    """Return the log in the folder *path*, whoever its events are for, for the caller to close; None if a process owns it.

    Raises:
        OSError: if it cannot be read, or is not there.
        SpoolFormatError: if its `spool.json` cannot be used.
    """
    lock = _open_lock(files, path)
    if not files.lock(lock):
        files.close(lock)
        return None
    return _log(files, path, lock)


def stranded(root: Path, destinations: Sequence[Destination], *, files: Files = FILES) -> list[Stranded]:
    """Return what dead processes left under *root* that none of *destinations* may deliver; never raises for what is there."""
    keys = {destination.key for destination in destinations}
    return [one for path in _folders(files, root) for one in _stranded(files, path, keys)]


def _stranded(files: Files, path: Path, keys: set[tuple[str, str, str]]) -> Iterator[Stranded]:
    try:
        if is_alive(path, files=files):
            return  # asked first: to look costs milliseconds
        view = look_at(path, files=files)
    except FileNotFoundError:
        return  # another process removed it meanwhile
    except OSError as error:
        yield Stranded(path.name, None, 0, f"it cannot be read: {error.strerror}")
        return
    if view.meta is None:
        yield Stranded(view.name, None, view.end - 1, view.problem)
    for backlog in view.backlogs:
        if backlog.waiting and backlog.destination.key not in keys:
            yield Stranded(view.name, backlog.destination, backlog.waiting)


def _sweep(files: Files, root: Path) -> None:
    try:
        sweep(files, root)
    except FileNotFoundError:
        return  # no root
    except OSError as error:
        _warn(f"spool {root}: leftovers could not be removed: {error.strerror}")


def _folders(files: Files, root: Path) -> list[Path]:
    try:
        return folders(root, files)
    except OSError as error:
        _warn(f"spool {root} cannot be looked at: {error.strerror}")
        return []


def _take(files: Files, path: Path) -> int | None:
    """Return the lock of the folder *path*, -1 if there is nothing to take, None if somebody holds it."""
    try:
        lock = _open_lock(files, path)
    except (FileNotFoundError, FileExistsError, NotADirectoryError):
        return -1  # it is being removed, or another process was first
    except OSError as error:
        _say_left_alone(path, error)
        return -1
    try:
        is_free = files.lock(lock)
    except OSError as error:
        files.close(lock)
        _say_left_alone(path, error)
        return -1
    # Its owner may have removed or renamed the folder since it was opened.
    if is_free and files.is_at(lock, path / LOCK):
        return lock
    files.close(lock)
    return -1 if is_free else None


def _open_lock(files: Files, path: Path) -> int:
    """Return the open lock of the folder *path*; a new one where somebody removed it, or nobody would ever deliver its events."""
    try:
        return files.open_to_read(path / LOCK)
    except FileNotFoundError:
        if not is_folder(path, files):
            raise
        return files.create(path / LOCK)


def _say_left_alone(path: Path, error: OSError | SpoolFormatError) -> None:
    reason = error.strerror if isinstance(error, OSError) else error
    _warn(f"spool {path} is left alone: {reason}")


def _warn(text: str) -> None:
    Notices().warn("adoption", text)  # a log handler that raises would leave locks with us, and nobody to deliver


def _opened(files: Files, path: Path, lock: int, keys: set[tuple[str, str, str]]) -> SpoolLog | None:
    """Return the log in *path* if it holds something for one of *keys*, else let go of *lock*."""
    if lock < 0:
        return None
    try:
        log = _log(files, path, lock)
    except (OSError, SpoolFormatError) as error:
        _say_left_alone(path, error)
        return None
    if log.is_drained:
        log.close()
    elif any(one.key in keys and log.position(one.name) < log.end for one in log.destinations):
        return log
    else:
        log.leave()
    return None


def _log(files: Files, path: Path, lock: int) -> SpoolLog:
    try:
        return SpoolLog.adopted(path, load_meta(files, path), lock, files=files)
    except (OSError, SpoolFormatError):
        files.close(lock)
        raise
