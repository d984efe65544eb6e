"""Delivery: from the queue to every backplane that takes an event, and the end of all of it.

The queue is the writer's, the logs are the chain's, and each backplane has a lane. What is here is what concerns them all:
where a new event finds room, what happens when there is none, flushing, closing.

An event is acknowledged when each lane that takes its type has it; one that any lane gave up is dropped, though the others
may have it: the counts of each backplane tell.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence

from backplane_runtime import laggards, native, spooling
from backplane_runtime.assembly import Assembly
from backplane_runtime.chain import Chain, Link
from backplane_runtime.envelope import Draft
from backplane_runtime.lane import Lane
from backplane_runtime.ledger import MAX_ROWS, Key, Ledger, LedgerView, view
from backplane_runtime.notices import Notices
from backplane_runtime.overflow import PRESSED_FROM, is_kept
from backplane_runtime.receipts import Ended, end_receipts
from backplane_runtime.status import Status
from backplane_runtime.upkeep import Upkeep
from backplane_runtime.writer import Writer

BLOCK_SECONDS = 5.0  # how long `failureMode: block` waits for room
RELIEF_SECONDS = 0.01  # how long `publish` lets the writer work where the queue is nearly full
SAVE_SECONDS = 2.0  # how long `close` waits for a disk that hangs

CLOSED = "the data plane is closed"
FULL = "the queue in memory is full (`maxQueueSize`)"
FULL_BYTES = "the queue in memory is full (`maxQueueBytes`)"


class Delivery:
    """All of it for one data plane. Opens nothing before the first event."""

    def __init__(self, assembly: Assembly, ledger: Ledger, notices: Notices) -> None:
        plane = assembly.plane
        self._plane = plane
        self._ledger = ledger
        self._notices = notices
        self.lanes = tuple(Lane(options, ledger, notices) for options in assembly.lanes)
        self.spooler = spooling.Spooler(plane, assembly.lanes) if spooling.wanted(plane) else None
        self.chain = Chain([lane.options.name for lane in self.lanes], self.spooler.open if self.spooler else None)
        self.writer = Writer(self.chain, ledger, notices, syncs=plane.durability == "host" and self.spooler is not None)
        self.writer.on_append = self._appended
        self.writer.on_straggler = self._take_straggler
        self.upkeep = Upkeep(self, ledger, notices)
        for lane in self.lanes:
            lane.chain, lane.others = self.chain, tuple(other for other in self.lanes if other is not lane)
        self.limit = 0
        """Where the queue is shorter, `publish` may append to it without asking."""
        self.largest = plane.max_queue_bytes // 2 // plane.max_queue_size
        """In bytes: an event that is larger is counted, so that all of them together are bounded."""
        self._is_strict = plane.durability == "processStrict" and self.spooler is not None
        self._large = 0  # bytes of large events in the queue
        self._disk_fill = 0.0
        self._started = False
        self._closed = self._is_over = False
        self._is_leaving = False  # the process ends: what comes after the end goes to disk
        self._close_by = 0.0
        self._ending = native.RLock()  # held by whoever closes

    @property
    def memory_only(self) -> bool:
        """Say whether undelivered events live in memory alone."""
        return self.spooler is None or self.chain.problem is not None

    def start(self) -> None:
        """Start the threads, unless that was done; where none can be had, the next call tries again."""
        with self._ledger.lock:
            if self._started or self._closed:
                return
            try:
                for worker in (*(lane.worker for lane in self.lanes), self.writer.worker, self.upkeep.worker):
                    worker.start()
            except RuntimeError as error:  # at the end of the interpreter (from Python 3.12 on), or too many threads
                problem = error
            else:
                self._started = True
                self._set_limit()
                return
        self._notices.warn("threads", f"events are kept and not delivered: {problem}")

    def put(self, draft: Draft, subject: str | None) -> Status:
        """Find room for *draft* and say what became of it; the way of those that the quick check did not let through."""
        if not self._started:
            self.start()
        if self._plane.failure_mode == "block" and not self.writer.worker.is_here:
            problem = self._append_when_there_is_room(draft)
        else:
            problem = self._no_room(draft, subject)
            if problem is None:
                self._append(draft)
        if problem is not None:
            self._notices.warn(problem, f"an event was dropped: {problem}")
            if draft.receipt is not None:
                draft.receipt.end(Status.DROPPED)
            return self._ledger.count((draft.form.kind, draft.experiment, draft.variant), Status.DROPPED)
        if self._is_strict or self._closed or (self.spooler is not None and not self._started):
            self._save_now()
            return Status.SPOOLED if self.writer.is_durable(draft) else Status.QUEUED
        if self.writer.is_asleep:
            self.writer.wake()
        return Status.QUEUED

    def _save_now(self) -> None:
        try:
            self.writer.drain()
        except Exception as error:  # noqa: BLE001 - it is in the queue, and a request must not fail for its telemetry
            self._notices.warn("writer", f"an event is not on disk yet: unexpected {type(error).__name__}", error)

    def view(self) -> LedgerView:
        """Return the ledger, all of one moment."""
        with self._ledger.lock:
            self.writer.complete()
            rows = self._ledger.rows(self.writer.queue.copy())
            by_backplane = {lane.options.name: lane.fates.counts() for lane in self.lanes}
        return view(rows, by_backplane)

    def flush(self, timeout: float) -> bool:
        """Send all that was put so far; say whether all of it is settled within *timeout* seconds."""
        until = time.monotonic() + min(timeout, threading.TIMEOUT_MAX / 2)
        self.start()
        if not self.writer.save(timeout):
            return False
        with self._ledger.lock:
            self.writer.complete()
            # What an earlier process left goes first, and must have been found.
            self._ledger.changed.wait_for(lambda: self.chain.is_ready, max(0.0, until - time.monotonic()))
            if not self.chain.is_ready:
                return False
            marks = [(link, link.log.end) for link in self.chain.links]
            for lane in self.lanes:
                lane.flush()
            return bool(
                self._ledger.changed.wait_for(
                    lambda: all(lane.has_passed(link, end) for link, end in marks for lane in self.lanes),
                    max(0.0, until - time.monotonic()),
                )
            )

    def hurry(self) -> None:
        """Have each event on disk before its `publish` returns, where there is a spool."""
        if self.spooler is not None:
            self._is_strict, self.limit = True, 0

    def look(self, ended: list[Ended]) -> float:
        """Return how much of the spool's quota is taken, from 0 to 1 and beyond; lock held.

        What the disk lost is counted, and its end noted in *ended*.
        """
        self._count_damage(ended)
        self._measure_room()
        return self._disk_fill

    def close(self, timeout: float) -> int:
        """Save what is queued, send what is left for at most *timeout* seconds, and return how many deliveries were lost.

        A second call waits for the first, and goes on with what an exception (of a signal handler) left undone.
        """
        lost = 0
        is_inner = self._is_closing_here()
        try:  # before the lock is taken: a signal handler may raise right after that
            if self._ending.acquire(timeout=timeout + 2 * SAVE_SECONDS):
                self._begin_closing(timeout)
                lost = 0 if self._is_over else self._finish_closing(timeout)
        finally:
            if self._is_closing_here() and not is_inner:
                self._ending.release()
        return lost

    def _is_closing_here(self) -> bool:
        return bool(self._ending._is_owned())  # noqa: SLF001 - as `Condition` asks it

    def begin_leaving(self, timeout: float) -> None:
        """Do the first part of `close`, which does not wait for the network, because the process ends.

        What is published from now on goes to disk at once, without a thread, and the next start delivers it.
        """
        if not self._closed:
            self._is_leaving = self.spooler is not None
            self._begin_closing(timeout)

    def _begin_closing(self, timeout: float) -> None:
        with self._ledger.lock:
            if not self._closed:
                self._close_by = time.monotonic() + timeout
            self._closed, self.limit = True, 0
            self._ledger.changed.notify_all()  # who waits for room
        self.writer.end(SAVE_SECONDS)
        with self._ledger.lock:
            self.chain.is_ready = True
            for lane in self.lanes:
                lane.close(self._close_by)

    def _finish_closing(self, timeout: float) -> int:
        for lane in self.lanes:
            lane.join()
        self.upkeep.end(SAVE_SECONDS)
        ended: list[Ended] = []
        self.writer.alone(lambda: self._let_go(ended), SAVE_SECONDS)
        end_receipts(ended)
        lost = sum(status is not Status.SPOOLED for _, status in ended)
        if lost:
            events = "1 undelivered event is" if lost == 1 else f"{lost} undelivered events are"
            self._notices.warn("lost", f"{events} lost: the data plane was closed after {timeout:g} s")
        return lost

    def _let_go(self, ended: list[Ended]) -> None:
        """Close the logs, and note in *ended* the end of every delivery that was still to be made."""
        self.writer.save(0)  # what was appended meanwhile
        with self._ledger.lock:
            ended += [one for lane in self.lanes for one in lane.abandon(self.chain.links)]
            ended += self._drop_queue()
            self._count_damage(ended)
            gone = self._count_gone()
            links, self.chain.links = self.chain.links, () if self._is_leaving else self.chain.links
            for link in links:
                end = Status.DROPPED if link in gone else Status.SPOOLED
                ended += [(one, end) for one in link.receipts.values()]
            self._is_over = True
        for link in links:
            link.log.close()

    def _take_straggler(self) -> None:
        """Deal with an event whose publisher had found room, and put it in the queue when all was over."""
        if not self._is_over:
            return  # whoever closes will look at the queue
        if self._is_leaving:
            self._save_now()
        else:
            with self._ledger.lock:
                ended = self._drop_queue()
            self._notices.warn(CLOSED, f"an event was dropped: {CLOSED}")
            end_receipts(ended)

    def forget(self) -> None:
        """Let go, in a forked child, of what is the parent's."""
        for link in self.chain.links:
            link.log.forget()

    def _drop_queue(self) -> list[Ended]:
        """Count what no log took, because the disk hangs or all was over; lock held."""
        self.writer.complete()
        ended: list[Ended] = []
        while self.writer.queue:
            one = self.writer.queue.popleft()
            self._ledger.count((one.form.kind, one.experiment, one.variant), Status.DROPPED)
            ended.append((one.receipt, Status.DROPPED))
        return ended

    def _append(self, draft: Draft) -> None:
        if draft.size > self.largest:
            with self._ledger.lock:
                self._large += draft.size
        self.writer.queue.append(draft)

    def _append_when_there_is_room(self, draft: Draft) -> str | None:
        """Wait for room, and append *draft* in the same step: of many who wait, each finds its own. Return why not."""
        with self._ledger.lock:
            self._ledger.changed.wait_for(lambda: self._closed or not self._is_full(draft), BLOCK_SECONDS)
            problem = self._is_full(draft) if not self._closed else CLOSED
            if problem is None:
                self._append(draft)
        return problem

    def _is_full(self, draft: Draft) -> str | None:
        if self._byte_fill(draft) >= 1:
            return FULL_BYTES
        return FULL if self._fill() >= 1 else None

    def _byte_fill(self, draft: Draft) -> float:
        """Return how much of the room for large events is taken, from 0 to 1; 1 where *draft* does not fit into the rest."""
        # Events up to `largest` need no bytes counted: so many as may wait fill one half of what is allowed.
        if draft.size <= self.largest:
            return 0.0
        room = self._plane.max_queue_bytes // 2
        with self._ledger.lock:
            held = sum(link.log.held_bytes for link in self.chain.links if not link.is_durable)
        taken = self._large + max(0, held - room)
        return taken / room if taken + draft.size <= room else 1.0

    def _no_room(self, draft: Draft, subject: str | None) -> str | None:
        """Return why there is no room for *draft*; nothing where there is."""
        if self._closed and not self._is_leaving:
            return CLOSED
        if not is_kept(subject, self._byte_fill(draft)):
            return FULL_BYTES
        if self.spooler is not None and len(self.writer.queue) >= self.limit > 0 and not self.writer.worker.is_here:
            self.writer.relieve(self.limit, RELIEF_SECONDS)
        if not is_kept(subject, self._fill()):
            return FULL
        return None if is_kept(subject, self._disk_fill) else "the spool is full (`spool.maxBytes`)"

    def _fill(self) -> float:
        with self._ledger.lock:
            return (len(self.writer.queue) + self._held_in_memory()) / self._plane.max_queue_size

    def _held_in_memory(self) -> int:
        return sum(link.held for link in self.chain.links if not link.is_durable)

    def _set_limit(self) -> None:
        pressed = max(1, int(self._plane.max_queue_size * PRESSED_FROM))
        if self._closed or self._is_strict or self._disk_fill > PRESSED_FROM:
            self.limit = 0
        else:
            self.limit = pressed - self._held_in_memory()

    def _appended(self, drafts: Sequence[Draft]) -> None:
        if self._large:
            sizes = (one.size for one in drafts)
            self._large = max(0, self._large - sum(size for size in sizes if size > self.largest))
        for lane in self.lanes:
            lane.notice()
        self._measure_room()

    def _measure_room(self) -> None:
        """Look how full it is; where room is scarce, who is far behind the others gives up its oldest events; lock held."""
        self._disk_fill = self.spooler.fill(self.chain.links) if self.spooler else 0.0
        self._set_limit()
        if len(self.lanes) > 1 and max(self._disk_fill, self._fill()) > laggards.FROM:
            for lane, link, number in laggards.given_up(self.lanes, self.chain.links):
                lane.give_up(link, number)

    def _count_gone(self) -> list[Link]:
        """Count as dropped what waits in folders that somebody removed, and return these; lock held."""
        gone = [link for link in self.chain.links if link.log.is_gone]
        for link in gone:
            if lost := +link.outstanding:
                self._lose(link, lost)
                self._notices.warn("gone", f"{lost.total()} events in the spool are lost: its folder was removed")
        return gone

    def _count_damage(self, ended: list[Ended]) -> None:
        """Count as dropped what the disk lost, and note its end in *ended*; lock held."""
        for link in self.chain.links:
            if len(link.outstanding) > MAX_ROWS:
                link.outstanding = +link.outstanding  # names are free text: without those that have no event left
            if lost := link.damaged:
                ended += [(one, Status.DROPPED) for one in link.receipts.values()]
                link.receipts.clear()
                self._lose(link, lost)
                self._notices.warn("damage", f"{lost.total()} events in the spool are lost: the disk damaged them")

    def _lose(self, link: Link, lost: Counter[Key]) -> None:
        """Count as dropped what *link* has no more; lock held."""
        link.outstanding.clear()
        self._ledger.move(lost, link.status, Status.DROPPED)
        for lane in self.lanes:
            lane.fates.lose(link, lost)
