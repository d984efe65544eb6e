"""A disk that forgets: what was not synced is dropped, torn and reordered when the power goes.

Data: every write and truncation since the last sync of a file stands alone; at a loss of power each sector of it is there or
not, whatever is with the others. Names: what was not synced in a folder is there or not, each name for itself. A sync that
fails drops what it should have written, and the next one does not know of it (fsyncgate).
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backplane_runtime.spool.files import Files

SECTOR = 64  # bytes; small, so that small tests tear frames at many places


class Crashed(BaseException):
    """The process is dead; whatever it does from now on has no effect."""


class Interrupted(BaseException):
    """A signal handler raised in the middle of a call."""


@dataclass(eq=False)
class File:
    """A file: what the cache holds, what the medium holds, and what is on its way between the two."""

    cached: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)  # (offset, data), or (size, None): cut
    locked_by: int | None = None

    def change(self, offset: int, data: bytes | None) -> None:
        """Change the cache, and remember to write it."""
        apply(self.cached, offset, data)
        self.pending.append((offset, data))


@dataclass(eq=False)
class Folder:
    """A folder: its names in the cache and on the medium. A renaming is durable at both names or at none."""

    cached: dict[str, File | Folder] = field(default_factory=dict)
    durable: dict[str, File | Folder] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)  # new name -> old name, since the last sync


def apply(content: bytearray, offset: int, data: bytes | None) -> None:
    """Do one write, or cut, to *content*."""
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


class Disk(Files):
    """Files in memory. `arm` lets one of the next calls fail."""

    def __init__(self) -> None:
        self.root = Folder()
        self.calls = 0
        self.faults = 0  # that happened so far
        self._open: dict[int, tuple[File, Path]] = {}
        self._next = 3
        self._is_dead = False
        self._fault: tuple[str, int] | None = None

    def arm(self, kind: str, calls: int) -> None:
        """Have the call that is *calls* calls away fail: `error`, `crash` or `interrupt`; or, with `sync`, the next sync."""
        self._fault = (kind, self.calls + calls)

    @property
    def fault(self) -> str | None:
        """Return the kind of fault that is armed."""
        return self._fault[0] if self._fault else None

    def disarm(self) -> None:
        """Have no call fail."""
        self._fault = None

    def kill(self) -> None:
        """End the process: its files are closed, its locks free; the cache stays."""
        self._is_dead = False
        self._fault = None
        for descriptor in list(self._open):
            self.close(descriptor)

    def lose_power(self, chance: random.Random) -> None:
        """End the process and lose what was not synced, as *chance* wills."""
        self.kill()
        _lose(self.root, chance)

    def throw_away(self, path: Path) -> None:
        """Remove *path* and all below it, for good."""
        folder = self._folder(path.parent)
        del folder.cached[path.name]
        folder.durable.pop(path.name, None)

    def _tick(self, code: int | None = None) -> str | None:
        """Count a call; raise or return its fault, if this is the one. Without *code*, it cannot fail with an error."""
        if self._is_dead:
            raise Crashed
        self.calls += 1
        if self._fault is None or self._fault[0] == "sync" or self.calls < self._fault[1]:
            return None
        if self._fault[0] == "error" and code is None:
            return None
        kind, self._fault = self._fault[0], None
        self.faults += 1
        if kind == "crash":
            self._is_dead = True
        return kind

    def _do(self, code: int | None) -> None:
        self._raise(self._tick(code), code)

    def _raise(self, fault: str | None, code: int | None) -> None:
        if fault == "crash":
            raise Crashed
        if fault == "interrupt":
            raise Interrupted
        if fault == "error" and code is not None:
            raise OSError(code, os.strerror(code))

    def _folder(self, path: Path) -> Folder:
        folder = self.root
        for name in path.parts[1:]:
            found = folder.cached.get(name)
            if not isinstance(found, Folder):
                raise FileNotFoundError(errno.ENOENT, "no such folder", str(path))
            folder = found
        return folder

    def _file(self, path: Path) -> File:
        found = self._folder(path.parent).cached.get(path.name)
        if not isinstance(found, File):
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        return found

    def _opened(self, file: File, path: Path) -> int:
        self._next += 1
        self._open[self._next] = (file, path)
        return self._next

    def make_folder(self, path: Path) -> None:
        self._do(errno.ENOSPC)
        names = self._folder(path.parent).cached
        if path.name in names:
            raise FileExistsError
        names[path.name] = Folder()

    def make_root(self, path: Path) -> None:
        self.root.cached.setdefault(path.name, Folder())
        self.root.durable = dict(self.root.cached)

    def create(self, path: Path) -> int:
        fault = self._tick(errno.ENOSPC)
        if fault != "error":  # a crash or an interrupt comes when the file is there
            names = self._folder(path.parent).cached
            if path.name in names:
                raise FileExistsError
            names[path.name] = File()
        self._raise(fault, errno.ENOSPC)
        return self._opened(self._file(path), path)

    def open_to_append(self, path: Path) -> int:
        self._do(errno.EMFILE)
        names = self._folder(path.parent).cached
        names.setdefault(path.name, File())
        return self._opened(self._file(path), path)

    def open_to_read(self, path: Path) -> int:
        self._do(errno.EMFILE)
        return self._opened(self._file(path), path)

    def close(self, descriptor: int) -> None:
        if not self._is_dead:
            file, _ = self._open.pop(descriptor)
            if file.locked_by == descriptor:
                file.locked_by = None

    def write(self, descriptor: int, buffers: Sequence[bytes], offset: int) -> None:
        data = b"".join(buffers)
        fault = self._tick(errno.ENOSPC)
        done = data[: len(data) * (self.calls % 5) // 4] if fault else data
        self._open[descriptor][0].change(offset, done)
        self._raise(fault, errno.ENOSPC)

    def append(self, descriptor: int, data: bytes) -> None:
        self.write(descriptor, [data], len(self._open[descriptor][0].cached) if descriptor in self._open else 0)

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        self._do(None)
        return bytes(self._open[descriptor][0].cached[offset : offset + size])

    def size(self, descriptor: int) -> int:
        self._do(None)
        return len(self._open[descriptor][0].cached)

    def truncate(self, descriptor: int, size: int) -> None:
        self._do(errno.EIO)
        self._open[descriptor][0].change(size, None)

    def sync(self, descriptor: int) -> None:
        if self.fault == "sync":
            self.arm("error", 1)
        fault = self._tick(errno.EIO)
        file = self._open[descriptor][0]
        done = file.pending if fault is None else file.pending[: self.calls % (len(file.pending) + 1)]
        for offset, data in done:
            apply(file.durable, offset, data)
        if fault is None or fault == "error":
            file.pending.clear()
        self._raise(fault, errno.EIO)

    def sync_folder(self, path: Path) -> None:
        self._do(errno.EIO)
        folder = self._folder(path)
        folder.durable = dict(folder.cached)
        folder.renamed.clear()

    def rename(self, old: Path, new: Path) -> None:
        self._do(errno.ENOSPC)
        assert old.parent == new.parent
        folder = self._folder(old.parent)
        if old.name not in folder.cached:
            raise FileNotFoundError
        folder.cached[new.name] = folder.cached.pop(old.name)
        folder.renamed[new.name] = old.name

    def unlink(self, path: Path) -> None:
        self._do(errno.EIO)
        self._folder(path.parent).cached.pop(path.name, None)

    def remove_folder(self, path: Path) -> None:
        self._do(errno.EIO)
        if self._folder(path).cached:
            raise OSError(errno.ENOTEMPTY, "not empty")
        del self._folder(path.parent).cached[path.name]

    def names(self, path: Path) -> list[str]:
        self._do(None)
        return sorted(self._folder(path).cached)

    def exists(self, path: Path) -> bool:
        return path.name in self._folder(path.parent).cached

    def lock(self, descriptor: int) -> bool:
        self._do(None)
        file = self._open[descriptor][0]
        if file.locked_by is None:
            file.locked_by = descriptor
        return file.locked_by == descriptor

    def is_locked(self, descriptor: int) -> bool:
        return self._open[descriptor][0].locked_by is not None

    def is_at(self, descriptor: int, path: Path) -> bool:
        try:
            return self._file(path) is self._open[descriptor][0]
        except FileNotFoundError:
            return False


def _lose(folder: Folder, chance: random.Random) -> None:
    names = sorted({*folder.cached, *folder.durable, *folder.renamed.values()})
    kept: dict[str, File | Folder] = {}
    is_kept = {name: chance.random() < 0.5 for name in names}
    for name in names:
        found = (folder.cached if is_kept[folder.renamed.get(name, name)] else folder.durable).get(name)
        if found is not None:
            kept[name] = found
    folder.cached, folder.durable = kept, dict(kept)
    folder.renamed.clear()
    for found in kept.values():
        if isinstance(found, Folder):
            _lose(found, chance)
        else:
            _tear(found, chance)


def _tear(file: File, chance: random.Random) -> None:
    share = chance.choice((0.0, 0.5, 0.9, 1.0))
    for offset, data in file.pending:
        if data is None:
            if chance.random() < share:
                apply(file.durable, offset, None)
            continue
        for start in range(0, len(data), SECTOR):
            if chance.random() < share:
                apply(file.durable, offset + start, data[start : start + SECTOR])
    file.pending.clear()
    file.cached = bytearray(file.durable)
