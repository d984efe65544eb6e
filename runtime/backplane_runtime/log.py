"""A log: events in the order of their publishing, numbered, with a reader for each destination.

`spool.SpoolLog` is one on disk. The one here is in memory, for `durability: memory`, and for as long as a disk fails. One
thread appends (the writer); each reader belongs to the thread of one lane. What was appended is seen after `commit`, so
that nobody delivers an event that the ledger does not know yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from backplane_runtime import native

FIRST_NUMBER = 1


class Reader(Protocol):
    """What one destination has read of a log, and what it has settled."""

    @property
    def position(self) -> int:
        """Return the number before which every event is settled."""

    @property
    def skipped(self) -> int:
        """Return how many events could not be read any more: a damaged disk."""

    def read(self, count: int, size: int) -> list[tuple[int, bytes]]:
        """Return the next events with their numbers: at most *count*, and *size* bytes, but at least one if there is one."""

    def settle(self, before: int) -> None:
        """Remember that every event before this number is settled."""

    def set_aside(self, number: int, line: bytes, reason: str) -> None:
        """Keep an event that cannot be delivered, where people find it; nothing where there is no disk."""


class Log(Protocol):
    """See the module."""

    @property
    def end(self) -> int:
        """Return the number after the last committed event."""

    @property
    def appended(self) -> int:
        """Return the number after the last appended event, committed or not."""

    @property
    def held_bytes(self) -> int:
        """Return the bytes that it takes."""

    @property
    def is_gone(self) -> bool:
        """Say whether somebody removed it, so that what is in it cannot be found by a later process."""

    def append(self, lines: Sequence[bytes], *, sync: bool = False) -> None:
        """Write *lines*, unseen until `commit`; with *sync* they survive a power loss when this returns.

        Raises:
            OSError: if that cannot be done; nothing of it will ever be seen.
        """

    def commit(self) -> None:
        """Show what was appended."""

    def reader(self, destination: str) -> Reader:
        """Return the view of one destination, where it stood."""

    def anchor(self) -> None:
        """Return when the log itself, though not what is in it, survives a loss of power.

        Raises:
            OSError: if that cannot be had; the next call tries again.
        """

    def release(self) -> None:
        """Free what every destination has settled."""

    def close(self) -> None:
        """Let go of it; what is not settled stays, where it can stay."""

    def forget(self) -> None:
        """Let go of it in a forked child, to whom it does not belong."""


class MemoryLog:
    """A log that is lost with its process."""

    def __init__(self) -> None:
        self.end = FIRST_NUMBER
        self.held_bytes = 0
        self.is_gone = False
        self._first = FIRST_NUMBER  # number of the first line that is held
        self._lines: list[bytes] = []
        self._readers: list[MemoryReader] = []
        self.lock = native.RLock()  # keeps `release` and `read` apart

    @property
    def appended(self) -> int:
        """Return the number after the last appended event, committed or not."""
        return self._first + len(self._lines)

    def append(self, lines: Sequence[bytes], *, sync: bool = False) -> None:  # noqa: ARG002 - there is no disk
        """Keep *lines*."""
        with self.lock:
            self.held_bytes += sum(map(len, lines))
            self._lines.extend(lines)

    def commit(self) -> None:
        """Show what was appended."""
        with self.lock:
            self.end = self.appended

    def reader(self, destination: str) -> MemoryReader:  # noqa: ARG002 - all start at the beginning
        """Return the view of one destination."""
        found = MemoryReader(self)
        self._readers.append(found)
        return found

    def anchor(self) -> None:
        """Do nothing: nothing of it survives."""

    def release(self) -> None:
        """Free what every reader has settled."""
        with self.lock:
            settled = min((one.position for one in self._readers), default=self.end) - self._first
            if settled > 0:
                self.held_bytes -= sum(map(len, self._lines[:settled]))
                del self._lines[:settled]
                self._first += settled

    def close(self) -> None:
        """Do nothing: what is not settled is lost, and its owner counts it."""

    def forget(self) -> None:
        """Do nothing: memory is copied by a fork."""

    def slice(self, start: int, count: int, size: int) -> list[tuple[int, bytes]]:
        """Return the events from number *start* on, as `Reader.read` bounds them."""
        with self.lock:
            lines = self._lines[start - self._first : min(start + count, self.end) - self._first]
        taken: list[tuple[int, bytes]] = []
        for number, line in enumerate(lines, start):
            size -= len(line)
            if size < 0 and taken:
                break
            taken.append((number, line))
        return taken


class MemoryReader:
    """One destination's view of a `MemoryLog`."""

    def __init__(self, log: MemoryLog) -> None:
        self.position = FIRST_NUMBER
        self.skipped = 0
        self._log = log
        self._next = FIRST_NUMBER

    def read(self, count: int, size: int) -> list[tuple[int, bytes]]:
        """Return the events after those that were read before."""
        with self._log.lock:  # when the data plane is closed, another thread reads what this one leaves
            taken = self._log.slice(self._next, count, size)
            self._next += len(taken)
        return taken

    def settle(self, before: int) -> None:
        """Remember that every event before this number is settled."""
        self.position = max(self.position, before)

    def set_aside(self, number: int, line: bytes, reason: str) -> None:
        """Do nothing: there is no disk to keep it on."""
