"""What a folder keeps for people: events that were set aside with a reason, and damaged bytes.

`set-aside.jsonl` holds a line of JSON for each event that a backplane refuses for good. `quarantine/` holds damaged ranges of
segments as they were found, each in a file `<first number of the segment>-<offset>.bin`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from backplane_runtime import native, timestamps
from backplane_runtime.spool.files import Files, size_of
from backplane_runtime.spool.layout import QUARANTINE, SET_ASIDE
from backplane_runtime.spool.scan import Damage
from backplane_runtime.spool.segments import Segment

QUARANTINE_LIMIT = 8 << 20  # bytes in one folder; what is damaged beyond that is counted only
_BLOCK = 256 * 1024


class SetAside(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of `set-aside.jsonl`; `event` if the event is JSON, else `text`."""

    destination: str
    number: int
    reason: str
    at: str
    event: msgspec.Raw = msgspec.Raw()
    text: str = ""


class Keeping:
    """The files beside the segments of *folder*. Safe for threads.

    Attributes:
        size: bytes in them.
        damaged: bytes that were found damaged since it was opened, kept or not.
    """

    def __init__(self, files: Files, folder: Path, size: int = 0) -> None:
        self.size = size
        self.damaged = 0
        self._files = files
        self._folder = folder
        self._lock = native.Lock()
        self._is_named = False  # the name of `set-aside.jsonl` survives a loss of power
        self._known: set[tuple[int, int]] = set()

    @property
    def is_empty(self) -> bool:
        """Say whether there is nothing for people to look at."""
        return not self.size and not self.damaged

    def set_aside(self, entry: SetAside) -> None:
        """Keep *entry*; it survives a loss of power when this returns.

        Raises:
            OSError: if it cannot be kept.
        """
        data = b"\n" + msgspec.json.encode(entry) + b"\n"  # what an interrupted write left does not spoil this line
        with self._lock:
            descriptor = self._files.open_to_append(self._folder / SET_ASIDE)
            try:
                self._files.append(descriptor, data)
                self._files.sync(descriptor)
            finally:
                self._files.close(descriptor)
            if not self._is_named:
                self._files.sync_folder(self._folder)
                self._is_named = True
            self.size += len(data)

    def quarantine(self, segment: Segment, descriptor: int, damage: Damage) -> bool:
        """Keep a copy of damaged bytes of an open segment, and say whether they are news.

        Raises:
            OSError: if they cannot be copied; they are counted all the same.
        """
        with self._lock:
            place = (segment.first, damage.start)
            if place in self._known:
                return False
            self._known.add(place)
            self.damaged += damage.stop - damage.start
            return self._copy(segment, descriptor, damage)

    def _copy(self, segment: Segment, descriptor: int, damage: Damage) -> bool:
        """Copy as much as there is room for, and say whether nobody who had the folder before has done it."""
        folder = self._folder / QUARANTINE
        path = folder / f"{segment.first:020d}-{damage.start}.bin"
        stop = min(damage.stop, damage.start + QUARANTINE_LIMIT - self.size)
        if size_of(self._files, path):
            return False
        if stop <= damage.start:
            return True
        try:
            self._files.make_folder(folder)
        except FileExistsError:
            self._files.unlink(path)  # empty: a process died before it wrote
        target = self._files.create(path)
        try:
            for offset in range(damage.start, stop, _BLOCK):
                data = self._files.read(descriptor, min(_BLOCK, stop - offset), offset)
                self._files.write(target, [data], offset - damage.start)
                self.size += len(data)
        finally:
            self._files.close(target)
        return True


def entry_for(destination: str, number: int, line: bytes, reason: str) -> SetAside:
    """Return the entry of an event that *destination* refuses for good."""
    at = timestamps.now()
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = line.decode(errors="backslashreplace")
        return SetAside(destination=destination, number=number, reason=reason, at=at, text=text)
    return SetAside(destination=destination, number=number, reason=reason, at=at, event=msgspec.Raw(line))


def kept_bytes(files: Files, folder: Path) -> int:
    """Return the bytes that a folder keeps for people.

    Raises:
        OSError: if it cannot be read.
    """
    return size_of(files, folder / SET_ASIDE) + quarantined_bytes(files, folder)


def quarantined_bytes(files: Files, folder: Path) -> int:
    """Return the bytes in the quarantine of a folder.

    Raises:
        OSError: if it cannot be read.
    """
    try:
        names = files.names(folder / QUARANTINE)
    except FileNotFoundError:
        return 0
    return sum(size_of(files, folder / QUARANTINE / name) for name in names)


def read_set_aside(folder: Path) -> Iterator[SetAside]:
    """Yield what a folder has set aside, each event once; a line that is damaged is passed over.

    Raises:
        OSError: if it is there and cannot be read.
    """
    seen: set[tuple[str, int]] = set()
    try:
        file = (folder / SET_ASIDE).open("rb")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            entry = _parsed(line)
            if entry is not None and (entry.destination, entry.number) not in seen:
                seen.add((entry.destination, entry.number))
                yield entry


def _parsed(line: bytes) -> SetAside | None:
    try:
        return msgspec.json.decode(line, type=SetAside)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # torn by a crash; or empty, as every second one is
