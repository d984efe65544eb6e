"""Rows about what a crash or a bad disk leaves of the spool: a file cut at any byte, a byte that is another one.

A program leaves a spool; of it, one damaged copy after the other is delivered by a data plane in this process.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backplane_runtime import DataPlane
from backplane_runtime.backplanes.in_memory import InMemoryBackplane
from backplane_runtime.settings import InMemory, Plane, Spool
from tests.faults.judgement import Outcome
from tests.faults.leftovers import await_empty
from tests.faults.scene import Row, Scene
from tests.faults.sinks import Arrival
from tests.faults.stage import Stage

EVENTS = 16  # each a batch of its own, for the program waits for each to be on disk
SECONDS = 20.0
_HEADER = struct.Struct(">3xxI8xI12x")  # length of the body, and number of events (spool/README.md)


class _Nowhere:
    """A sink from which nothing is to be read: what is delivered is in the memory of who delivers."""

    kind = "inMemory"
    tells_repeats = False

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}

    def arrivals(self) -> Iterator[Arrival]:
        """Yield nothing."""
        return iter(())


@dataclass
class _Sums:
    """Counts over all copies."""

    copies: int = 0
    found: int = 0
    duplicates: int = 0
    lost: int = 0
    problems: list[str] = field(default_factory=list)

    def compare(self, numbers: Sequence[int], wanted: Sequence[int], what: str) -> None:
        """Count the copy that gave *numbers* and should have given *wanted*."""
        self.copies += 1
        self.found += len(set(numbers))
        self.duplicates += len(numbers) - len(set(numbers))
        self.lost += len(set(wanted) - set(numbers))
        if list(numbers) != list(wanted):
            self.problems.append(f"{what}: {list(numbers)} instead of {list(wanted)}")

    def outcome(self, promise: str, places: int) -> Outcome:
        """Return the row."""
        return Outcome(
            published=self.copies * EVENTS,
            dropped=0,
            acknowledged=None,
            found=self.found,
            duplicates=self.duplicates,
            lost=self.lost,
            promise=promise,
            note=f"{self.copies} copies of {EVENTS} events, of {places} places",
            problems=tuple(self.problems[:5]),
        )


def _truncate(scene: Scene) -> Outcome:
    """Cut the segment at every byte: the batches before it arrive, in order."""
    left = _left_spool(scene)
    data = _segment(left).read_bytes()
    stops, sums = _stops(data), _Sums()
    for place in _sample(len(data) + 1, scene.sized(40, len(data) + 1)):
        whole = sum(stop <= place for stop in stops)
        sums.compare(_delivered(left, data[:place]), range(whole), f"cut at byte {place}")
    return sums.outcome("0 lost of whole batches", len(data) + 1)


def _flip(scene: Scene) -> Outcome:
    """Change one byte: the batch that it is in is kept for people, all others arrive."""
    left = _left_spool(scene)
    data = _segment(left).read_bytes()
    stops, sums = _stops(data), _Sums()
    for place in _sample(len(data), scene.sized(40, len(data))):
        hit = sum(stop <= place for stop in stops)
        changed = data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]
        wanted = [number for number in range(EVENTS) if number != hit]
        sums.compare(_delivered(left, changed), wanted, f"byte {place} changed")
    return sums.outcome("0 lost of other batches", len(data))


def _left_spool(scene: Scene) -> Path:
    """Return a folder that a killed program left, with events of which none is delivered."""
    stage = Stage(scene.folder, _Nowhere(), EVENTS)
    stage.plane |= {"flushIntervalMs": 3_600_000, "durability": "processStrict"}
    stage.start(count=EVENTS, ending="wait").await_published(EVENTS).kill()
    (left,) = stage.spool.iterdir()
    return left


def _segment(folder: Path) -> Path:
    (segment,) = folder.glob("*.seg")
    return segment


def _stops(data: bytes) -> list[int]:
    """Return the places behind the frames of a segment, each of which holds one event."""
    stops = [0]
    while stops[-1] < len(data):
        length, events = _HEADER.unpack_from(data, stops[-1])
        if events != 1:
            raise ValueError(f"a frame of {events} events")
        stops.append(stops[-1] + _HEADER.size + length)
    return stops[1:]


def _sample(places: int, count: int) -> Iterator[int]:
    """Yield *count* of the numbers from 0 to before *places*, the first and the last among them."""
    return (place * (places - 1) // max(1, count - 1) for place in range(count))


def _delivered(left: Path, data: bytes) -> list[int]:
    """Return the numbers of the events that a data plane delivers from a copy of *left* with *data* as its segment."""
    root = left.parent.parent / "copy"
    shutil.copytree(left, root / left.name)
    _segment(root / left.name).write_bytes(data)
    try:
        with DataPlane(InMemory(), plane=Plane(spool=Spool(directory=str(root)))) as plane:
            plane.start()
            await_empty(root, SECONDS)
            backplane = plane.backplane("inMemory")
            if not isinstance(backplane, InMemoryBackplane):
                raise TypeError(backplane)
            return [int(record.subject or -1) for record in backplane.records]
    finally:
        shutil.rmtree(root)


ROWS = (
    Row("spool truncated at every byte of its last segment", _truncate),
    Row("every byte of the spool flipped once", _flip),
)
