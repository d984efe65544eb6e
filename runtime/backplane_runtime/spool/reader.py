"""One destination's view of a spool folder."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import accumulate

from backplane_runtime.spool.cursor import Cursor, State
from backplane_runtime.spool.folder import Folder
from backplane_runtime.spool.keeping import entry_for
from backplane_runtime.spool.walk import Walk


class SpoolReader:
    """Reads the events of *folder* in order for one destination; one thread uses it.

    Attributes:
        destination: its name.
        skipped: events that this reader found to be lost to damage: numbers that are missing.
    """

    def __init__(self, folder: Folder, destination: str, cursor: Cursor) -> None:
        self.destination = destination
        self.skipped = 0
        self._is_closed = False
        self._folder = folder
        self._cursor = cursor
        self._walk = Walk(folder.files, folder.chain, cursor.state.position, folder.report)
        self._gaps: deque[tuple[int, int]] = deque()
        self._lines: list[bytes] = []  # of one frame
        self._first = cursor.state.position  # number of the first of them
        self._at = 0  # place in them of the next
        self._batch: list[tuple[int, bytes]] = []  # that is being taken
        self._ends = [end for end in cursor.state.ends if end > self.position]  # of batches that are not settled
        self._remembered = deque(self._ends)  # those that another process read

    @property
    def position(self) -> int:
        """Return the number before which every event is settled."""
        return self._cursor.state.position

    def read(self, count: int, size: int) -> list[tuple[int, bytes]]:
        """Return the events after those read before, with their numbers: *count* events or *size* bytes at most, but one.

        The end of the batch is noted: after a crash the same batch is read again, whatever *count* and *size* are then.

        Raises:
            OSError: if a segment cannot be opened; nothing is skipped, and the next call tries again.
        """
        if self._remembered:
            limit = self._remembered[0]
            batch = self._take(limit, limit, None)
            self._remembered.popleft()
            if batch:
                return batch
        batch = self._take(None, count, size)
        if batch:
            self._ends.append(batch[-1][0] + 1)
            self._note(self.position)
        elif self._gaps:
            self._note(self.position)  # all that was left is lost
        return batch

    def settle(self, before: int) -> None:
        """Note that every event before the number *before* is settled; an earlier number than noted changes nothing.

        Raises:
            ValueError: if one of them was not read.
        """
        passed = self._first + self._at if self._at < len(self._lines) else self._walk.number
        if before > passed:
            raise ValueError(f"events before number {before} cannot be settled: they were not read")
        if before > self.position:
            self._note(before)

    def set_aside(self, number: int, line: bytes, reason: str) -> None:
        """Keep an event that the destination refuses for good; it survives a loss of power before this returns.

        Raises:
            OSError: if it cannot be kept; then it must not be settled.
        """
        if not self._is_closed:  # afterwards it comes again anyway, and the folder may be another process's
            self._folder.keeping.set_aside(entry_for(self.destination, number, line, reason))

    def close(self) -> None:
        """Close its files; what is noted stays noted, and nothing more will be."""
        self._is_closed = True
        self._walk.close()
        self._cursor.close()

    def forget(self) -> None:
        """Close what a forked child inherited."""
        self._walk.close()
        self._cursor.forget()

    def _take(self, limit: int | None, count: int, size: int | None) -> list[tuple[int, bytes]]:
        """Return up to *count* events of *size* bytes whose numbers are below *limit*."""
        batch = self._batch
        room = size
        while len(batch) < count and (self._at < len(self._lines) or self._load_more(limit)):
            piece = self._lines[self._at : self._stop(count - len(batch), limit)]
            fitting = len(piece) if room is None else _fitting(piece, room)
            if not batch and piece:
                fitting = max(fitting, 1)
            batch += enumerate(piece[:fitting], self._first + self._at)
            self._at += fitting
            if fitting < len(piece) or not piece:
                break
            if room is not None:
                room -= sum(map(len, piece))
        self._batch = []
        return batch

    def _stop(self, count: int, limit: int | None) -> int:
        """Return the place behind the lines in hand that may be taken now: *count* of them, with numbers below *limit*."""
        stop = self._at + count
        return stop if limit is None else max(self._at, min(stop, limit - self._first))

    def _load_more(self, limit: int | None) -> bool:
        """Load the next frame, and say whether there is one; where that fails, a batch without *limit* ends earlier."""
        try:
            return self._load()
        except OSError:
            # A batch that must be as it was is completed by the next call.
            if limit is not None or not self._batch:
                raise
            return False

    def _load(self) -> bool:
        """Have the events of the next frame in hand, and say whether there is one."""
        found = self._walk.next(self._folder.end)
        for start, stop in self._walk.gaps:
            self.skipped += stop - start
            self._gaps.append((start, stop))
        self._walk.gaps.clear()
        if found is None:
            return False
        self._first, self._lines = found
        self._at = 0
        return True

    def _note(self, position: int) -> None:
        """Write how far it is; what is lost counts as settled once all before it is."""
        while self._gaps and self._gaps[0][0] <= position:
            position = max(position, self._gaps.popleft()[1])
        self._ends = [end for end in self._ends if end > position]
        try:
            self._cursor.note(State(position, tuple(self._ends)))
        except OSError as error:
            text = f"the place of `{self.destination}` could not be noted; after a crash it gets events again"
            self._folder.warn("cursor", text, error)


def _fitting(lines: Sequence[bytes], room: int) -> int:
    """Return how many of *lines* have *room* bytes together at most."""
    if sum(map(len, lines)) <= room:
        return len(lines)
    return sum(total <= room for total in accumulate(map(len, lines)))
