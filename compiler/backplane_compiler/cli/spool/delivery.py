"""Delivering events to one backplane, here and now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from backplane_compiler.cli.output import Failure, counted
from backplane_runtime.attempts import Attempts, Held
from backplane_runtime.backplanes.api import Rejected, Verdict
from backplane_runtime.envelope import Record, record_of
from backplane_runtime.lane import LaneOptions
from backplane_runtime.notices import Notices

_PAUSE_SECONDS = 0.2
_CLOSE_SECONDS = 1.0

Refuse = Callable[[int, bytes, str], None]  # takes number, line and reason of an event that is refused for good


@dataclass
class Counts:
    """What became of events at one backplane."""

    delivered: int = 0
    duplicates: int = 0
    refused: int = 0
    lost: int = 0  # to damage on disk

    @property
    def is_complete(self) -> bool:
        """Say whether every event is there."""
        return not self.refused and not self.lost

    def __str__(self) -> str:
        """Return it in words."""
        there = f", {self.duplicates} of them were there already" if self.duplicates else ""
        refused = f", {counted(self.refused, 'event')} refused" if self.refused else ""
        lost = f", {counted(self.lost, 'event')} lost to damage on disk" if self.lost else ""
        return f"{counted(self.delivered, 'event')} delivered{there}{refused}{lost}"


class Courier:
    """Brings events to one backplane; gives up after *patience* seconds in which none was taken."""

    def __init__(self, options: LaneOptions, patience: float, refuse: Refuse) -> None:
        self.counts = Counts()
        self._name = options.name
        self._patience = patience
        self._refuse = refuse
        self._backplane = options.make()
        self._attempts = Attempts(self._backplane, options.name, Notices())

    def bring(self, lines: Iterable[tuple[int, bytes]], types: frozenset[str]) -> None:
        """Return when each of *lines* whose type is one of *types* (empty: any) is delivered or refused.

        Raises:
            Failure: if the backplane takes none.
        """
        hand = [held for number, line in lines if (held := self._held(number, line, types)) is not None]
        until = time.monotonic() + self._patience
        while hand:
            final = self._attempts.send(hand)
            for held, verdict in final:
                self._conclude(held, verdict)
            done = {held.number for held, _ in final}
            hand = [held for held in hand if held.number not in done]
            if final:
                until = time.monotonic() + self._patience
            elif time.monotonic() > until:
                reason = self._attempts.last_error or f"none was acknowledged within {self._patience:g} s"
                raise Failure(f"not every event was delivered: {self._name}: {reason}")
            else:
                time.sleep(_PAUSE_SECONDS)

    def close(self) -> None:
        """Let go of the backplane."""
        self._backplane.close(_CLOSE_SECONDS)

    def _held(self, number: int, line: bytes, types: frozenset[str]) -> Held | None:
        try:
            record: Record = record_of(line)
        except (msgspec.MsgspecError, KeyError, UnicodeDecodeError, RecursionError) as error:
            self._give_up(number, line, f"is no event that this version knows: {type(error).__name__}")
            return None
        return Held(number, record) if not types or record.event_type.value in types else None

    def _conclude(self, held: Held, verdict: Verdict | Rejected) -> None:
        if isinstance(verdict, Rejected):
            self._give_up(held.number, held.record.envelope, verdict.reason)
            return
        self.counts.delivered += 1
        self.counts.duplicates += verdict is Verdict.DUPLICATE

    def _give_up(self, number: int, line: bytes, reason: str) -> None:
        self.counts.refused += 1
        self._refuse(number, line, reason)


@contextmanager
def courier(options: LaneOptions, patience: float, refuse: Refuse) -> Iterator[Courier]:
    """Give a courier to the backplane of *options*, and close it."""
    one = Courier(options, patience, refuse)
    try:
        yield one
    finally:
        one.close()
