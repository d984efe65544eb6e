"""The writing end of a spool folder: the last segment, what of it is whole, and what of it is durable.

What an append wrote counts from the moment at which `_Part.written` says so, one assignment at the end. Until then an error,
an exception of a signal handler, or the death of the process leaves bytes behind that nobody looks at; the next append cuts
them off first, or goes to a new file where that fails. A signal handler may raise between any two lines here: whatever is
half done then is found, and done again from its beginning, by the next call.

A file whose `fdatasync` failed once is never trusted again: the kernel reports a lost page once and then calls it clean
(https://wiki.postgresql.org/wiki/Fsync_Errors). What was not durable in it is written again, to a file of its own.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

from backplane_runtime.spool.files import Files, write_durably
from backplane_runtime.spool.frame import encode_frames
from backplane_runtime.spool.scan import Frame, Scan
from backplane_runtime.spool.segments import Chain, Mark, Segment

_LEAVE_SHARE = 8  # a delivered file is left if it has this part of the size at which it is followed anyway


class _Part(Segment):
    """A segment file of this process.

    Attributes:
        written: behind the last frame that counts.
        durable: behind the last frame that survives a loss of power.
        descriptor: of the open file, -1 if it is closed: then nothing is appended any more.
        is_clean: the file ends where `written` says.
        is_failed: a sync of it failed, or did not come to its end.
    """

    def __init__(self, folder: Path, first: int) -> None:
        super().__init__(folder, first)
        self.written = Mark(0, first)
        self.durable = Mark(0, first)
        self.descriptor = -1
        self.is_clean = True
        self.is_failed = False

    @property
    def held(self) -> int:
        """Return the bytes of the file."""
        return self.written.size


class Tail:
    """Appends frames to the last segment of *chain* in *folder*; one call at a time."""

    def __init__(self, files: Files, folder: Path, chain: Chain, segment_bytes: int) -> None:
        self._files = files
        self._folder = folder
        self._chain = chain
        self._segment_bytes = segment_bytes
        self._worth_leaving = max(1, segment_bytes // _LEAVE_SHARE)
        self._part: _Part | None = None
        self._loose: list[_Part] = []  # those that may hold what is not durable, oldest first
        self._hidden: list[_Part] = []  # those that hold what readers do not see yet
        self._names_are_durable = True

    @property
    def number(self) -> int:
        """Return the number of the next event that is appended."""
        return self._part.written.number if self._part else 1

    def append(self, lines: Sequence[bytes], *, sync: bool) -> None:
        """Write *lines* as frames; with *sync*, they are durable when it returns.

        Raises:
            OSError: if they cannot be written; then none of them counts.
            ValueError: if one of them holds a newline.
        """
        part = self._writable_part()
        frames = encode_frames(part.written.number, lines)
        size = sum(map(len, frames))
        mark = Mark(part.written.size + size, part.written.number + len(lines))
        part.is_clean = False
        try:
            self._files.write(part.descriptor, frames, part.written.size)
            if sync:
                self._make_durable(part, mark)
        except OSError:
            self._cut_off(part)
            raise
        part.written = mark
        part.is_clean = True

    def could_leave(self, position: int) -> bool:
        """Say whether the last file is large enough to be left, and every event in it is before *position*."""
        part = self._part
        return part is not None and part.written.number <= position and part.written.size >= self._worth_leaving

    def leave(self, position: int) -> None:
        """Go to a new file if the last one can be left.

        Raises:
            OSError: if there can be no new file; then the old one stays.
        """
        if self.could_leave(position):
            self._next_part()

    def publish(self) -> int:
        """Let readers see what was appended, and return the number behind it; no I/O."""
        for part in self._hidden:
            part.size = part.written.size
        self._hidden = self._hidden[-1:]
        return self.number

    def sync(self) -> None:
        """Return when everything that was appended survives a loss of power.

        Raises:
            OSError: if that could not be had; the next call writes again what may be lost.
        """
        if self._part is not None:
            self._make_durable(self._part, self._part.written)

    def close(self) -> None:
        """Close the file; what does not count is cut off, if it can be."""
        part = self._part
        if part is not None:
            if not part.is_clean:
                self._cut_off(part)
            self._let_go(part)

    def forget(self) -> None:
        """Close the descriptor, which a parent process shares, and touch nothing else."""
        if self._part is not None:
            self._let_go(self._part)

    def _let_go(self, part: _Part) -> None:
        if part.descriptor >= 0:
            descriptor, part.descriptor = part.descriptor, -1
            self._files.close(descriptor)

    def _writable_part(self) -> _Part:
        """Return the part to append to, in which nothing stands behind what counts."""
        part = self._part
        if part is not None and not part.is_clean:
            self._cut_off(part)
        if part is not None and part.is_failed:
            self._write_again(part)
        part = self._part
        # It may have been passed already, or not be in the chain yet: then somebody was interrupted while making the next.
        if part is None or part.descriptor < 0 or part.written.size >= self._segment_bytes or not self._is_last(part):
            part = self._next_part()
        if part not in self._loose:
            self._loose.append(part)
        if part not in self._hidden:
            self._hidden.append(part)
        return part

    def _is_last(self, part: _Part) -> bool:
        return part.limit is None and self._chain.all[-1:] == (part,)

    def _cut_off(self, part: _Part) -> None:
        """Cut off what an append left that did not come to its end; give the file up if that cannot be done."""
        part.durable = min(part.durable, part.written)
        try:
            if part.descriptor >= 0 and self._files.size(part.descriptor) > part.written.size:
                self._files.truncate(part.descriptor, part.written.size)
        except OSError:
            # The next part begins with the same number: so nobody takes what stands here behind it.
            self._let_go(part)
        part.is_clean = True

    def _next_part(self) -> _Part:
        """Begin a new file, behind what counts so far."""
        last, fresh = self._part, _Part(self._folder, self.number)
        # Where there is such a file nothing in it counts: the call that made it did not come to its end.
        self._files.unlink(fresh.path)
        fresh.descriptor = self._files.create(fresh.path)
        self._names_are_durable = False
        self._chain.add(fresh)
        self._part = fresh
        if last is not None:
            self._let_go(last)
        known = self._chain.all
        self._loose = [one for one in self._loose if one in known]
        return fresh

    def _make_durable(self, part: _Part, mark: Mark) -> None:
        """Sync all up to *mark* of the last *part*."""
        for one in [one for one in self._loose if one is not part]:
            if one.is_failed:
                self._write_again(one)
            else:
                self._sync_old(one)
        if part.is_failed:
            self._write_again(part)
        elif part.durable < mark:
            self._sync_part(part, part.descriptor, mark)
        self._loose = [one for one in self._loose if one is self._part]
        if not self._names_are_durable:
            self._files.sync_folder(self._folder)
            self._names_are_durable = True

    def _sync_old(self, part: _Part) -> None:
        if part.durable < part.written:
            try:
                descriptor = self._files.open_to_read(part.path)
            except FileNotFoundError:
                return  # every destination has passed it, and it was released
            try:
                self._sync_part(part, descriptor, part.written)
            finally:
                self._files.close(descriptor)

    def _sync_part(self, part: _Part, descriptor: int, mark: Mark) -> None:
        part.is_failed = True  # until it is known to be otherwise
        self._files.sync(descriptor)
        part.durable = mark
        part.is_failed = False

    def _write_again(self, part: _Part) -> None:
        """Put what may be lost of *part*, whose sync failed, in a file of its own; the old copy does not count any more.

        Raises:
            OSError: if that fails, or if some of it is lost already; in the latter case it will not be tried again.
        """
        is_whole = True
        if part.durable < part.written:
            fresh, is_whole = self._copy(part)
            self._hidden.append(fresh)
            self._chain.add(fresh)
            if fresh.first > part.first:
                part.size = min(part.size, part.durable.size)
            if part is self._part:
                self._part = fresh  # it has no descriptor, so the next append begins a new file
            part.written = part.durable
        self._let_go(part)
        if not is_whole:
            raise OSError(errno.EIO, "events that were written before are lost", str(part.path))

    def _copy(self, part: _Part) -> tuple[_Part, bool]:
        """Return a durable copy of what of *part* is not, and whether all of it was still there."""
        fresh = _Part(self._folder, part.durable.number)
        kept: list[bytes] = []
        descriptor = self._files.open_to_read(part.path)
        try:
            scan = Scan(self._files, descriptor)
            scan.offset = part.durable.size
            while (found := scan.next(part.written.size)) is not None:
                if isinstance(found, Frame):
                    kept.append(self._files.read(descriptor, found.stop - found.start, found.start))
                    fresh.size += len(kept[-1]) if found.start < part.size else 0
        finally:
            self._files.close(descriptor)
        size = sum(map(len, kept))
        write_durably(self._files, fresh.path, b"".join(kept))
        self._names_are_durable = False
        fresh.written = fresh.durable = Mark(size, part.written.number)
        return fresh, size == part.written.size - part.durable.size
