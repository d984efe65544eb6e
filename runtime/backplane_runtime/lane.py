"""One lane: the way of events to one backplane, with a thread, a cursor and retries of its own.

A composite has a lane for each backplane. A thread for each is the simplest way to keep a dead backplane from holding up
the others: every client library can then be called as it is, blocking.

A lane reads the logs of the chain in their order, takes a batch into its *hand*, and sends until all of the hand is
settled: acknowledged, or given up. Only then does its cursor pass the batch, so that what a crash leaves is sent again.

What cannot be delivered must not hold up the rest (`attempts`): it is set aside with its reason, in the spool's folder.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence

import msgspec

from backplane_runtime import native
from backplane_runtime.attempts import Attempts, Final, Held
from backplane_runtime.backplanes.api import Backplane, Rejected
from backplane_runtime.chain import Chain, Link
from backplane_runtime.envelope import record_of
from backplane_runtime.events import EventType
from backplane_runtime.fates import GIVEN_UP, Fates
from backplane_runtime.ledger import Key, Ledger
from backplane_runtime.notices import Notices
from backplane_runtime.receipts import Ended, end_receipts
from backplane_runtime.worker import Worker

RETRY_BASE_SECONDS = 0.1
RETRY_CAP_SECONDS = 10.0
DISK_SECONDS = 1.0  # between attempts to read or write a spool that fails
BATCH_BYTES = 16 << 20  # servers refuse what is much larger: PostgreSQL a message of 1 GB, for ever


class LaneOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a lane is made of; `make` builds the backplane and opens nothing. `interval` is in seconds.

    `target` says, as a hash, where the backplane sends to: what was spooled for one is not sent to another.
    """

    name: str
    kind: str
    target: str
    make: Callable[[], Backplane]
    events: frozenset[EventType]
    batch_size: int
    interval: float


