"""Reading one segment file from front to back, over whatever damage is in it."""

from __future__ import annotations

from dataclasses import dataclass

from backplane_runtime.spool.files import Files
from backplane_runtime.spool.frame import HEADER_SIZE, MAGIC, Header, decode_body, parse_header

_READ_AHEAD = 256 * 1024  # bytes; a frame that is longer is read whole


@dataclass(frozen=True, slots=True)
class Frame:
    """Events that are as they were written; `start` and `stop` are places in the file."""

    first: int
    lines: list[bytes]
    start: int
    stop: int

    @property
    def limit(self) -> int:
        """Return the number after the last event."""
        return self.first + len(self.lines)


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes from `start` to `stop` that are no readable frame.

    `limit` is the number after the last event that an intact header in front of them promises, 0 if there is none. `is_torn`:
    they stand at the end, and are what is left of a write that did not come to its own.
    """

    start: int
    stop: int
    limit: int
    is_torn: bool


class Scan:
    """Goes through an open segment file; holds at most one frame of it, or `_READ_AHEAD` bytes.

    Attributes:
        offset: place in the file of what comes next.
    """

    def __init__(self, files: Files, descriptor: int) -> None:
        self.offset = 0
        self._files = files
        self._descriptor = descriptor
        self._buffer = b""
        self._start = 0  # place in the file of the buffer's first byte

    def next(self, size: int) -> Frame | Damage | None:
        """Return what comes next in the first *size* bytes of the file, which must not change any more; None at their end."""
        if self.offset >= size:
            return None
        start = self.offset
        header = self._header(start, size)
        if header is None or start + header.size > size:
            return self._damage(start, size, header)
        lines = decode_body(header, self._bytes(start + HEADER_SIZE, header.length, size))
        if lines is None:
            return self._damage(start, size, header)
        self.offset = start + header.size
        return Frame(header.first, lines, start, self.offset)

    def _damage(self, start: int, size: int, header: Header | None) -> Damage:
        self.offset = self._next_header(start + 1, size)
        is_torn = self.offset == size and (header.size > size - start if header else self._is_cut(start, size))
        return Damage(start, self.offset, header.limit if header else 0, is_torn)

    def _is_cut(self, start: int, size: int) -> bool:
        """Say whether from *start* on nothing stands but the beginning of a header, or zeros, of which nothing was written."""
        length = size - start
        if length < HEADER_SIZE and self._bytes(start, length, size).startswith(MAGIC[:length]):
            return True
        while start < size:
            block = self._bytes(start, min(_READ_AHEAD, size - start), size)
            if not block or block.count(0) < len(block):
                return False
            start += len(block)
        return True

    def _next_header(self, start: int, size: int) -> int:
        """Return the place of the next intact header from *start* on, *size* if there is none."""
        while start < size:
            self._fetch(start, min(HEADER_SIZE, size - start), size)
            found = self._buffer.find(MAGIC, start - self._start)
            if not self._buffer:
                break  # somebody cut the file
            if found < 0:
                # What looks for three bytes in a row leaves two of them to the next round.
                start = max(start + 1, self._start + len(self._buffer) - len(MAGIC) + 1)
            elif self._header(self._start + found, size) is not None:
                return self._start + found
            else:
                start = self._start + found + 1
        return size

    def _header(self, start: int, size: int) -> Header | None:
        self._fetch(start, min(HEADER_SIZE, size - start), size)
        return parse_header(self._buffer, start - self._start)

    def _bytes(self, start: int, length: int, size: int) -> bytes:
        self._fetch(start, length, size)
        return self._buffer[start - self._start : start - self._start + length]

    def _fetch(self, start: int, length: int, size: int) -> None:
        """Have *length* bytes at *start* in the buffer, or as many as the file still has."""
        if self._start <= start and start + length <= self._start + len(self._buffer):
            return
        self._buffer = self._files.read(self._descriptor, min(max(length, _READ_AHEAD), size - start), start)
        self._start = start
