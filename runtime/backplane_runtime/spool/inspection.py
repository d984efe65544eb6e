"""Looking at folders without changing a byte of them, whether their owner lives or not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backplane_runtime.spool.cursor import State, load_state
from backplane_runtime.spool.files import FILES, Files
from backplane_runtime.spool.keeping import quarantined_bytes, read_set_aside
from backplane_runtime.spool.layout import (
    HIDDEN,
    LOCK,
    META,
    Destination,
    Meta,
    Reading,
    SpoolFormatError,
    load_meta,
)
from backplane_runtime.spool.scan import Damage
from backplane_runtime.spool.segments import Chain, Segment, load_chain
from backplane_runtime.spool.walk import Walk, last_number


@dataclass(frozen=True)
class Backlog:
    """How far a destination of a folder is; `waiting` is the number of events that it has not settled."""

    destination: Destination
    position: int
    waiting: int


@dataclass(frozen=True)
class FolderView:
    """A folder at one moment.

    Attributes:
        is_alive: a process owns it.
        first: the number of the first event that is still there, as far as names of files tell.
        end: the number after the last event.
        size: bytes of all its files.
        set_aside: events in `set-aside.jsonl`.
        quarantined: bytes in `quarantine/`.
        meta: None if it cannot be used; `problem` says why then.
    """

    name: str
    path: Path
    is_alive: bool
    first: int
    end: int
    size: int
    set_aside: int
    quarantined: int
    meta: Meta | None
    backlogs: tuple[Backlog, ...]
    problem: str = ""


def usage(root: str | Path) -> int:
    """Return the bytes of all files under *root*, 0 if there is none.

    What goes while it counts is not counted, nor what is in a folder that this process may not look into: it is none of ours.
    """
    total = 0
    try:
        with os.scandir(root) as entries:  # ten times as fast as `Path.rglob`, and a writer waits for it
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += usage(entry.path)
                else:
                    total += _size(entry)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return total
    return total


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0


def folders(root: Path, files: Files = FILES) -> list[Path]:
    """Return the folders of the spool under *root*, oldest first.

    Raises:
        OSError: if *root* cannot be read; none, if it is not there.
    """
    try:
        names = files.names(root)
    except FileNotFoundError:
        return []
    return [root / name for name in names if not name.startswith(HIDDEN) and is_folder(root / name, files)]


def is_folder(path: Path, files: Files = FILES) -> bool:
    """Say whether *path* is a folder of the spool."""
    # One of the two is enough: a cleaner of old files may have taken the lock, and a bad disk the description.
    return files.exists(path / LOCK) or files.exists(path / META)


def is_alive(path: Path, *, files: Files = FILES) -> bool:
    """Say whether a process owns the folder *path*.

    Raises:
        OSError: if that cannot be seen.
    """
    try:
        lock = files.open_to_read(path / LOCK)
    except FileNotFoundError:
        if files.exists(path / META):
            return False  # somebody removed the lock
        raise
    try:
        return files.is_locked(lock)
    finally:
        files.close(lock)


def look_at(path: Path, *, files: Files = FILES) -> FolderView:
    """Return what is to see of the folder *path*.

    Raises:
        OSError: if it cannot be read.
    """
    owned = is_alive(path, files=files)
    chain = load_chain(files, path)
    meta, problem = _meta(files, path)
    positions = {one.name: position(files, path, one, chain) for one in (meta.destinations if meta else ())}
    end = max(last_number(files, chain, _ignore), *positions.values(), 1)
    backlogs = tuple(
        Backlog(one.destination, positions[one.name], end - positions[one.name])
        for one in (meta.destinations if meta else ())
    )
    return FolderView(
        name=path.name,
        path=path,
        is_alive=owned,
        first=next((one.first for one in chain.all), end),
        end=end,
        size=usage(path),
        set_aside=sum(1 for _ in read_set_aside(path)),
        quarantined=quarantined_bytes(files, path),
        meta=meta,
        backlogs=backlogs,
        problem=problem,
    )


def position(files: Files, path: Path, reading: Reading, chain: Chain) -> int:
    """Return the number before which a destination of the folder *path* has settled every event.

    Raises:
        OSError: if its cursor cannot be read.
    """
    first = next((one.first for one in chain.all), 1)
    return (load_state(files, path / reading.cursor) or State(first)).position


class Events:
    """The events of the folder *path* from number *start* on, each with its number; read anew with each iteration.

    Attributes:
        damaged: bytes that could not be read, so far.
        gaps: numbers that are missing, so far: (first, number after the last), in order.
    """

    def __init__(self, path: Path, start: int = 1, *, files: Files = FILES) -> None:
        self.damaged = 0
        self.gaps: list[tuple[int, int]] = []
        self._files = files
        self._path = path
        self._start = start

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Yield them, in order.

        Raises:
            OSError: if the folder cannot be read.
        """
        self.damaged = 0
        walk = Walk(self._files, load_chain(self._files, self._path), self._start, self._count)
        self.gaps = walk.gaps
        try:
            while (found := walk.next(None)) is not None:
                first, lines = found
                yield from enumerate(lines, first)
        finally:
            walk.close()

    def _count(self, segment: Segment, descriptor: int, damage: Damage) -> None:  # noqa: ARG002 - a `Report`
        if not damage.is_torn:
            self.damaged += damage.stop - damage.start


def _meta(files: Files, path: Path) -> tuple[Meta | None, str]:
    try:
        return load_meta(files, path), ""
    except SpoolFormatError as error:
        return None, str(error)
    except FileNotFoundError:
        return None, f"{META} is missing"


def _ignore(segment: Segment, descriptor: int, damage: Damage) -> None:
    """Leave damage to who owns the folder, and to `verify`."""
