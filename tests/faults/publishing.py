"""Publishing as ordered, and noting for each event what `publish` returned."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec

from backplane_runtime import DataPlane, Outcome, Receipt, Status
from backplane_runtime.backplanes.registry import registered
from backplane_runtime.settings import Plane
from backplane_runtime.settings.base import from_wire
from backplane_runtime.spool import default_root
from tests.faults import null
from tests.faults.leftovers import await_empty
from tests.faults.orders import LastWords, Orders
from tests.faults.tally import ACCEPTED, ACKNOWLEDGED, ON_DISK, REFUSED, Tally

EXPERIMENTS = 4  # of each thread, so that keys spread over partitions
DRAIN_SECONDS = 90.0
PATIENCE = 0.001  # seconds; who sleeps less does nothing but wake up


class Clock(Protocol):
    """The wall clock, which is set by its `offset` in nanoseconds."""

    offset: int


class Publisher:
    """One process."""

    def __init__(self, orders: Orders, clock: Clock) -> None:
        null.register()
        self._orders = orders
        self._clock = clock
        self._tally = Tally(Path(orders.tally), orders.size)
        settings_type = registered(orders.kind).settings_type
        if settings_type is None:
            raise ValueError(f"backplane `{orders.kind}` has no settings")
        plane = from_wire(Plane, orders.plane)
        self._root = Path(plane.spool.directory) if plane.spool.directory else default_root()
        self._plane = DataPlane(from_wire(settings_type, orders.options), plane=plane)
        if orders.handles_sigterm:
            signal.signal(signal.SIGTERM, _exit)

    def run(self) -> None:
        """Publish all, and end as ordered."""
        orders = self._orders
        if orders.ending == "drain":
            self._drain()
        threads = [threading.Thread(target=self._publish, args=(number,)) for number in range(orders.threads)]
        for thread in threads:
            thread.start()
        for child in range(orders.forks):
            time.sleep(0.02)
            self._fork(child)
        while any(thread.is_alive() for thread in threads):
            threads[0].join(0.05)  # in pieces, so that a signal's handler gets its turn
        if orders.settle:
            self._plane.flush(orders.settle)
        self._end()

    def say_last_words(self) -> None:
        """Add the ledger to the report."""
        orders, view = self._orders, self._plane.ledger()
        total = view.total
        words = LastWords(
            first=orders.first,
            stop=orders.first + orders.threads * orders.count,
            published=total.published,
            recovered=total.recovered,
            accounted=total.accounted,
            acknowledged=total.acknowledged,
            duplicates=sum(one.duplicates for one in view.by_backplane.values()),
            dropped=total.dropped,
            left=total.spooled + total.in_flight,
        )
        with Path(orders.report).open("ab") as file:
            file.write(msgspec.json.encode(words) + b"\n")

    def _publish(self, thread: int) -> None:
        orders = self._orders
        first = orders.first + thread * orders.count
        stream = f"{orders.stream}/{thread}"
        steps = {orders.count * (place + 1) // (len(orders.clock) + 1): step for place, step in enumerate(orders.clock)}
        for done in _paced(orders.count, orders.rate):
            if done in steps:
                self._clock.offset += int(steps[done] * 1e9)
            number = first + done
            event = Outcome(f"{stream}/{number % EXPERIMENTS}", subject=str(number), metric="m", value=1.0)
            if orders.receipts and number % orders.receipts == 0:
                status = self._note(number, self._plane.publish(event, receipt=True))
            else:
                status = self._plane.publish(event)
            is_accepted = status is Status.QUEUED or status is Status.SPOOLED
            self._tally.publish(number, ACCEPTED if is_accepted else REFUSED)

    def _note(self, number: int, receipt: Receipt) -> Status:
        receipt.spooled.add_done_callback(partial(self._tell, number, Status.SPOOLED, ON_DISK))
        receipt.acknowledged.add_done_callback(partial(self._tell, number, Status.ACKNOWLEDGED, ACKNOWLEDGED))
        return receipt.status

    def _tell(self, number: int, wanted: Status, kind: int, future: Future[Status]) -> None:
        if future.result() is wanted:
            self._tally.tell(number, kind)

    def _fork(self, child: int) -> None:
        orders = self._orders
        if os.fork():
            return
        first = orders.first + (orders.threads + child) * orders.count
        self._orders = msgspec.structs.replace(orders, first=first, threads=1, forks=0, stream=f"child {child}")
        self._publish(0)
        sys.exit()

    def _end(self) -> None:
        ending = self._orders.ending
        if ending == "exit":
            sys.exit(3)
        if ending == "raise":
            raise RuntimeError("nobody catches this")
        while ending == "wait":
            time.sleep(0.05)

    def _drain(self) -> None:
        """Return when no folder of the spool holds anything to be delivered."""
        self._plane.start()
        await_empty(self._root, DRAIN_SECONDS)


def _exit(number: int, frame: object) -> None:
    raise SystemExit(0)


def _paced(count: int, rate: float) -> Iterator[int]:
    """Yield 0 to *count* - 1, *rate* of them a second."""
    begin = time.monotonic()
    for number in range(count):
        while rate and (early := begin + number / rate - time.monotonic()) > 0:
            time.sleep(max(early, PATIENCE))
        yield number
