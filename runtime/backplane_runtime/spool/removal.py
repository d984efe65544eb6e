"""Removing a folder of the spool, in a way that nobody mistakes what is left after a crash for a folder in use."""

from __future__ import annotations

from pathlib import Path

from backplane_runtime.spool.files import Files
from backplane_runtime.spool.layout import HIDDEN, LOCK, QUARANTINE, is_folder_name, is_ours


def holds_only_ours(files: Files, path: Path) -> bool:
    """Say whether nothing is in the folder *path* that somebody else put there.

    Raises:
        OSError: if it cannot be read.
    """
    return all(is_ours(name) or name == QUARANTINE for name in files.names(path))


def remove_folder(files: Files, path: Path) -> None:
    """Remove the folder *path*, whose lock is taken, and the files in it that are ours.

    Raises:
        OSError: if that cannot be done.
    """
    hidden = path.with_name(f"{HIDDEN}{path.name}")
    files.rename(path, hidden)
    files.sync_folder(path.parent)  # or a loss of power could bring back the name without the files
    _empty(files, hidden)


def discard(files: Files, hidden: Path) -> None:
    """Remove the half-made folder *hidden*, whose lock is taken; what cannot be removed now is swept later."""
    try:
        _empty(files, hidden)
    except OSError:
        return  # the error that is on its way already says what is wrong with this disk


def sweep(files: Files, root: Path) -> None:
    """Remove what is left of folders whose owner died while it made or removed them.

    Raises:
        OSError: if *root* cannot be read, or something cannot be removed; everything else is.
    """
    failure: OSError | None = None
    for name in files.names(root):
        if name.startswith(HIDDEN) and is_folder_name(name.removeprefix(HIDDEN)):
            try:
                _sweep(files, root / name)
            except FileNotFoundError:
                continue  # another process swept it at the same time
            except OSError as error:
                failure = error
    if failure is not None:
        raise failure


def _sweep(files: Files, hidden: Path) -> None:
    try:
        lock = files.open_to_read(hidden / LOCK)
    except FileNotFoundError:
        _sweep_unlocked(files, hidden)
        return
    try:
        if files.lock(lock) and files.is_at(lock, hidden / LOCK):
            _empty(files, hidden)
    finally:
        files.close(lock)


def _sweep_unlocked(files: Files, hidden: Path) -> None:
    # Its owner died, or is about to make the lock. Whoever makes that file has the folder; the other one looks elsewhere.
    try:
        lock = files.create(hidden / LOCK)
    except (FileExistsError, FileNotFoundError, NotADirectoryError):
        return
    try:
        if files.lock(lock):
            _empty(files, hidden)
    finally:
        files.close(lock)


def _empty(files: Files, hidden: Path) -> None:
    names = files.names(hidden)
    if QUARANTINE in names:
        for name in files.names(hidden / QUARANTINE):
            files.unlink(hidden / QUARANTINE / name)
        files.remove_folder(hidden / QUARANTINE)
    for name in sorted(names, key=lambda one: one == LOCK):  # the lock last: it tells others to keep off
        if is_ours(name):
            files.unlink(hidden / name)
    _remove_emptied(files, hidden)


def _remove_emptied(files: Files, hidden: Path) -> None:
    # Without its lock it belongs to whoever makes a new one: its owner, who was about to, or another process that sweeps.
    try:
        files.remove_folder(hidden)
    except OSError:
        if not _is_taken(files, hidden):
            raise


def _is_taken(files: Files, hidden: Path) -> bool:
    try:
        return LOCK in files.names(hidden)
    except FileNotFoundError:
        return True  # its owner has given it its name
