"""The cursor of one destination: a journal of how far it is.

Each line is a whole state, so the last line that is intact is the truth:
`1 <position> <ends> <checksum>`, where the first word is the version of the line, every event before `position` is settled,
`ends` are the ends of batches that were read and not settled, with commas between (`-`: none), and the checksum is the CRC-32
of what stands before it, in hexadecimal.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import NamedTuple

from backplane_runtime import native
from backplane_runtime.spool.files import Files, read_whole, write_durably

REMEMBERED_BATCHES = 16  # ends kept in a line; a lane has fewer batches on their way
_VERSION = b"1"
_REWRITE_BYTES = 256 * 1024  # a journal of this size is replaced by its last line
_READ_LIMIT = 64 << 20


class State(NamedTuple):
    """How far a destination is."""

    position: int
    ends: tuple[int, ...] = ()


def render_state(state: State) -> bytes:
    """Return the line of *state*."""
    ends = ",".join(str(end) for end in state.ends[:REMEMBERED_BATCHES]) or "-"
    text = b"%b %d %b" % (_VERSION, state.position, ends.encode())
    return b"%b %08x\n" % (text, zlib.crc32(text))


def parse_states(journal: bytes) -> State | None:
    """Return the last intact state of *journal*, None if it has none."""
    for line in reversed(journal.split(b"\n")):
        state = _parse_line(line)
        if state is not None:
            return state
    return None


def _parse_line(line: bytes) -> State | None:
    text, _, checksum = line.rpartition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    words = text.split(b" ")
    if len(words) != 3 or words[0] != _VERSION:  # noqa: PLR2004 - version, position, ends
        return None
    try:
        ends = () if words[2] == b"-" else tuple(int(end) for end in words[2].split(b","))
        return State(int(words[1]), ends)
    except ValueError:
        return None


def load_state(files: Files, path: Path) -> State | None:
    """Return what the cursor file *path* says, None if it says nothing or is not there.

    Raises:
        OSError: if it is there and cannot be read.
    """
    try:
        return parse_states(read_whole(files, path, _READ_LIMIT))
    except FileNotFoundError:
        return None


class Cursor:
    """The journal of one destination, open to be written. Safe for threads.

    Attributes:
        size: bytes of the file.
    """

    def __init__(self, files: Files, path: Path, state: State) -> None:
        self.state = state
        self.size = 0
        self._files = files
        self._path = path
        self._descriptor: int | None = None
        self._is_torn = True  # of a file that somebody else wrote, who knows how it ends
        self._is_durable = False
        self._is_closed = False
        self._lock = native.Lock()

    def note(self, state: State) -> None:
        """Write that *state* is so now. Survives the death of the process, not a loss of power.

        Raises:
            OSError: if it cannot be written; the next call writes all that this one would have.
        """
        with self._lock:
            if self._is_closed:
                return  # a thread that was late; the folder may be another process's by now
            self.state = state
            self._is_durable = False
            if self.size > _REWRITE_BYTES:
                self._rewrite()
                return
            line = render_state(state)
            if self._is_torn:
                line = b"\n" + line  # so that what an interrupted write left spoils its own line only
            if self._descriptor is None:
                self._descriptor = self._files.open_to_append(self._path)
                self.size = self._files.size(self._descriptor)
            self._is_torn = True
            self._files.append(self._descriptor, line)
            self._is_torn = False
            self.size += len(line)

    def make_durable(self) -> None:
        """Return when the state survives a loss of power, once the folder is synced.

        Raises:
            OSError: if that cannot be had.
        """
        with self._lock:
            if not self._is_durable:
                self._rewrite()

    def close(self) -> None:
        """Close the file; what is noted from now on is forgotten."""
        with self._lock:
            self._is_closed = True
            self._close()

    def forget(self) -> None:
        """Close what a forked child inherited; without the lock, which a thread of the parent may hold for ever."""
        self._close()

    def _rewrite(self) -> None:
        line = render_state(self.state)
        self._close()
        write_durably(self._files, self._path, line)
        self.size = len(line)
        self._is_torn = False
        self._is_durable = True

    def _close(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            self._files.close(descriptor)
