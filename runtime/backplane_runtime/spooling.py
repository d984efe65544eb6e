"""The spool as a data plane uses it: which folder, which destinations, how much of the quota is taken."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backplane_runtime.chain import Link, Promised
from backplane_runtime.config import ConfigError
from backplane_runtime.events import EventType
from backplane_runtime.lane import LaneOptions
from backplane_runtime.log import Log
from backplane_runtime.notices import Notices
from backplane_runtime.settings import Plane
from backplane_runtime.spool import Destination, SpoolLog, SpoolOptions, Stranded, adopt, default_root, stranded, usage
from backplane_runtime.spool.adoption import AT_ONCE
from backplane_runtime.spool.layout import SEGMENT_BYTES

LOOK_SECONDS = 0.1  # between looks at what can be freed
REOPEN_SECONDS = 1.0  # between attempts to use a disk that failed
ADOPTION_SECONDS = 30.0  # between looks at what dead processes left
SEGMENTS = 16  # at least, in a full spool: room is freed by whole ones
USAGE_SECONDS = 2.0  # between measurements of the whole folder


def wanted(plane: Plane) -> bool:
    """Say whether *plane* wants events on disk."""
    return plane.failure_mode == "spool" and plane.durability != "memory"


class Spooler:
    """The spool of one data plane. Creates nothing before it is asked to."""

    def __init__(self, plane: Plane, lanes: Sequence[LaneOptions]) -> None:
        self.root = _root(plane.spool.directory)
        self._max_bytes = plane.spool.max_bytes
        self._durability = plane.durability
        self._destinations = tuple(
            Destination(
                name=lane.name,
                type=lane.kind,
                target=lane.target,
                events=tuple(sorted(kind.value for kind in lane.events)),
            )
            for lane in lanes
        )
        self._used = self._own = 0  # bytes under the root and of our own logs, when it was measured
        self._next_usage = 0.0
        self._said_stranded: set[tuple[str, Destination | None]] = set()

    def open(self) -> Log:
        """Return a new log on disk.

        Raises:
            OSError: if there can be none.
        """
        size = min(SEGMENT_BYTES, self._max_bytes // SEGMENTS)
        options = SpoolOptions(
            destinations=self._destinations, segment_bytes=size, is_anchored=self._durability == "host"
        )
        return SpoolLog.create(self.root, options)

    def adopt(self, held: int) -> list[tuple[Log, Promised]]:
        """Return the logs that dead processes left, oldest first, each with the destinations that it still owes.

        *held* is how many of them this data plane has already; there is a bound.

        Raises:
            OSError: if the folder cannot be read.
        """
        at_most = AT_ONCE - held
        if at_most <= 0 or not self.root.exists():
            return []
        found: list[tuple[Log, Promised]] = [
            (log, self._owed(log)) for log in adopt(self.root, self._destinations, at_most=at_most)
        ]
        for left in stranded(self.root, self._destinations):
            if (left.folder, left.destination) not in self._said_stranded:
                self._said_stranded.add((left.folder, left.destination))
                self._say_stranded(left)
        return found

    def measure(self, links: Sequence[Link], now: float) -> None:
        """Measure from time to time what is under the root, where other processes write too."""
        if now >= self._next_usage:
            self._next_usage = now + USAGE_SECONDS
            own = _held(links)
            self._used, self._own = usage(self.root), own

    def fill(self, links: Sequence[Link]) -> float:
        """Return how much of the quota is taken, from 0 to 1 and beyond; looks at no disk."""
        return (self._used + _held(links) - self._own) / self._max_bytes

    def _say_stranded(self, left: Stranded) -> None:
        whom = f"`{left.destination.name}` ({left.destination.type})" if left.destination else "nobody knows whom"
        why = left.problem or "which this data plane does not have, or sends elsewhere"
        text = f"spool {left.folder} holds {left.events} events for {whom}, {why}"
        Notices().warn("stranded", f"{text}; they stay there: see `backplane spool ls {self.root}`")

    def _owed(self, log: SpoolLog) -> Promised:
        ours = {one.key for one in self._destinations}
        return {one.name: _promised(one) for one in log.destinations if one.key in ours}


def _promised(destination: Destination) -> frozenset[EventType]:
    return frozenset(kind for kind in EventType if not destination.events or kind.value in destination.events)


def _root(directory: str | None) -> Path:
    """Return the folder *directory* as it is called from everywhere: the program may go elsewhere."""
    if not directory:
        return default_root()
    try:
        return Path(directory).expanduser().absolute()
    except RuntimeError:
        raise ConfigError(
            f"`spool.directory: {directory}`: this system knows no home of that user; write the whole path"
        ) from None


def _held(links: Sequence[Link]) -> int:
    return sum(link.log.held_bytes for link in links if link.is_durable)
