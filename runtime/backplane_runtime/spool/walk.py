"""All events of a chain of segments, in the order of their numbers."""

from __future__ import annotations

from collections.abc import Callable

from backplane_runtime.spool.files import Files
from backplane_runtime.spool.scan import Damage, Frame, Scan
from backplane_runtime.spool.segments import Chain, Segment

Report = Callable[[Segment, int, Damage], None]  # takes the segment, a descriptor of it, and what is wrong there


class Walk:
    """Goes through the events from *number* on; holds one open file and about one frame.

    Attributes:
        number: of the event that is expected next.
        gaps: numbers that are missing: (first, number after the last), in order; whoever reads them may remove them.
    """

    def __init__(self, files: Files, chain: Chain, number: int, report: Report) -> None:
        self.number = number
        self.gaps: list[tuple[int, int]] = []
        self._files = files
        self._chain = chain
        self._report = report
        self._segment: Segment | None = None
        self._scan: Scan | None = None
        self._descriptor = -1

    def next(self, end: int | None) -> tuple[int, list[bytes]] | None:
        """Return the number of the next event, and the events from there on that stand in one frame; None if there is none.

        Args:
            end: number after the last event that is known to have been written; None if nobody knows.

        Raises:
            OSError: if a segment cannot be opened; the next call tries again.
        """
        while end is None or self.number < end:
            found = self._scan.next(self._segment.size) if self._scan and self._segment else None
            if isinstance(found, Frame):
                events = self._unseen(found, end)
                if events:
                    return self.number - len(events), events
            elif isinstance(found, Damage):
                self._found_damage(found)
            elif not self._open_next():
                if end is not None:
                    self._miss(end)
                return None
        return None

    def close(self) -> None:
        """Close the file."""
        self._scan = None
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            self._files.close(descriptor)

    def _unseen(self, frame: Frame, end: int | None) -> list[bytes]:
        """Return the events of *frame* that were not returned before, and that no later segment holds as well."""
        limit = frame.limit
        for bound in (self._segment.limit if self._segment else None, end):
            limit = limit if bound is None else min(limit, bound)
        if limit <= self.number:
            return []
        if frame.first > self.number:
            self._miss(frame.first)
        events = frame.lines[self.number - frame.first : limit - frame.first]
        self.number = limit
        return events

    def _found_damage(self, damage: Damage) -> None:
        if self._segment is not None:
            self._report(self._segment, self._descriptor, damage)

    def _miss(self, stop: int) -> None:
        self.gaps.append((self.number, stop))
        self.number = stop

    def _open_next(self) -> bool:
        """Go to the next segment that may hold the expected event, and say whether there is one."""
        following = self._chain.next_for(self.number, self._segment)
        if following is None:
            return False
        try:
            descriptor = self._files.open_to_read(following.path)
        except FileNotFoundError:
            descriptor = -1
        self.close()
        self._segment = following
        if descriptor >= 0:
            self._descriptor = descriptor
            self._scan = Scan(self._files, descriptor)
        return True


def last_number(files: Files, chain: Chain, report: Report) -> int:
    """Return the number after the last event that *chain* ever held, as far as its last files tell; 1 if they tell nothing.

    Raises:
        OSError: if a file cannot be read.
    """
    for segment in reversed(chain.all):
        try:
            descriptor = files.open_to_read(segment.path)
        except FileNotFoundError:
            continue  # its owner lives, and has released it: cursors tell more
        try:
            number = _last_in(Scan(files, descriptor), segment, descriptor, report)
        finally:
            files.close(descriptor)
        if number:
            return number if segment.limit is None else min(number, segment.limit)
    return 1


def _last_in(scan: Scan, segment: Segment, descriptor: int, report: Report) -> int:
    number = 0
    while (found := scan.next(segment.size)) is not None:
        if isinstance(found, Damage):
            report(segment, descriptor, found)
        if isinstance(found, Frame) or not found.is_torn:
            number = max(number, found.limit)
    return number
