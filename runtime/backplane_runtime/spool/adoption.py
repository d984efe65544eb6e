"""Folders that dead processes left: who may deliver their events takes them over."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backplane_runtime import native
from backplane_runtime.spool.files import FILES, Files
from backplane_runtime.spool.inspection import FolderView, folders, look_at_root
from backplane_runtime.spool.layout import LOCK, Destination, Meta, SpoolFormatError, load_meta
from backplane_runtime.spool.log import SpoolLog
from backplane_runtime.spool.removal import sweep

_LOGGER = logging.getLogger("backplane")
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


def adopt(root: Path, destinations: Sequence[Destination], *, files: Files = FILES) -> list[SpoolLog]:
    """Take over every folder under *root* that `adoptable` yields, oldest first."""
    return list(adoptable(root, destinations, files=files))


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


def stranded(root: Path, destinations: Sequence[Destination], *, files: Files = FILES) -> list[Stranded]:
    """Return what dead processes left under *root* that none of *destinations* may deliver."""
    keys = {destination.key for destination in destinations}
    try:
        return [one for view in look_at_root(root, files=files) for one in _stranded(view, keys)]
    except OSError as error:
        _LOGGER.warning("spool %s cannot be looked at: %s", root, error.strerror)
        return []


def _stranded(view: FolderView, keys: set[tuple[str, str, str]]) -> Iterator[Stranded]:
    if view.is_alive:
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
        return  # no root, or another process swept at the same time
    except OSError as error:
        _LOGGER.warning("spool %s: leftovers could not be removed: %s", root, error.strerror)


def _folders(files: Files, root: Path) -> list[Path]:
    try:
        return folders(root, files)
    except OSError as error:
        _LOGGER.warning("spool %s cannot be looked at: %s", root, error.strerror)
        return []


def _take(files: Files, path: Path) -> int | None:
    """Return the lock of the folder *path*, -1 if there is nothing to take, None if somebody holds it."""
    try:
        lock = files.open_to_read(path / LOCK)
    except OSError as error:
        return _left_alone(path, error)
    is_free = files.lock(lock)
    # Its owner may have removed or renamed the folder since it was opened.
    if is_free and files.is_at(lock, path / LOCK):
        return lock
    files.close(lock)
    return -1 if is_free else None


def _left_alone(path: Path, error: OSError) -> int:
    if not isinstance(error, FileNotFoundError):
        _LOGGER.warning("spool %s is left alone: %s", path, error.strerror)
    return -1


def _opened(files: Files, path: Path, lock: int, keys: set[tuple[str, str, str]]) -> SpoolLog | None:
    """Return the log in *path* if it holds something for one of *keys*, else let go of *lock*."""
    if lock < 0:
        return None
    try:
        meta = load_meta(files, path)
        log = SpoolLog.adopted(path, meta, lock, files=files)
    except (OSError, SpoolFormatError) as error:
        files.close(lock)
        reason = error.strerror if isinstance(error, OSError) else str(error)
        _LOGGER.warning("spool %s is left alone: %s", path, reason)
        return None
    if log.is_drained:
        log.close()
    elif _wanted(log, meta, keys):
        return log
    else:
        log.leave()
    return None


def _wanted(log: SpoolLog, meta: Meta, keys: set[tuple[str, str, str]]) -> bool:
    return any(one.destination.key in keys and log.position(one.name) < log.end for one in meta.destinations)