class Lane:
    """See the module. Methods that say so are called with the ledger's lock held."""

    def __init__(self, options: LaneOptions, ledger: Ledger, notices: Notices) -> None:
        self.options = options
        self.backplane = options.make()
        self.attempts = Attempts(self.backplane, options.name, notices)
        self.fates = Fates(options.name, options.events, ledger, notices)
        self.others: tuple[Lane, ...] = ()
        self.chain: Chain | None = None
        self._ledger = ledger
        self._notices = notices
        self._wake = native.Condition(ledger.lock)
        self._link: Link | None = None  # that the hand was read from
        self._hand: list[Held] = []  # read, not yet settled
        self._numbers: set[int] = set()  # of the hand
        self._hand_end = 0
        self._since = 0.0  # when it was seen that events wait
        self._taken: tuple[Link, Sequence[tuple[int, bytes]]] | None = None  # read, not yet in the hand
        self._flush_links: tuple[Link, ...] = ()
        self._flush_ends: list[int] = []
        self._closing = self._abandoned = False
        self._close_by = 0.0
        self._too_old_before: tuple[Link, int] | None = None
        self.worker = Worker(self._run, f"backplane-{options.name}", ledger.lock)

    @property
    def name(self) -> str:
        """Return the name of the backplane."""
        return self.options.name

    @property
    def last_error(self) -> str | None:
        """Return why the backplane took nothing the last time."""
        return self.attempts.last_error

    @property
    def oldest(self) -> str | None:
        """Return the timestamp of the oldest event in the hand."""
        hand = self._hand
        return hand[0].record.timestamp if hand else None

    def notice(self) -> None:
        """Have the thread look at the logs, if something in them may be due; lock held."""
        waiting = self._waiting()
        if waiting and not self._since:
            self._since = time.monotonic()
            self._wake.notify()
        elif waiting >= self.options.batch_size:
            self._wake.notify()

    def flush(self) -> None:
        """Have all that is in the logs go now; lock held."""
        self._flush_links = self.chain.links if self.chain else ()
        self._flush_ends = [link.log.end for link in self._flush_links]
        self._wake.notify()

    def has_passed(self, link: Link, number: int) -> bool:
        """Say whether every event of *link* before *number* is settled; lock held."""
        reader = link.readers.get(self.name)
        return reader is None or reader.position >= number or self._gave_up(link)

    def has_settled(self, link: Link, held: Held) -> bool:
        """Say whether this lane has nothing to do with *held* any more; lock held."""
        reader = link.readers.get(self.name)
        if reader is None or held.record.event_type not in self._kinds(link) or held.number < reader.position:
            return True
        in_hand = link is self._link and held.number < self._hand_end
        return (in_hand and held.number not in self._numbers) or self._gave_up(link)

    def wake(self) -> None:
        """Have the thread look at the chain again; lock held."""
        self._wake.notify()

    def give_up(self, link: Link, before: int) -> None:
        """Have the thread drop the events of *link* before that number: others need the room; lock held."""
        self._too_old_before = (link, before)
        self._wake.notify()

    def close(self, close_by: float) -> None:
        """Have the thread send what is left and end, before the moment *close_by* of the monotonic clock; lock held."""
        self._closing, self._close_by = True, close_by
        self.attempts.hurry()
        self._wake.notify()

    def join(self) -> None:
        """Wait for the thread until the moment that `close` was given."""
        self.worker.join(max(0.0, self._close_by - time.monotonic()))

    def abandon(self, links: Sequence[Link]) -> list[Ended]:
        """Give up all that is in memory only, and return the end of each delivery; lock held."""
        self._abandoned = True
        ended: list[Ended] = []
        for link in links:
            reader = link.readers.get(self.name)
            if link.is_durable or reader is None:
                continue
            left = list(self._hand) if link is self._link else []
            while lines := reader.read(1000, BATCH_BYTES):
                left += self._mine(link, self._held(link, lines))
            ended += self._give_up(link, left)
            reader.settle(link.log.end)
        self._hand, self._numbers = [], set()
        self._ledger.changed.notify_all()
        return ended

    def _give_up(self, link: Link, hand: Sequence[Held]) -> list[Ended]:
        if link.is_durable:
            return []
        final: list[Final] = [(held, Rejected("the data plane was closed")) for held in hand]
        return self.fates.end_all(link, final, self._is_elsewhere if self.others else None)

    def _gave_up(self, link: Link) -> bool:
        return self._abandoned and not link.is_durable

    def _run(self) -> None:
        while (link := self._await_batch()) is not None:
            try:
                # A fault may have left something in the hand: read over, it would be passed by the cursor, and lost.
                self._deliver(self._link if self._hand and self._link else self._read(link))
            except OSError as error:  # of the spool: a backplane's own are met where it is called
                self._disk_failed(error)
            except Exception as error:  # noqa: BLE001 - without this thread nothing is delivered any more
                self._disk_failed(OSError(None, f"unexpected {type(error).__name__}"))
        self._close_backplane()

    def _close_backplane(self) -> None:
        try:
            self.backplane.close(max(0.0, self._close_by - time.monotonic()))
        except BaseException as error:  # noqa: BLE001 - it must not end the thread with a trace for people to read
            reason = f"unexpected {type(error).__name__}"
            self._notices.warn("closing", f"backplane `{self.options.name}` could not be closed: {reason}", error)

    def _await_batch(self) -> Link | None:
        """Return the link whose next batch is due, as soon as one is; nothing when there will be none any more."""
        with self._wake:
            while not self._abandoned:
                link = self._next_link()
                if link is not None and self._is_due(link):
                    return link
                if link is None:
                    if self._closing:
                        break
                    self._since = 0.0
                elif not self._since:
                    self._since = time.monotonic()
                self._wake.wait(self._patience())
            return None

    def _next_link(self) -> Link | None:
        name = self.name
        for link in self.chain.links if self.chain and self.chain.is_ready else ():
            reader = link.readers.get(name)
            if reader is not None and reader.position < link.log.end:
                return link
        return None

    def _waiting(self) -> int:
        link = self._next_link()
        return link.log.end - link.readers[self.name].position if link else 0

    def _is_due(self, link: Link) -> bool:
        if self._closing or link.is_sealed or self._is_flushing(link):
            return True
        waiting = link.log.end - link.readers[self.name].position
        return waiting >= self.options.batch_size or (self._since > 0 and self._patience() <= 0)

    def _is_flushing(self, link: Link) -> bool:
        if link not in self._flush_links:
            return False
        return link.readers[self.name].position < self._flush_ends[self._flush_links.index(link)]

    def _patience(self) -> float:
        # Bounded also when nothing waits: a wait without end cannot be interrupted on some platforms.
        return self._since + self.options.interval - time.monotonic() if self._since else native.TIMEOUT_MAX

    def _read(self, link: Link) -> Link:
        """Take the next batch of *link* into the hand, or one that a fault kept from it; return whose it is."""
        if self._link is link:
            self._advance(link)  # a fault may have kept the cursor from what is settled
        if self._taken is None:
            self._taken = link, link.readers[self.name].read(self.options.batch_size, BATCH_BYTES)
        link, lines = self._taken
        reader, end = link.readers[self.name], link.log.end
        held = self._held(link, lines)
        hand = self._mine(link, held)
        with self._ledger.lock:
            self._since = 0.0
            self._taken = None
            if self._abandoned:  # while it was read
                self._give_up(link, hand)
                return link
            if link.is_recovered:
                self._enter_recovered(link, held)
            self._hand, self._numbers = hand, {held.number for held in hand}
            self._link, self._hand_end = link, lines[-1][0] + 1 if lines else reader.position
        if not lines and reader.position < end:
            raise OSError(None, "the events cannot be read")
        return link

    def _read_more(self, link: Link) -> None:
        """Take the next batch beside what is not taken: whether that is to blame shows when something else is taken."""
        if len(self._hand) > self.options.batch_size or self._closing:
            return
        lines = link.readers[self.name].read(self.options.batch_size, BATCH_BYTES)
        if not lines:
            return
        self._taken = link, lines
        held = self._held(link, lines)
        more = self._mine(link, held)
        with self._ledger.lock:
            self._taken = None
            if self._abandoned:
                self._give_up(link, more)
                return
            if link.is_recovered:
                self._enter_recovered(link, held)
            self._hand = self._hand + more
            self._numbers |= {held.number for held in more}
            self._hand_end = lines[-1][0] + 1

    def _disk_failed(self, error: OSError) -> None:
        reason = error.strerror or type(error).__name__
        self._notices.warn("lane's disk", f"backplane `{self.name}` waits for the spool: {reason}", error)
        with self._wake:
            if self._closing:
                self._wake.wait(RETRY_BASE_SECONDS)
            else:
                self._wake.wait_for(lambda: self._closing, DISK_SECONDS)

    def _kinds(self, link: Link) -> Collection[EventType]:
        return link.promised[self.name] if link.is_recovered else self.options.events

    def _mine(self, link: Link, all_held: Sequence[Held]) -> list[Held]:
        """Return what of *all_held* is for this lane."""
        kinds = self._kinds(link)
        return [held for held in all_held if held.record.event_type in kinds]

    def _held(self, link: Link, lines: Sequence[tuple[int, bytes]]) -> list[Held]:
        """Return the events of *lines*, also those that are for other lanes only."""
        found = []
        for number, line in lines:
            try:
                found.append(Held(number, record_of(line)))
            except (msgspec.MsgspecError, KeyError) as error:
                reason = f"is no event that this version knows: {error}"
                link.readers[self.name].set_aside(number, line, reason)
                self._notices.warn("unreadable", f"an event in the spool {reason}; it was set aside")
        return found

    def _enter_recovered(self, link: Link, all_held: Sequence[Held]) -> None:
        """Count what an earlier process left: each event once, by the lane that reads it first, for all that owe it."""
        if not all_held:
            return
        new = [held for held in all_held if not link.is_seen(held.number)]
        first, _ = link.seen[self.name]
        link.seen[self.name] = (first, all_held[-1].number + 1)
        owed: Counter[Key] = Counter()
        for held in new:
            kind = held.record.event_type
            lanes = [lane for lane in (self, *self.others) if link.owes(lane.name, held.number, kind)]
            owed[held.key] += bool(lanes)
            for lane in lanes:
                lane.fates.recovered += 1
        self._ledger.enter(+owed, link.status, recovered=True)
        link.outstanding.update(+owed)

    def _deliver(self, link: Link) -> None:
        """Send what is in the hand until all of it is settled or abandoned, and let the cursor pass it."""
        failures = 0
        while self._hand:
            if self._settle(link, self._too_old(link) or self.attempts.send(self._hand)):
                failures = 0
                self._advance(link)
            elif not self._pause(failures):
                return
            else:
                failures += 1
                self._read_more(link)
        self._advance(link)

    def _advance(self, link: Link) -> None:
        """Let the cursor pass what is settled, up to the first event that is not."""
        with self._ledger.lock:
            if self._abandoned:
                return
            before = min(self._numbers, default=self._hand_end)
        link.readers[self.name].settle(before)
        if not link.is_durable:
            link.log.release()  # now: it is memory that others wait for
        with self._ledger.lock:
            self._ledger.changed.notify_all()

    def _too_old(self, link: Link) -> list[Final]:
        """Return what of the hand is to be given up, with that verdict."""
        if self._too_old_before is None or self._too_old_before[0] is not link:
            return []
        return [(held, GIVEN_UP) for held in self._hand if held.number < self._too_old_before[1]]

    def _settle(self, link: Link, final: Sequence[Final]) -> bool:
        """Settle what has a final verdict; say whether anything had."""
        if not self._abandoned:
            final = self.fates.kept(link, final)
        with self._ledger.lock:
            if self._abandoned:
                return True
            self._numbers -= {held.number for held, _ in final}
            self._hand = [held for held in self._hand if held.number in self._numbers] if self._numbers else []
            ended = self.fates.end_all(link, final, self._is_elsewhere if self.others else None)
            self._ledger.changed.notify_all()
        end_receipts(ended)
        self.fates.tell(link, final)
        return bool(final)

    def _is_elsewhere(self, link: Link, held: Held) -> bool:
        return not all(lane.has_settled(link, held) for lane in self.others)

    def _has_too_old(self) -> bool:
        return bool(self._link is not None and self._too_old(self._link))

    def _pause(self, failures: int) -> bool:
        """Wait before the next attempt: exponential back-off with full jitter; say no when the hand was abandoned."""
        import random  # noqa: PLC0415 - costs 4 ms, and only a failing backplane needs it

        longest = min(RETRY_CAP_SECONDS, RETRY_BASE_SECONDS * 2 ** min(failures, 16))
        delay = random.uniform(0, longest)  # noqa: S311 - spreads load, guards nothing
        with self._wake:
            if self._closing:
                self._wake.wait(min(delay, RETRY_BASE_SECONDS))
            else:
                self._wake.wait_for(lambda: self._closing or self._has_too_old(), delay)
            return not self._abandoned
