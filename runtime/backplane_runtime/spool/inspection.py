"""Looking at folders without changing a byte of them, whether their owner lives or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backplane_runtime.spool.cursor import State, load_state
from backplane_runtime.spool.files import FILES, Files
from backplane_runtime.spool.keeping import kept_bytes
from backplane_runtime.spool.layout import (
    HIDDEN,
    LOCK,
    META,
    QUARANTINE,
    SET_ASIDE,
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
        end: the number after the last event.
        size: bytes of all its files.
        kept: bytes in `set-aside.jsonl` and `quarantine/`.
        meta: None if it cannot be used; `problem` says why then.
    """

    name: str
    path: Path
    is_alive: bool
    end: int
    size: int
    kept: int
    meta: Meta | None
    backlogs: tuple[Backlog, ...]
    problem: str = ""


def usage(root: Path) -> int:
    """Return the bytes of all files under *root*, 0 if there is none; what goes while it counts is not counted."""
    total = 0
    for path in root.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total


def look_at_root(root: Path, *, files: Files = FILES) -> Iterator[FolderView]:
    """Yield what is to see of each folder under *root*, oldest first.

    Raises:
        OSError: if *root* cannot be read; none, if it is not there.
    """
    for path in folders(root, files):
        try:
            yield look_at(path, files=files)
        except FileNotFoundError:
            continue  # its owner removed it meanwhile


def folders(root: Path, files: Files = FILES) -> list[Path]:
    """Return the folders of the spool under *root*, oldest first.

    Raises:
        OSError: if *root* cannot be read; none, if it is not there.
    """
    try:
        names = files.names(root)
    except FileNotFoundError:
        return []
    return [root / name for name in names if not name.startswith(HIDDEN) and files.exists(root / name / LOCK)]


def look_at(path: Path, *, files: Files = FILES) -> FolderView:
    """Return what is to see of the folder *path*.

    Raises:
        OSError: if it cannot be read.
    """
    is_alive = _is_alive(files, path)
    chain = load_chain(files, path)
    meta, problem = _meta(files, path)
    positions = {one.name: position(files, path, one, chain) for one in (meta.destinations if meta else ())}
    end = max(last_number(files, chain, _ignore), *positions.values(), 1)
    backlogs = tuple(
        Backlog(one.destination, positions[one.name], end - positions[one.name])
        for one in (meta.destinations if meta else ())
    )
    kept = kept_bytes(files, path)
    return FolderView(path.name, path, is_alive, end, usage(path), kept, meta, backlogs, problem)


def position(files: Files, path: Path, reading: Reading, chain: Chain) -> int:
    """Return the number before which a destination of the folder *path* has settled every event.

    Raises:
        OSError: if its cursor cannot be read.
    """
    first = next((one.first for one in chain.all), 1)
    return (load_state(files, path / reading.cursor) or State(first)).position


def events(path: Path, start: int = 1, *, files: Files = FILES) -> Iterator[tuple[int, bytes]]:
    """Yield the events of the folder *path* from number *start* on, each with its number.

    Raises:
        OSError: if it cannot be read.
    """
    walk = Walk(files, load_chain(files, path), start, _ignore)
    try:
        while (found := walk.next(None)) is not None:
            first, lines = found
            yield from enumerate(lines, first)
    finally:
        walk.close()


def _meta(files: Files, path: Path) -> tuple[Meta | None, str]:
    try:
        return load_meta(files, path), ""
    except SpoolFormatError as error:
        return None, str(error)
    except FileNotFoundError:
        return None, f"{META} is missing"


def _is_alive(files: Files, path: Path) -> bool:
    lock = files.open_to_read(path / LOCK)
    try:
        return files.is_locked(lock)
    finally:
        files.close(lock)


def _ignore(segment: Segment, descriptor: int, damage: Damage) -> None:
    """Leave damage to who owns the folder, and to `verify`."""


__all__ = ["QUARANTINE", "SET_ASIDE", "Backlog", "FolderView", "events", "folders", "look_at", "look_at_root", "usage"]
