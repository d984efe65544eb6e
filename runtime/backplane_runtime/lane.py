"""One lane: the way of events to one backplane, with a thread, a queue and retries of its own.

A composite has a lane for each backplane. A thread for each is the simplest way to keep a dead backplane from holding up
the others: every client library can then be called as it is, blocking.

The queue here is memory. The spool (an issue of its own) takes the place of `Lane._queue`: `put` appends, `_take` moves
the oldest to `_hand`, and what has left the hand is acknowledged. Until then a failing backplane is retried without end
while its queue is bounded, and what is in memory is lost with the process.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from backplane_runtime.backplanes.api import Backplane, Rejected, UnavailableError, Verdict
from backplane_runtime.events import EventType
from backplane_runtime.ledger import BackplaneCounts, Entry, Ledger
from backplane_runtime.notices import Notices

RETRY_BASE_SECONDS = 0.1
RETRY_CAP_SECONDS = 10.0
BATCH_BYTES = 16 << 20  # servers refuse what is much larger: PostgreSQL a message of 1 GB, for ever
_SLICE = 64  # entries settled under one hold of the lock, so that a publisher never waits for a whole batch


class LaneOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a lane is made of; `make` builds the backplane and opens nothing. `interval` is in seconds."""

    name: str
    make: Callable[[], Backplane]
    events: frozenset[EventType]
    batch_size: int
    interval: float
    capacity: int


