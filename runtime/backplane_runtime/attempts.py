"""Attempts: a batch handed to a backplane once, and what may be concluded from the answer.

A backplane that is away is retried without end, and nothing is concluded about the events. But an event that is not taken
while later ones of its batch are, or that makes the backplane fail in a way it should not, has a limited number of
attempts: it must not hold up the rest. Of a type of which an event was given up, the next ones get a single attempt for a
while, so that a destination of theirs that is missing slows others down but little.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

import msgspec

from backplane_runtime.backplanes.api import Backplane, Rejected, UnavailableError, Verdict
from backplane_runtime.envelope import Record
from backplane_runtime.events import EventType
from backplane_runtime.ledger import Key
from backplane_runtime.notices import Notices

POISON_TRIES = 6
SUSPECT_SECONDS = 10.0
REASON_LENGTH = 2_000  # characters; what a client library says may be a page


class Held(msgspec.Struct, gc=False):
    """One event that is not settled; `tries` counts the attempts that say something against it."""

    number: int
    record: Record
    tries: int = 0

    @property
    def key(self) -> Key:
        """Return the row of the ledger that counts it."""
        return self.record.event_type, self.record.experiment, self.record.variant


Final = tuple[Held, Verdict | Rejected]


class Attempts:
    """Sends to one backplane, and remembers what came of it; used by one thread."""

    def __init__(self, backplane: Backplane, name: str, notices: Notices) -> None:
        self.last_error: str | None = None
        self._backplane = backplane
        self._name = name
        self._notices = notices
        self._is_connected = self._hurries = False
        self._suspects: dict[EventType, float] = {}  # until when

    def hurry(self) -> None:
        """Try no event alone any more: there is little time left."""
        self._hurries = True

    def send(self, hand: Sequence[Held]) -> list[Final]:
        """Send *hand* once, and return what needs no further attempt, with its verdict."""
        try:
            final = self._concluded(hand, self._send(hand))
        except UnavailableError as error:
            self._fail(_said(error))
            return []
        except BaseException as error:  # noqa: BLE001 - whatever a connector does, its lane lives on and says so
            _pass_on(error)
            self._fail(_reason(error), error)
            final = self._send_each(hand) if len(hand) > 1 else self._counted(hand, _reason(error))
        if any(isinstance(verdict, Verdict) for _, verdict in final):
            self.last_error = None
        if final and len(final) < len(hand):
            self._say_partly()
        return final

    def _send(self, hand: Sequence[Held]) -> Sequence[Verdict | Rejected]:
        if not self._is_connected:
            self._backplane.start()
            self._is_connected = True
        verdicts = self._backplane.send([held.record for held in hand])
        if len(verdicts) != len(hand):
            raise RuntimeError(f"{len(verdicts)} verdicts for {len(hand)} records")
        if not all(issubclass(kind, (Verdict, Rejected)) for kind in set(map(type, verdicts))):
            raise TypeError("what is no verdict says nothing: `None` is no acknowledgement")
        return verdicts

    def _send_each(self, hand: Sequence[Held]) -> list[Final]:
        """Send one by one what together made the backplane fail: one of them alone may be the reason."""
        final: list[Final] = []
        for held in hand:
            if self._hurries:
                break
            try:
                settled = self._concluded([held], self._send([held]))
            except UnavailableError as error:
                self._fail(_said(error))
                break
            except BaseException as error:  # noqa: BLE001 - see `send`
                _pass_on(error)
                settled = self._counted([held], _reason(error))
            final += settled
            if not settled:
                break  # nothing may overtake it
        return final

    def _concluded(self, hand: Sequence[Held], verdicts: Iterable[Verdict | Rejected]) -> list[Final]:
        final: list[Final] = []
        left: list[Held] = []
        overtaken = 0  # of those left: what is behind all that was taken may just not have had its turn in the time
        for held, verdict in zip(hand, verdicts, strict=True):
            if verdict is Verdict.RETRY:
                left.append(held)
            else:
                final.append((held, Rejected(_said(verdict.reason)) if isinstance(verdict, Rejected) else verdict))
                overtaken = len(left)
        return final + self._counted(left[:overtaken], "is not taken, though others are")

    def _counted(self, hand: Sequence[Held], reason: str) -> list[Final]:
        """Count an attempt against *hand*, and return what has had enough of them."""
        now = time.monotonic()
        spent: list[Final] = []
        for held in hand:
            held.tries += 1
            kind = held.record.event_type
            if held.tries >= (1 if self._suspects.get(kind, 0.0) > now else POISON_TRIES):
                self._suspects[kind] = now + SUSPECT_SECONDS
                spent.append((held, Rejected(f"{reason} ({held.tries} attempts)")))
        return spent

    def _say_partly(self) -> None:
        """Say why some events are not taken, where the backplane knows: the others would hide it."""
        reason = getattr(self._backplane, "last_error", None)
        if reason is not None:
            self.last_error = reason = _said(reason)
            self._notices.warn(f"{self._name} partly", f"backplane `{self._name}` does not take some events: {reason}")

    def _fail(self, reason: str, error: BaseException | None = None) -> None:
        self.last_error = reason
        self._notices.warn(
            f"{self._name} unavailable",
            f"backplane `{self._name}` takes no events, they wait and are sent again: {reason}",
            error,
        )


def _pass_on(error: BaseException) -> None:
    """Raise *error* where it ends the program, as Ctrl-C does; lanes have threads of their own, where it would end only these."""
    if not isinstance(error, Exception) and threading.current_thread() is threading.main_thread():
        raise error


def _said(words: object) -> str:
    """Return *words* of a connector in a form that can be logged, kept on disk and written as JSON, whatever they are."""
    text = str(words).encode("utf-8", "replace").decode() or "it gave no reason"
    return text if len(text) <= REASON_LENGTH else f"{text[:REASON_LENGTH]}…"


def _reason(error: BaseException) -> str:
    # Only the type: the text is a client library's own and may hold a secret.
    return f"unexpected {type(error).__name__}"
