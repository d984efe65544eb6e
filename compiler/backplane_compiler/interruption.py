"""Ctrl-C as a wish that is asked about, so that a running call is finished and not torn apart."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class StopWish:
    """Whether somebody asked to stop; truth that only goes one way."""

    def __init__(self) -> None:
        # Not an Event: its lock must not be taken in a signal handler.
        self._asked = False

    def __bool__(self) -> bool:
        return self._asked

    def ask(self) -> None:
        """Ask to stop after what is running."""
        self._asked = True


@contextmanager
def stop_on_interrupt(answer: Callable[[], None]) -> Iterator[StopWish]:
    """Yield a wish that Ctrl-C expresses, in place of `KeyboardInterrupt`.

    *answer* is called at once, in the signal handler: what runs may take long. A second Ctrl-C raises
    `KeyboardInterrupt` at once, for somebody who would rather not wait. Outside of the main thread, where Python lets
    nobody handle signals, the wish is only expressed by `ask`.
    """
    wish = StopWish()

    def handle(number: int, frame: FrameType | None) -> None:
        if wish:
            signal.default_int_handler(number, frame)
        wish.ask()
        answer()

    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield wish
    finally:
        signal.signal(signal.SIGINT, before)