class Lane:
    """See the module. Methods that say so are called with the ledger's lock held."""

    def __init__(self, options: LaneOptions, ledger: Ledger, notices: Notices) -> None:
        self.options = options
        self.backplane = options.make()
        self.last_error: str | None = None
        self._ledger = ledger
        self._notices = notices
        self._wake = threading.Condition(ledger.lock)
        self._queue: deque[Entry] = deque()
        self._hand: list[Entry] = []  # taken from the queue, not yet settled
        self._oldest = 0.0  # when the queue became non-empty
        self._counts = dict.fromkeys(BackplaneCounts.__struct_fields__, 0)
        self._accepted = self._done = self._flush_to = 0  # numbers of entries since the start
        self._closing = self._abandoned = self._connected = self._running = False
        self._close_by = 0.0
        self._thread: threading.Thread | None = None

    @property
    def has_room(self) -> bool:
        """Say whether one more event fits; lock held."""
        return self._counts["in_flight"] < self.options.capacity

    @property
    def is_started(self) -> bool:
        """Say whether there has been a thread, so that the backplane may hold something open."""
        return self._thread is not None

    def start(self) -> None:
        """Start the thread unless there is one; lock held."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name=f"backplane-{self.options.name}", daemon=True)
            thread.start()
            self._thread = thread

    def put(self, entry: Entry) -> None:
        """Take *entry*, or give it up when there is no room; lock held."""
        self._counts["taken"] += 1
        if not self.has_room:
            self._counts["dropped"] += 1
            return
        now, waiting = time.monotonic(), len(self._queue) + 1
        if waiting == 1:
            self._oldest = now
        if waiting in (1, self.options.batch_size):
            self._wake.notify()  # wakes nobody before the lock is free
        # From here to `append` nothing is called, so no signal handler runs: what it raises leaves all of this or none.
        entry.pending += 1
        self._counts["in_flight"] += 1
        self._accepted += 1
        self._queue.append(entry)

    def counts(self) -> BackplaneCounts:
        """Return this backplane's counts; lock held."""
        return BackplaneCounts(**self._counts)

    def flush(self) -> int:
        """Have all that was put so far go now, and return the mark that `has_reached` answers for; lock held."""
        self._flush_to = self._accepted
        self._wake.notify()
        return self._flush_to

    def has_reached(self, mark: int) -> bool:
        """Say whether all that was put before *mark* is settled; lock held."""
        return self._done >= mark

    def close(self, close_by: float) -> None:
        """Have the thread send what is left and end, before the moment *close_by* of the monotonic clock; lock held."""
        self._closing, self._close_by = True, close_by
        self._wake.notify()

    def join(self) -> None:
        """Wait for the thread until the moment that `close` was given."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(max(0.0, self._close_by - time.monotonic()))

    def abandon(self) -> int:
        """Give up all that is not settled, and return how many events that were; lock held."""
        self._abandoned = True
        lost = [*self._hand, *self._queue]
        for entry in lost:
            self._finish(entry, Rejected("the data plane was closed"))
        self._hand = []
        self._queue.clear()
        self._done = self._accepted
        self._ledger.changed.notify_all()
        return len(lost)

    def _run(self) -> None:
        with self._ledger.lock:
            if self._running:
                return  # a signal handler raised while the first thread was started, so a second one was
            self._running, self._thread = True, threading.current_thread()
        while self._take():
            self._deliver()
        self.backplane.close(max(0.0, self._close_by - time.monotonic()))

    def _take(self) -> bool:
        """Move the next batch into the hand as soon as it is due; say no when there will be none any more."""
        with self._wake:
            while not self._is_due():
                if self._closing and not self._queue:
                    return False
                self._wake.wait(self._patience())
            self._hand = [self._queue.popleft()]
            size = len(self._hand[0].record.envelope)
            while self._queue and len(self._hand) < self.options.batch_size:
                size += len(self._queue[0].record.envelope)
                if size > BATCH_BYTES:
                    break
                self._hand.append(self._queue.popleft())
            return True

    def _is_due(self) -> bool:
        waiting = len(self._queue)
        if not waiting:
            return False
        return (
            waiting >= self.options.batch_size or self._closing or self._flush_to > self._done or self._patience() <= 0
        )

    def _patience(self) -> float:
        # Bounded also when nothing waits: a wait without end cannot be interrupted on some platforms.
        return self._oldest + self.options.interval - time.monotonic() if self._queue else threading.TIMEOUT_MAX

    def _deliver(self) -> None:
        """Send what is in the hand until all of it is settled or abandoned."""
        size, failures = len(self._hand), 0
        while self._hand:
            if self._attempt():
                failures = 0
            elif not self._pause(failures):
                return
            else:
                failures += 1
        with self._ledger.lock:
            self._done = max(self._done, min(self._done + size, self._accepted))
            self._ledger.changed.notify_all()

    def _attempt(self) -> bool:
        """Send the hand once; say whether the backplane was there."""
        hand = self._hand  # `abandon` replaces it while the backplane works
        records = [entry.record for entry in hand]
        try:
            if not self._connected:
                self.backplane.start()
                self._connected = True
            verdicts = self.backplane.send(records)
            if len(verdicts) != len(records):
                raise RuntimeError(f"{len(verdicts)} verdicts for {len(records)} records")  # noqa: TRY301 - a bug of theirs
        except UnavailableError as error:
            self._fail(str(error))
            return False
        except Exception as error:  # noqa: BLE001 - whatever a connector does, its lane lives on and says so
            # Only the type: the text is a client library's own and may hold a secret.
            self._fail(f"unexpected {type(error).__name__}", error)
            return False
        return self._settle(list(zip(hand, verdicts, strict=True)))

    def _settle(self, pairs: Sequence[tuple[Entry, Verdict | Rejected]]) -> bool:
        """Settle what has a final verdict; say whether anything had."""
        again: list[Entry] = []
        for start in range(0, len(pairs), _SLICE):
            with self._ledger.lock:
                if self._abandoned:
                    return True
                again += self._settle_slice(pairs[start : start + _SLICE])
                self._hand = again + [entry for entry, _ in pairs[start + _SLICE :]]
                self._ledger.changed.notify_all()
        for _, verdict in pairs:
            if isinstance(verdict, Rejected):
                self._notices.warn(
                    f"rejected by {self.options.name}",
                    f"backplane `{self.options.name}` rejected an event: {verdict.reason}",
                )
        if len(again) < len(pairs):
            self.last_error = None
        return len(again) < len(pairs)

    def _settle_slice(self, pairs: Sequence[tuple[Entry, Verdict | Rejected]]) -> list[Entry]:
        for entry, verdict in pairs:
            if verdict is not Verdict.RETRY:
                self._finish(entry, verdict)
        return [entry for entry, verdict in pairs if verdict is Verdict.RETRY]

    def _finish(self, entry: Entry, verdict: Verdict | Rejected) -> None:
        self._counts["in_flight"] -= 1
        if isinstance(verdict, Rejected):
            self._counts["dropped"] += 1
            entry.lost = True
        else:
            self._counts["acknowledged"] += 1
            self._counts["duplicates"] += verdict is Verdict.DUPLICATE
        entry.pending -= 1
        if not entry.pending:
            self._ledger.settle(entry)

    def _fail(self, reason: str, error: Exception | None = None) -> None:
        self.last_error = reason
        self._notices.warn(
            f"{self.options.name} unavailable",
            f"backplane `{self.options.name}` takes no events, they wait in memory and are sent again: {reason}",
            error,
        )

    def _pause(self, failures: int) -> bool:
        """Wait before the next attempt: exponential back-off with full jitter; say no when the hand was abandoned."""
        import random  # noqa: PLC0415 - costs 4 ms, and only a failing backplane needs it

        longest = min(RETRY_CAP_SECONDS, RETRY_BASE_SECONDS * 2 ** min(failures, 16))
        delay = random.uniform(0, longest)  # noqa: S311 - spreads load, guards nothing
        with self._wake:
            if self._closing:
                self._wake.wait(min(delay, RETRY_BASE_SECONDS))
            else:
                self._wake.wait_for(lambda: self._closing, delay)
            return not self._abandoned
