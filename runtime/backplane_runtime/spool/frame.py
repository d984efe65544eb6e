"""A frame: one batch of events in a segment file, with a header that says what it is and two checksums.

The header is 32 bytes, big-endian; the body is the events, each with a newline behind it. The first byte of a frame, 0xFF,
occurs in no UTF-8 text, so a reader that lost its place finds the next frame by searching.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

MAGIC = b"\xffBP"
VERSION = 1
HEADER_SIZE = 32
BODY_LIMIT = 1 << 18  # bytes; a batch that is larger becomes several frames, because a reader holds one of them

_FIELDS = struct.Struct(">3sBIQIII")  # magic, version, length, first, events, flags, checksum of the body
_CHECKSUM = struct.Struct(">I")


class Header(NamedTuple):
    """What a frame says of itself; `length` and `checksum` are those of its body."""

    version: int
    length: int
    first: int
    events: int
    flags: int
    checksum: int

    @property
    def limit(self) -> int:
        """Return the number after the last event."""
        return self.first + self.events

    @property
    def size(self) -> int:
        """Return the bytes of the whole frame."""
        return HEADER_SIZE + self.length


def encode_frames(first: int, lines: Sequence[bytes]) -> list[bytes]:
    """Return headers and bodies, by turns, that hold *lines* as the events from number *first* on.

    Raises:
        ValueError: if a line holds a newline; its parts would be taken for events.
    """
    frames: list[bytes] = []
    for count, body in _bodies(lines):
        if body.count(b"\n") != count:
            raise ValueError("an event for the spool must be one line: it holds a newline")
        fields = _FIELDS.pack(MAGIC, VERSION, len(body), first, count, 0, zlib.crc32(body))
        frames += (fields + _CHECKSUM.pack(zlib.crc32(fields)), body)
        first += count
    return frames


def _bodies(lines: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    size = sum(map(len, lines)) + len(lines)
    if size <= BODY_LIMIT or len(lines) == 1:
        yield len(lines), b"\n".join((*lines, b""))
        return
    step = max(1, len(lines) * BODY_LIMIT // size)
    for start in range(0, len(lines), step):
        yield from _bodies(lines[start : start + step])


def parse_header(buffer: bytes, offset: int) -> Header | None:
    """Return the header that stands at *offset* of *buffer*, None where none does."""
    if len(buffer) - offset < HEADER_SIZE or not buffer.startswith(MAGIC, offset):
        return None
    fields = buffer[offset : offset + _FIELDS.size]
    if zlib.crc32(fields) != _CHECKSUM.unpack_from(buffer, offset + _FIELDS.size)[0]:
        return None
    _, *values = _FIELDS.unpack(fields)
    return Header(*values)


def decode_body(header: Header, body: bytes) -> list[bytes] | None:
    """Return the events in *body*, None if it is not what *header* promised, or is of a version that this code cannot read."""
    if header.version != VERSION or header.flags or zlib.crc32(body) != header.checksum:
        return None
    lines = body.split(b"\n")
    if lines.pop() or len(lines) != header.events:
        return None
    return lines
