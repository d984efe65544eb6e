"""Receipts: for the few events whose publisher wants to know what became of them.

Futures of `concurrent.futures`, so a thread may wait for them, and a coroutine through `asyncio.wrap_future`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from backplane_runtime.notices import Notices
from backplane_runtime.status import Status

if TYPE_CHECKING:
    from concurrent.futures import Future


class Receipt:
    """What `publish(…, receipt=True)` returns.

    `status` is what `publish` would have returned. `spooled` is done when the event is on disk, or will never be: its result
    is `Status.SPOOLED`, or what happened instead. `acknowledged` is done when every backplane that takes the event has
    acknowledged it: its result is `Status.ACKNOWLEDGED`, or what happened instead. Results, never exceptions. An event that
    is on disk when the data plane is closed is delivered by the next one: `acknowledged` then ends with `Status.SPOOLED`.
    """

    def __init__(self, notices: Notices) -> None:
        from concurrent.futures import Future  # noqa: PLC0415 - 10 ms, and few events have a receipt

        self._notices = notices
        self.status = Status.QUEUED
        self.spooled: Future[Status] = Future()
        self.acknowledged: Future[Status] = Future()
        for future in (self.spooled, self.acknowledged):
            future.set_running_or_notify_cancel()  # nobody can take an event back

    def on_disk(self) -> None:
        """Say that the event is in the spool."""
        self._set(self.spooled, Status.SPOOLED)

    def end(self, status: Status) -> None:
        """Say what became of the event in the end."""
        self._set(self.spooled, status)
        self._set(self.acknowledged, status)

    def _set(self, future: Future[Status], status: Status) -> None:
        if future.done():
            return
        try:
            future.set_result(status)
        except BaseException as error:
            # Of a callback: the library catches what is an `Exception`. What ends a program may do so; but a thread of ours
            # would only end itself, and nothing would be delivered any more.
            if threading.current_thread() is threading.main_thread():
                raise
            self._notices.warn("receipt", f"a callback of a receipt raised {type(error).__name__}", error)


Ended = tuple[Receipt | None, Status]
"""The end of one delivery: the receipt of its event, where there is one and nobody else has it still, and what became of it."""


def end_receipts(ended: Iterable[Ended]) -> None:
    """Tell each receipt; without locks, because the callbacks of a future are the application's."""
    for receipt, status in ended:
        if receipt is not None:
            receipt.end(status)
