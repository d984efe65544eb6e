"""What a program said about its events before it died: in a shared mapping, which survives SIGKILL.

Events are numbered. Each has two bytes: what `publish` returned for it, written after it returned, and what its receipt told
later, where it has one. They are two, so that neither of the two threads that write can undo what the other wrote.
"""

from __future__ import annotations

import mmap
from pathlib import Path

NOTHING, ACCEPTED, REFUSED = 0, 1, 2  # of `published`
ON_DISK, ACKNOWLEDGED = 1, 2  # of `told`


class Tally:
    """The mapping of *path*, made with room for *size* events where it is not there."""

    def __init__(self, path: Path, size: int) -> None:
        if not path.exists():
            with path.open("wb") as file:
                file.truncate(2 * size)
        self.size = size
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 2 * size)

    def publish(self, number: int, kind: int) -> None:
        """Note what `publish` returned for the event *number*."""
        self._shared[number] = kind

    def tell(self, number: int, kind: int) -> None:
        """Note what the receipt of the event *number* says."""
        self._shared[self.size + number] = kind

    def published(self, first: int = 0, stop: int | None = None) -> bytes:
        """Return what `publish` returned for the events from *first* to before *stop*."""
        return self._shared[first : self.size if stop is None else stop]

    def count(self, first: int = 0, stop: int | None = None) -> int:
        """Return how many of these events `publish` returned for."""
        noted = self.published(first, stop)
        return len(noted) - noted.count(NOTHING)

    def told(self) -> bytes:
        """Return what the receipts said, a byte for each event."""
        return self._shared[self.size :]
