"""Checking every frame of a folder, without changing a byte, whether its owner lives or not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backplane_runtime.spool.cursor import load_state
from backplane_runtime.spool.files import FILES, Files
from backplane_runtime.spool.inspection import FolderView, look_at
from backplane_runtime.spool.scan import Damage, Scan
from backplane_runtime.spool.segments import Segment, load_chain
from backplane_runtime.spool.walk import Walk

_LOOKS = 3
# An owner that is at work may cut off and write again what was just read; it needs microseconds for it.
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: a file, and what is wrong with it."""

    path: Path
    text: str


def verify(path: Path, *, files: Files = FILES) -> list[Finding]:
    """Return what is wrong in the folder *path*; an unfinished write at the end of a segment is not.

    Raises:
        OSError: if it cannot be read.
    """
    view = look_at(path, files=files)
    found = _findings(view, files)
    for _ in range(_LOOKS - 1):
        if not found or not view.is_alive:
            break
        time.sleep(_PAUSE_SECONDS)
        again = set(_findings(look_at(path, files=files), files))
        found = [finding for finding in found if finding in again]
    return found


def _findings(view: FolderView, files: Files) -> list[Finding]:
    return [*_description(view, files), *_damage(view.path, files), *_gaps(view, files)]


def _description(view: FolderView, files: Files) -> Iterator[Finding]:
    if view.meta is None:
        yield Finding(view.path, view.problem)
        return
    for reading in view.meta.destinations:
        if load_state(files, view.path / reading.cursor) is None:
            yield Finding(view.path / reading.cursor, f"no line is intact: `{reading.name}` gets every event again")


def _damage(path: Path, files: Files) -> Iterator[Finding]:
    for segment in load_chain(files, path).all:
        try:
            descriptor = files.open_to_read(segment.path)
        except FileNotFoundError:
            continue  # its owner has released it
        try:
            scan = Scan(files, descriptor)
            while (found := scan.next(segment.size)) is not None:
                if isinstance(found, Damage) and not found.is_torn:
                    yield Finding(segment.path, f"bytes {found.start} to {found.stop - 1} are damaged")
        finally:
            files.close(descriptor)


def _gaps(view: FolderView, files: Files) -> Iterator[Finding]:
    chain = load_chain(files, view.path)
    start = min((backlog.position for backlog in view.backlogs), default=next((one.first for one in chain.all), 1))
    walk = Walk(files, chain, start, _known)
    try:
        while walk.next(view.end) is not None:
            continue
    finally:
        walk.close()
    for first, stop in walk.gaps:
        lost = f"event {first} is" if stop == first + 1 else f"events {first} to {stop - 1} are"
        yield Finding(view.path, f"{lost} missing")


def _known(segment: Segment, descriptor: int, damage: Damage) -> None:
    """Leave damage to `_damage`, which has looked at every segment."""
