"""Which events of a folder `cat` and `export` take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from backplane_compiler.cli.output import Failure, complain, counted
from backplane_compiler.diagnostics.suggest import nearest
from backplane_runtime.spool.inspection import Backlog, Events, FolderView, look_at


class _TypeOnly(msgspec.Struct, rename="camel"):
    event_type: str


class _Taker:
    """A destination that has not got everything yet."""

    def __init__(self, backlog: Backlog) -> None:
        self.position = backlog.position
        self._types = frozenset(name.casefold() for name in backlog.destination.events)

    def lacks(self, number: int, line: bytes) -> bool:
        """Say whether the event is still to be delivered to it; one whose type cannot be told is."""
        if number < self.position:
            return False
        return not self._types or (kind := _type(line)) is None or kind in self._types


class Selection:
    """The events of the folder *path* that are undelivered: by *destination*, or by any; or *everything* that is there.

    Raises:
        Failure: if the folder has no such destination, or cannot be read.
    """

    def __init__(self, path: Path, destination: str | None = None, *, everything: bool = False) -> None:
        self._path = path
        view = _looked_at(path)
        backlogs = view.backlogs if destination is None else (_named(view, destination),)
        self._takers = [] if everything else [_Taker(backlog) for backlog in backlogs]
        self._end = view.end
        self._events = Events(path, min((taker.position for taker in self._takers), default=view.first))

    def __iter__(self) -> Iterator[bytes]:
        """Yield the events that were there when this was made."""
        try:
            for number, line in self._events:
                if number >= self._end:
                    break
                if not self._takers or any(taker.lacks(number, line) for taker in self._takers):
                    yield line
        except OSError as error:
            raise Failure(f"{self._path}: cannot be read: {error.strerror}") from error

    def complained(self) -> bool:
        """Say on standard error what of the folder could not be read; return whether there was anything."""
        missing = self._missing()
        if self._events.damaged or missing:
            lost = f"missing: {counted(missing, 'event')}; damaged: {counted(self._events.damaged, 'byte')}"
            complain(f"{self._path}: {lost}", hint=f"see where: backplane spool verify {self._path}")
            return True
        return False

    def _missing(self) -> int:
        """Return how many events are lost; those that a live owner has delivered and removed meanwhile are not."""
        try:
            first = look_at(self._path).first if self._events.gaps else 0
        except OSError:
            return 0  # all are delivered: the owner has removed the folder
        return sum(max(0, stop - max(start, first)) for start, stop in self._events.gaps)


def _looked_at(path: Path) -> FolderView:
    try:
        return look_at(path)
    except OSError as error:
        raise Failure(f"{path}: cannot be read: {error.strerror}") from error


def _named(view: FolderView, destination: str) -> Backlog:
    for backlog in view.backlogs:
        if backlog.destination.name == destination:
            return backlog
    known = [backlog.destination.name for backlog in view.backlogs]
    near = nearest(destination, known)
    hint = f"did you mean `{near[0]}`?" if near else f"it has: {', '.join(known) or view.problem or 'none'}"
    raise Failure(f"{view.path} has no destination `{destination}`", hint=hint)


def _type(line: bytes) -> str | None:
    """Return the name of an event's type as documents write it, but for its case; None if the line is no envelope."""
    try:
        return msgspec.json.decode(line, type=_TypeOnly).event_type.casefold()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
