"""Fates: what became of the events of one backplane, counted and said.

An event ends when the last of the backplanes that take its type is done with it: until then another lane will count it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence

from backplane_runtime import timestamps
from backplane_runtime.attempts import Final, Held
from backplane_runtime.backplanes.api import Rejected, Verdict
from backplane_runtime.chain import Link
from backplane_runtime.events import EventType
from backplane_runtime.ledger import BackplaneCounts, Key, Ledger
from backplane_runtime.notices import Notices
from backplane_runtime.receipts import Ended
from backplane_runtime.status import Status

GIVEN_UP = Rejected("it is far behind the others of the composite, and what waits for it took their room")
GONE = Rejected("it cannot be set aside with its reason either: the folder of the spool was removed")
_NOT_KEPT = (GIVEN_UP, GONE)

IsElsewhere = Callable[[Link, Held], bool]  # another lane has the event still; nothing where there is no other lane


class Fates:
    """Of one lane. Methods that say so are called with the ledger's lock held."""

    def __init__(self, name: str, events: Collection[EventType], ledger: Ledger, notices: Notices) -> None:
        self.last_acknowledged: str | None = None
        self.recovered = 0  # events of earlier processes that were read for this lane
        self._name = name
        self._events = events
        self._ledger = ledger
        self._notices = notices
        self._counts = dict.fromkeys(BackplaneCounts.__struct_fields__, 0)

    def counts(self) -> BackplaneCounts:
        """Return this backplane's counts; lock held."""
        taken = self._ledger.entered(self._events) + self.recovered
        in_flight = taken - self._counts["acknowledged"] - self._counts["dropped"]
        return BackplaneCounts(**self._counts | {"taken": taken, "in_flight": in_flight})

    def lose(self, link: Link, lost: Counter[Key]) -> None:
        """Count what of *lost*, events that *link* has no more, this backplane never had; lock held."""
        reader = link.readers.get(self._name)
        if reader is not None:
            missing = reader.skipped + link.log.end - reader.position  # of any type
            mine = sum(number for (kind, _, _), number in lost.items() if kind in self._events)
            self._counts["dropped"] += min(missing, mine, self.counts().in_flight)

    def kept(self, link: Link, final: Sequence[Final]) -> list[Final]:
        """Set aside what was rejected, and return *final* without what could not be kept: it is tried again."""
        ends = (one if isinstance(one[1], Verdict) else self._kept(link, one[0], one[1]) for one in final)
        return [one for one in ends if one is not None]

    def end_all(self, link: Link, final: Sequence[Final], is_elsewhere: IsElsewhere | None) -> list[Ended]:
        """Count the ends of deliveries; lock held."""
        if is_elsewhere or link.receipts or any(verdict is not Verdict.ACKNOWLEDGED for _, verdict in final):
            return [self._end(link, one, is_elsewhere) for one in final]
        # Nothing but acknowledged events that are nobody else's: by far the most frequent case, at a third of the cost.
        self._counts["acknowledged"] += len(final)
        numbers = Counter(held.key for held, _ in final)
        self._ledger.move(numbers, link.status, Status.ACKNOWLEDGED)
        link.outstanding.subtract(numbers)
        return []

    def tell(self, link: Link, final: Sequence[Final]) -> None:
        """Log what was rejected, and remember that something was acknowledged."""
        for _, verdict in final:
            kept = "set aside" if link.is_durable and verdict is not GONE else "dropped"
            if verdict is GIVEN_UP:
                self._notices.warn(f"{self._name} lags", f"backplane `{self._name}` lost an event: {GIVEN_UP.reason}")
            elif isinstance(verdict, Rejected):
                self._notices.warn(
                    f"rejected by {self._name}",
                    f"backplane `{self._name}` rejected an event, which was {kept}: {verdict.reason}",
                )
        if any(isinstance(verdict, Verdict) for _, verdict in final):
            self.last_acknowledged = timestamps.now()

    def _end(self, link: Link, one: Final, is_elsewhere: IsElsewhere | None) -> Ended:
        """Count the end of one delivery, and of its event where no other lane has it still."""
        held, verdict = one
        is_lost = isinstance(verdict, Rejected)
        self._counts["dropped" if is_lost else "acknowledged"] += 1
        self._counts["duplicates"] += verdict is Verdict.DUPLICATE
        self._counts["set_aside"] += is_lost and link.is_durable and verdict not in _NOT_KEPT
        if is_elsewhere is not None and is_elsewhere(link, held):
            if is_lost:
                link.given_up.add(held.number)
            return None, Status.QUEUED
        is_lost = is_lost or held.number in link.given_up
        link.given_up.discard(held.number)
        status = Status.DROPPED if is_lost else Status.ACKNOWLEDGED
        self._ledger.move({held.key: 1}, link.status, status)
        link.outstanding[held.key] -= 1
        return link.receipts.pop(held.number, None), status

    def _kept(self, link: Link, held: Held, verdict: Rejected) -> Final | None:
        """Keep what cannot be delivered, and return its end; nothing where it is to be tried again."""
        if verdict is GIVEN_UP:
            return held, verdict  # there is no room to keep it
        try:
            link.readers[self._name].set_aside(held.number, held.record.envelope, verdict.reason)
        except OSError as error:
            if link.log.is_gone:
                return held, GONE  # it would be tried for ever, and nothing behind it delivered
            reason = error.strerror or type(error).__name__
            self._notices.warn("set aside", f"an event cannot be set aside, and is tried again: {reason}", error)
            return None
        return held, verdict
