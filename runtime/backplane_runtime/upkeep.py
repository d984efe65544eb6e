"""Upkeep: what a data plane does from time to time, on a thread of its own.

It takes over what dead processes left, makes folders durable, removes what is delivered, measures the spool, goes back to a
disk that works again. Each of these waits for a disk, for as long as that takes; the writer's thread must not, or a process
that is killed meanwhile loses all that was published since.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from backplane_runtime import laggards, native, spooling
from backplane_runtime.chain import Promised
from backplane_runtime.ledger import Ledger
from backplane_runtime.log import Log, MemoryLog
from backplane_runtime.notices import Notices
from backplane_runtime.receipts import Ended, end_receipts
from backplane_runtime.worker import Worker

if TYPE_CHECKING:
    from backplane_runtime.delivery import Delivery

MINUTE_SECONDS = 60.0  # between analysis signals about the ledger
SCARCE_SECONDS = 0.02  # between looks while the spool fills up, so that room is made before it is needed

REMOVED = "the folder of the spool was removed under the running program"

_LOGGER = logging.getLogger("backplane")


class Upkeep:
    """See the module; `on_minute` is called without a lock."""

    def __init__(self, delivery: Delivery, ledger: Ledger, notices: Notices) -> None:
        self.on_minute: Callable[[], None] | None = None
        self._delivery = delivery
        self._ledger = ledger
        self._notices = notices
        self._next_adoption = self._next_reopening = 0.0
        self._next_minute = time.monotonic() + MINUTE_SECONDS
        self._gate = native.Lock()  # a bare lock, for the reasons that `Writer` gives
        self._gate.acquire()
        self._pause = spooling.LOOK_SECONDS
        self._ending = False
        self.worker = Worker(self._run, "backplane-upkeep", ledger.lock)

    def end(self, timeout: float) -> None:
        """End the thread, in at most *timeout* seconds; what it does after that, it undoes."""
        self._ending = True
        with contextlib.suppress(RuntimeError):  # it was told before
            self._gate.release()
        self.worker.join(timeout)

    def _run(self) -> None:
        while not self._ending:
            try:
                self._go_round()
            except Exception as error:  # noqa: BLE001 - without this thread nothing is removed any more
                self._notices.warn("upkeep", f"upkeep failed, and goes on: unexpected {type(error).__name__}", error)
            self._gate.acquire(timeout=self._pause)

    def _go_round(self) -> None:
        now = time.monotonic()
        self._adopt(now)
        self._care_for_logs()
        self._leave_removed()
        self._reopen(now)
        if self._delivery.spooler is not None:
            self._delivery.spooler.measure(self._delivery.chain.links, now)
        ended: list[Ended] = []
        with self._ledger.lock:
            if self._ending:
                return
            fill = self._delivery.look(ended)
            self._pause = SCARCE_SECONDS if fill > laggards.FROM / 2 else spooling.LOOK_SECONDS
            done = self._delivery.chain.drop_settled()
        end_receipts(ended)
        for log in done:
            log.close()
        if self.on_minute is not None and now >= self._next_minute:
            self._next_minute = now + MINUTE_SECONDS
            self.on_minute()

    def _care_for_logs(self) -> None:
        for link in self._delivery.chain.links:
            if self._ending:
                return
            try:
                link.log.anchor()
                link.log.release()
            except OSError as error:
                reason = error.strerror or type(error).__name__
                self._notices.warn("upkeep's disk", f"the spool cannot be put in order: {reason}", error)

    def _leave_removed(self) -> None:
        """Write no more into a folder that somebody removed: files that have no name are gone with this process."""
        chain = self._delivery.chain
        if not chain.is_open or not chain.last.log.is_gone or not self._delivery.writer.go_on_with(MemoryLog()):
            return
        with self._ledger.lock:
            chain.problem = REMOVED
        self._next_reopening = 0.0  # there may be a new one at once
        self._notices.warn("removed", f"{REMOVED}; what is published from now on goes to a new one")

    def _reopen(self, now: float) -> None:
        """Go back to the disk, if it failed and can be written again, or its folder was removed."""
        if self._delivery.chain.problem is None or now < self._next_reopening:
            return
        self._next_reopening = now + spooling.REOPEN_SECONDS
        log = self._delivery.chain.make()
        if log is None:
            return
        if self._ending or not self._delivery.writer.go_on_with(log):
            log.close()
        else:  # said without a lock: a log handler may wait for who waits for it
            _LOGGER.warning("the spool can be written again; events go to disk from now on")

    def _adopt(self, now: float) -> None:
        """Take over what dead processes left; lanes wait for the first time, so that it goes before what is new."""
        found: list[tuple[Log, Promised]] = []
        spooler, chain = self._delivery.spooler, self._delivery.chain
        if spooler is not None and now >= self._next_adoption:
            self._next_adoption = now + spooling.ADOPTION_SECONDS
            try:
                found = spooler.adopt(sum(link.is_recovered for link in chain.links))
            except OSError as error:
                self._notices.warn("adoption", f"what earlier processes left cannot be read: {error.strerror}")
        with self._ledger.lock:
            if not self._ending:
                chain.insert(found)
                if found or not chain.is_ready:
                    chain.is_ready = True
                    self._ledger.changed.notify_all()
                    for lane in self._delivery.lanes:
                        lane.wake()
                return
        for log, _ in found:  # too late: they are another process's to deliver
            log.close()
