"""Delivery: every event to every lane that takes its type, and the end of all of them.

An event is acknowledged when each lane that takes its type has it; one that any lane gave up is dropped, though the
others may have it: the counts of each backplane tell.

When a queue is full, `failureMode: block` lets `publish` wait up to `BLOCK_SECONDS` for room; the other modes, and block
after that time, drop the *new* event for the backplane whose queue it is, count it, and log at a bounded rate.
`failureMode: spool` acts like `drop` until there is a spool: bounded memory, retried without end. One log line and
`Health.memory_only` say so.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from backplane_runtime.envelope import Record
from backplane_runtime.events import EventType
from backplane_runtime.lane import Lane
from backplane_runtime.ledger import Entry, Ledger
from backplane_runtime.notices import Notices
from backplane_runtime.status import Status

BLOCK_SECONDS = 5.0


class Delivery:
    """All lanes of one data plane."""

    def __init__(self, lanes: Sequence[Lane], ledger: Ledger, notices: Notices, *, blocks: bool) -> None:
        self.lanes = tuple(lanes)
        self._takers = {kind: tuple(lane for lane in lanes if kind in lane.options.events) for kind in EventType}
        self._ledger = ledger
        self._notices = notices
        self._blocks = blocks
        self._started = False
        self._closed = False

    def put(self, record: Record) -> Status:
        """Hand *record* to its lanes, count it, and return what became of it."""
        entry = Entry(record)
        try:
            self._hand_out(entry)
            if entry.lost:
                self._say_dropped()
        except Exception as error:
            # A signal handler raised in between: an event that is on its way stays, and must not be counted again.
            if entry.status is None and not entry.pending:
                raise
            self._notices.warn("torn", f"`publish` kept its event and a {type(error).__name__} raised meanwhile", error)
        return self._ledger.enter(entry)

    def _hand_out(self, entry: Entry) -> None:
        takers = self._takers[entry.record.event_type]
        wanted = len(takers)
        with self._ledger.lock:
            if self._blocks:
                self._ledger.changed.wait_for(
                    lambda: self._closed or all(lane.has_room for lane in takers), BLOCK_SECONDS
                )
            try:
                if not self._closed:
                    self._start()
                    for lane in takers:
                        lane.put(entry)
            finally:  # also where a signal handler raised between two lanes: the second will never have it
                entry.lost = entry.pending < wanted
            self._ledger.enter(entry)

    def flush(self, timeout: float) -> bool:
        """Send all that was put so far; say whether all of it is settled within *timeout* seconds."""
        with self._ledger.lock:
            marks = [(lane, lane.flush()) for lane in self.lanes]
            return self._ledger.changed.wait_for(lambda: all(lane.has_reached(mark) for lane, mark in marks), timeout)

    def close(self, timeout: float) -> int:
        """Send what is left for at most *timeout* seconds, and return how many deliveries were given up."""
        with self._ledger.lock:
            if self._closed:
                return 0
            self._closed = True
            self._ledger.changed.notify_all()  # who waits for room
            for lane in self.lanes:
                lane.close(time.monotonic() + timeout)
        for lane in self.lanes:
            lane.join()
        with self._ledger.lock:
            lost = sum(lane.abandon() for lane in self.lanes)
        if lost:
            events = "1 undelivered event is" if lost == 1 else f"{lost} undelivered events are"
            self._notices.warn("lost", f"{events} lost: the data plane was closed after {timeout:g} s")
        return lost

    def _start(self) -> None:
        if not self._started:
            for lane in self.lanes:
                lane.start()
            self._started = True

    def _say_dropped(self) -> None:
        if self._closed:
            self._notices.warn("closed", "an event was dropped: the data plane is closed")
        else:
            self._notices.warn("overflow", "an event was dropped: the queue in memory is full (`maxQueueSize`)")
