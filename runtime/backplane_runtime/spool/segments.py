"""The segment files of one folder, in the order of their events."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from backplane_runtime import native
from backplane_runtime.spool.files import Files
from backplane_runtime.spool.frame import HEADER_SIZE, parse_header
from backplane_runtime.spool.layout import segment_name, segment_number


class Mark(NamedTuple):
    """A place behind a frame: the size of the file up to there, and the number of the next event."""

    size: int
    number: int


class Segment:
    """One segment file.

    Attributes:
        first: number of its first event, which is its name.
        limit: number of the first event that it does not hold, or whose later copy counts; None while it is the last one.
        size: bytes that readers may look at; they never change.
    """

    def __init__(self, folder: Path, first: int) -> None:
        self.path = folder / segment_name(first)
        self.first = first
        self.limit: int | None = None
        self.size = 0

    @property
    def held(self) -> int:
        """Return the bytes of the file."""
        return self.size

    def holds_up_to(self, number: int) -> bool:
        """Say whether the event *number* may be in here or in an earlier one."""
        return self.limit is None or number < self.limit


class Chain:
    """The segments of one folder; readers look at them without a lock while others add and remove."""

    def __init__(self, segments: tuple[Segment, ...] = ()) -> None:
        self._segments = segments
        self._lock = native.RLock()  # for those who change it

    @property
    def all(self) -> tuple[Segment, ...]:
        """Return all segments of this moment."""
        return self._segments

    def add(self, fresh: Segment) -> None:
        """Put *fresh* where its number belongs; what earlier ones hold from that number on does not count any more."""
        with self._lock:
            before = tuple(one for one in self._segments if one.first < fresh.first)
            behind = tuple(one for one in self._segments if one.first > fresh.first)
            for one in before:
                if one.holds_up_to(fresh.first):
                    one.limit = fresh.first
            fresh.limit = behind[0].first if behind else None
            self._segments = (*before, fresh, *behind)

    def remove(self, gone: Segment) -> None:
        """Take *gone* out."""
        with self._lock:
            self._segments = tuple(one for one in self._segments if one is not gone)

    def next_for(self, number: int, after: Segment | None = None) -> Segment | None:
        """Return the first segment behind *after* that may hold the event *number*, None if there is none."""
        for one in self._segments:
            if one is not after and one.holds_up_to(number) and (after is None or one.first >= after.first):
                return one
        return None

    def passed_by(self, position: int) -> list[Segment]:
        """Return the segments all of whose events are before *position*; never the last one."""
        return [one for one in self._segments if not one.holds_up_to(position)]


def load_chain(files: Files, folder: Path) -> Chain:
    """Return the segments in *folder*.

    A file without an intact header of its own number at its front, such as one that only has the name of a segment, does not
    end the one before it.

    Raises:
        OSError: if the folder or a file cannot be read.
    """
    loaded: list[Segment] = []
    for name in files.names(folder):
        first = segment_number(name)
        if first is None:
            continue
        segment = Segment(folder, first)
        try:
            is_sound = _look_at(files, segment)
        except FileNotFoundError:
            continue  # its owner lives, and has released it
        if is_sound:
            for one in loaded:
                if one.holds_up_to(first):
                    one.limit = first
        if segment.size:
            loaded.append(segment)
    return Chain(tuple(loaded))


def _look_at(files: Files, segment: Segment) -> bool:
    """Set the size of *segment*, and say whether it begins as it should."""
    descriptor = files.open_to_read(segment.path)
    try:
        segment.size = files.size(descriptor)
        header = parse_header(files.read(descriptor, HEADER_SIZE, 0), 0)
        return header is not None and header.first == segment.first
    finally:
        files.close(descriptor)
