"""The spool of one process: a folder that it appends events to, or one that a dead process left to be delivered."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from backplane_runtime import native
from backplane_runtime.spool.cursor import Cursor, State, load_state, render_state
from backplane_runtime.spool.files import FILES, Files, write_durably
from backplane_runtime.spool.folder import Folder
from backplane_runtime.spool.keeping import Keeping, kept_bytes
from backplane_runtime.spool.layout import (
    HIDDEN,
    LOCK,
    META,
    Meta,
    SpoolOptions,
    new_folder_name,
    new_meta,
    render_meta,
)
from backplane_runtime.spool.reader import SpoolReader
from backplane_runtime.spool.removal import discard, holds_only_ours, remove_folder
from backplane_runtime.spool.segments import Chain, load_chain
from backplane_runtime.spool.tail import Tail
from backplane_runtime.spool.walk import last_number

LEAVE_SECONDS = 5.0  # between looks at a last segment that could be left, because all in it is delivered
_ATTEMPTS = 5


class SpoolLog:
    """One folder, owned by this process for as long as it is open; see `create` and `adoption.adopt`.

    `append`, `commit` and `sync` are called by one thread at a time, `release` and `close` by one; each reader has a thread of
    its own. Events are numbered from 1.

    Attributes:
        name: of the folder.
        path: of the folder.
        destinations: those that it has a reader for.
        is_adopted: a process that is dead wrote it, and nothing can be appended.
    """

    def __init__(self, folder: Folder, meta: Meta, lock: int, tail: Tail | None) -> None:
        self.name = folder.path.name
        self.path = folder.path
        self.destinations = tuple(one.destination for one in meta.destinations)
        self.is_adopted = tail is None
        self._folder = folder
        self._lock = lock
        self._tail = tail
        self._cursors = {one.name: _cursor(folder, one.cursor) for one in meta.destinations}
        self._readers: dict[str, SpoolReader] = {}
        self._changing = native.RLock()
        self._appending = native.RLock()  # only `release` on another thread ever makes it wait, for microseconds
        self._next_leaving = 0.0
        self._is_anchored = True

    @classmethod
    def create(cls, root: Path, options: SpoolOptions, *, files: Files = FILES) -> Self:
        """Return a log in a new folder under *root*, which is made if it is not there.

        Raises:
            OSError: if that cannot be done.
        """
        files.make_root(root)
        for attempt in range(_ATTEMPTS):
            try:
                return cls._created(root, options, files)
            except (FileNotFoundError, FileExistsError, BlockingIOError):
                # Another process took the half-made folder for one that a dead process left, and swept it.
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError

    @classmethod
    def _created(cls, root: Path, options: SpoolOptions, files: Files) -> Self:
        name = new_folder_name()
        # It gets its name when it is complete and locked: so nobody sees a folder without an owner.
        hidden = root / f"{HIDDEN}{name}"
        meta = new_meta(options)
        files.make_folder(hidden)
        lock = _new_lock(files, hidden / LOCK)
        try:
            write_durably(files, hidden / META, render_meta(meta), sync=options.is_anchored)
            for one in meta.destinations:
                write_durably(files, hidden / one.cursor, render_state(State(1)), sync=options.is_anchored)
            if options.is_anchored:
                files.sync_folder(hidden)
            files.rename(hidden, root / name)
            if options.is_anchored:
                files.sync_folder(root)
        except BaseException:
            discard(files, hidden)
            files.close(lock)
            raise
        chain = Chain()
        folder = Folder(files, root / name, chain, Keeping(files, root / name))
        log = cls(folder, meta, lock, Tail(files, root / name, chain, options.segment_bytes))
        log._is_anchored = options.is_anchored
        return log

    @classmethod
    def adopted(cls, path: Path, meta: Meta, lock: int, *, files: Files = FILES) -> Self:
        """Return the log of a dead process in *path*, whose *lock* is taken.

        Raises:
            OSError: if it cannot be read.
        """
        chain = load_chain(files, path)
        folder = Folder(files, path, chain, Keeping(files, path, kept_bytes(files, path)))
        log = cls(folder, meta, lock, None)
        known = [cursor.state.position for cursor in log._cursors.values()]
        folder.end = max(1, last_number(files, chain, folder.report), *known)
        return log

    @property
    def end(self) -> int:
        """Return the number after the last committed event."""
        return self._folder.end

    @property
    def appended(self) -> int:
        """Return the number after the last event that `append` took, committed or not."""
        return self._tail.number if self._tail else self.end

    @property
    def held_bytes(self) -> int:
        """Return the bytes of its files."""
        segments = sum(one.held for one in self._folder.chain.all)
        return segments + sum(cursor.size for cursor in self._cursors.values()) + self._folder.keeping.size

    @property
    def is_gone(self) -> bool:
        """Say whether somebody removed or replaced the folder: no later process will find what is in it."""
        return self._lock >= 0 and not self._folder.files.is_at(self._lock, self.path / LOCK)

    @property
    def damaged_bytes(self) -> int:
        """Return the bytes that were found damaged since it was opened."""
        return self._folder.keeping.damaged

    @property
    def is_drained(self) -> bool:
        """Say whether all destinations have settled all committed events."""
        return all(cursor.state.position >= self.end for cursor in self._cursors.values())

    def append(self, lines: Sequence[bytes], *, sync: bool = False) -> None:
        """Write events, which readers see after `commit`. They survive the death of the process; with *sync*, a loss of power.

        After an exception that is no OSError, such as one of a signal handler, `appended` says whether they were taken.

        Raises:
            OSError: if they cannot be written; then none of them will ever be seen.
            ValueError: if one of them holds a newline, or the log is an adopted one.
        """
        if lines:
            with self._appending:
                self._own_tail().append(lines, sync=sync)

    def commit(self) -> None:
        """Let readers see what was appended; no I/O."""
        self._folder.end = self._own_tail().publish()

    def sync(self) -> None:
        """Return when all that was appended survives a loss of power.

        Raises:
            OSError: if that could not be had. The next call tries it with new files.
        """
        self._own_tail().sync()

    def reader(self, destination: str) -> SpoolReader:
        """Return the reader of *destination*, always the same one.

        Raises:
            KeyError: if the folder has no such destination.
        """
        with self._changing:
            if destination not in self._readers:
                self._readers[destination] = SpoolReader(self._folder, destination, self._cursors[destination])
            return self._readers[destination]

    def position(self, destination: str) -> int:
        """Return the number before which *destination* has settled every event.

        Raises:
            KeyError: if the folder has no such destination.
        """
        return self._cursors[destination].state.position

    def anchor(self) -> None:
        """Return when the folder itself, though not the events in it, survives a loss of power.

        Raises:
            OSError: if that cannot be had; the next call tries again.
        """
        with self._changing:
            if self._is_anchored or self._lock < 0:
                return
            meta = self._folder.files.open_to_read(self.path / META)
            try:
                self._folder.files.sync(meta)
            finally:
                self._folder.files.close(meta)
            self._save_cursors()
            self._folder.files.sync_folder(self.path.parent)
            self._is_anchored = True

    def release(self) -> None:
        """Remove the segments that all destinations have passed; cheap when there are none.

        The last one, which is written to, is left for a new one from time to time, if all in it is delivered.

        Raises:
            OSError: if that cannot be done; the next call tries again.
        """
        with self._changing:
            if self._lock < 0:
                return  # a thread that was late; the folder may be another process's by now
            position = min((one.state.position for one in self._cursors.values()), default=self.end)
            self._leave_delivered(position)
            passed = self._folder.chain.passed_by(position)
            if passed:
                self._save_cursors()
            for segment in passed:
                self._folder.files.unlink(segment.path)
                self._folder.chain.remove(segment)

    def close(self) -> None:
        """Write the cursors and let the folder go; it is removed if nothing in it is of use. A second call does nothing."""
        with self._changing:
            if self._lock < 0:
                return
            self._close_files()
            try:
                self._save_cursors()
                if self._is_of_no_use():
                    remove_folder(self._folder.files, self.path)
            except OSError as error:
                self._folder.warn("close", "the folder could not be left in order; events may be sent again", error)
            finally:
                self._unlock()

    def leave(self) -> None:
        """Let an adopted folder go as it is, for others."""
        self._close_files()
        self._unlock()

    def forget(self) -> None:
        """Close what a forked child inherited. The lock is the parent's, and stays so: closing does not unlock it there."""
        if self._tail:
            self._tail.forget()
        for reader in self._readers.values():
            reader.forget()
        self._unlock()

    def _own_tail(self) -> Tail:
        if self._tail is None:
            raise ValueError(f"spool {self.path} is an adopted one: nothing can be appended")
        return self._tail

    def _is_of_no_use(self) -> bool:
        is_done = self.is_drained and self.appended == self.end and self._folder.keeping.is_empty
        return is_done and holds_only_ours(self._folder.files, self.path)

    def _leave_delivered(self, position: int) -> None:
        if self._tail is None or not self._tail.could_leave(position):
            return
        now = time.monotonic()
        if now >= self._next_leaving:
            self._next_leaving = now + LEAVE_SECONDS
            with self._appending:
                self._tail.leave(position)

    def _save_cursors(self) -> None:
        for cursor in self._cursors.values():
            cursor.make_durable()
        self._folder.files.sync_folder(self.path)

    def _close_files(self) -> None:
        if self._tail:
            self._tail.close()
        for reader in self._readers.values():
            reader.close()

    def _unlock(self) -> None:
        if self._lock >= 0:
            lock, self._lock = self._lock, -1
            self._folder.files.close(lock)


def _new_lock(files: Files, path: Path) -> int:
    lock = files.create(path)
    try:
        is_ours = files.lock(lock)
    except BaseException:
        discard(files, path.parent)
        files.close(lock)
        raise
    if not is_ours:
        files.close(lock)
        raise BlockingIOError(f"{path} is swept by another process")
    return lock


def _cursor(folder: Folder, name: str) -> Cursor:
    """Return a cursor that begins where its file says, or, without one, at the first event that is still there."""
    path = folder.path / name
    first = next((one.first for one in folder.chain.all), 1)
    return Cursor(folder.files, path, load_state(folder.files, path) or State(first))
