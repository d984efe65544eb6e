"""Delivery: from the queue to every backplane that takes an event, and the end of all of it.

The queue is the writer's, the logs are the chain's, and each backplane has a lane. What is here is what concerns them all:
where a new event finds room, what happens when there is none, flushing, closing.

An event is acknowledged when each lane that takes its type has it; one that any lane gave up is dropped, though the others
may have it: the counts of each backplane tell.
"""

from __future__ import annotations

import time

from backplane_runtime import laggards, spooling
from backplane_runtime.assembly import Assembly
from backplane_runtime.chain import Chain
from backplane_runtime.envelope import Draft
from backplane_runtime.lane import Lane
from backplane_runtime.ledger import Ledger, LedgerView, view
from backplane_runtime.notices import Notices
from backplane_runtime.overflow import PRESSED_FROM, is_kept
from backplane_runtime.status import Status
from backplane_runtime.upkeep import Upkeep
from backplane_runtime.writer import Writer

BLOCK_SECONDS = 5.0  # how long `failureMode: block` waits for room
RELIEF_SECONDS = 0.01  # how long `publish` lets the writer work where the queue is nearly full
SAVE_SECONDS = 2.0  # how long `close` waits for a disk that hangs


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
        self.upkeep = Upkeep(self, ledger, notices)
        for lane in self.lanes:
            lane.chain, lane.others = self.chain, tuple(other for other in self.lanes if other is not lane)
        self.limit = 0
        """Where the queue is shorter, `publish` may append to it without asking."""
        self.largest = plane.max_queue_bytes // 2 // plane.max_queue_size
        """In bytes: a payload that is longer is counted, so that all of them together are bounded."""
        self._is_strict = plane.durability == "processStrict" and self.spooler is not None
        self._large = 0  # bytes of large payloads in the queue
        self._disk_fill = 0.0
        self._started = False
        self._closed = False

    @property
    def memory_only(self) -> bool:
        """Say whether undelivered events live in memory alone."""
        return self.spooler is None or self.chain.problem is not None

    def start(self) -> None:
        """Open the logs and start the threads, unless that was done."""
        with self._ledger.lock:
            if self._started or self._closed:
                return
            for lane in self.lanes:
                lane.start()
            self.writer.start()
            self.upkeep.start()
            self._started = True
            self._set_limit()

    def put(self, draft: Draft, subject: str | None) -> Status:
        """Find room for *draft* and say what became of it; the way of those that the quick check did not let through."""
        if not self._started:
            self.start()
        if self._plane.failure_mode == "block" and not self.writer.is_here:
            self._await_room()
        problem = "the data plane is closed" if self._closed else self._no_room(draft, subject)
        if problem is not None:
            self._notices.warn(problem, f"an event was dropped: {problem}")
            if draft.receipt is not None:
                draft.receipt.end(Status.DROPPED)
            return self._ledger.count((draft.form.kind, draft.experiment, draft.variant), Status.DROPPED)
        if len(draft.payload) > self.largest:
            with self._ledger.lock:
                self._large += len(draft.payload)
        self.writer.queue.append(draft)
        if self._is_strict:
            self.writer.drain()
            return Status.SPOOLED if draft.line is not None and self.chain.last.is_durable else Status.QUEUED
        if self.writer.is_asleep:
            self.writer.wake()
        return Status.QUEUED

    def view(self) -> LedgerView:
        """Return the ledger, all of one moment."""
        with self._ledger.lock:
            self.writer.complete()
            rows = self._ledger.rows(self.writer.queue.copy())
            by_backplane = {lane.options.name: lane.counts() for lane in self.lanes}
        return view(rows, by_backplane)

    def flush(self, timeout: float) -> bool:
        """Send all that was put so far; say whether all of it is settled within *timeout* seconds."""
        until = time.monotonic() + timeout
        self.start()
        self.writer.save(timeout)
        with self._ledger.lock:
            # What an earlier process left goes first, and must have been found.
            self._ledger.changed.wait_for(lambda: self.chain.is_ready, max(0.0, until - time.monotonic()))
            if self.writer.queue or not self.chain.is_ready:
                return False
            marks = [(link, link.log.end) for link in self.chain.links]
            for lane in self.lanes:
                lane.flush()
            return self._ledger.changed.wait_for(
                lambda: all(lane.has_passed(link, end) for link, end in marks for lane in self.lanes),
                max(0.0, until - time.monotonic()),
            )

    def look(self) -> float:
        """Count what the disk lost, and return how much of the spool's quota is taken, from 0 to 1 and beyond; lock held."""
        self._count_damage()
        self._measure_room()
        return self._disk_fill

    def save(self) -> None:
        """Have all that was put in the log: within milliseconds, where the disk is well."""
        self.writer.save(SAVE_SECONDS)

    def close(self, timeout: float) -> int:
        """Save what is queued, send what is left for at most *timeout* seconds, and return how many deliveries were lost."""
        with self._ledger.lock:
            if self._closed:
                return 0
            self._closed, self.limit = True, 0
            self._ledger.changed.notify_all()  # who waits for room
        self.writer.end(SAVE_SECONDS)
        self.upkeep.end(SAVE_SECONDS)
        with self._ledger.lock:
            self.chain.is_ready = True
            for lane in self.lanes:
                lane.close(time.monotonic() + timeout)
        for lane in self.lanes:
            lane.join()
        with self._ledger.lock:
            lost = self._drop_queue() + sum(lane.abandon(self.chain.links) for lane in self.lanes)
            self._count_damage()
            receipts = [one for link in self.chain.links for one in link.receipts.values()]
        for receipt in receipts:
            receipt.end(Status.SPOOLED)
        for link in self.chain.links:
            link.log.close()
        if lost:
            events = "1 undelivered event is" if lost == 1 else f"{lost} undelivered events are"
            self._notices.warn("lost", f"{events} lost: the data plane was closed after {timeout:g} s")
        return lost

    def forget(self) -> None:
        """Let go, in a forked child, of what is the parent's."""
        for link in self.chain.links:
            link.log.forget()

    def _drop_queue(self) -> int:
        """Count what no log took, because the disk hangs; lock held."""
        self.writer.complete()
        left = list(self.writer.queue)
        self.writer.queue.clear()
        for one in left:
            self._ledger.count((one.form.kind, one.experiment, one.variant), Status.DROPPED)
        return len(left)

    def _no_room(self, draft: Draft, subject: str | None) -> str | None:
        """Return why there is no room for *draft*; nothing where there is."""
        if len(draft.payload) > self.largest and self._bytes() + len(draft.payload) > self._plane.max_queue_bytes // 2:
            return "the queue in memory is full (`maxQueueBytes`)"
        if self.spooler is not None and len(self.writer.queue) >= self.limit > 0 and not self.writer.is_here:
            self.writer.relieve(self.limit, RELIEF_SECONDS)
        fill = self._fill()
        is_kept_here = fill < 1 if self._plane.failure_mode == "block" else is_kept(subject, fill)
        if not is_kept_here:
            return "the queue in memory is full (`maxQueueSize`)"
        return None if is_kept(subject, self._disk_fill) else "the spool is full (`spool.maxBytes`)"

    def _fill(self) -> float:
        with self._ledger.lock:
            return (len(self.writer.queue) + self._held_in_memory()) / self._plane.max_queue_size

    def _held_in_memory(self) -> int:
        return sum(link.held for link in self.chain.links if not link.is_durable)

    def _bytes(self) -> int:
        """Return the bytes of large events in the queue, and of all that is held in memory behind it."""
        with self._ledger.lock:
            behind = [link.log for link in self.chain.links if not link.is_durable]
            for log in behind:
                log.release()
            return self._large + sum(log.held_bytes for log in behind)

    def _await_room(self) -> None:
        with self._ledger.lock:
            self._ledger.changed.wait_for(lambda: self._closed or self._fill() < 1, BLOCK_SECONDS)

    def _set_limit(self) -> None:
        pressed = max(1, int(self._plane.max_queue_size * PRESSED_FROM))
        if self._closed or self._is_strict or self._disk_fill > PRESSED_FROM:
            self.limit = 0
        else:
            self.limit = pressed - self._held_in_memory()

    def _appended(self) -> None:
        self._large = 0
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

    def _count_damage(self) -> None:
        """Count as dropped what the disk lost; lock held."""
        for link in self.chain.links:
            if lost := link.damaged:
                link.outstanding.clear()
                self._ledger.move(lost, link.status, Status.DROPPED)
                self._notices.warn("damage", f"{lost.total()} events in the spool are lost: the disk damaged them")
