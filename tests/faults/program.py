"""The program that a fault strikes: `python -m tests.faults.program ORDERS`.

Its own hook at exit is registered before the runtime is imported, so it runs after the runtime's, and sees the last ledger.
"""

from __future__ import annotations

import atexit
import sys
import time
from collections.abc import Callable

import msgspec

from tests.faults.orders import Orders


class _Clock:
    """The wall clock with steps in it; there is no other way to move it for one process alone."""

    def __init__(self) -> None:
        self.offset = 0
        self._true = time.time_ns

    def __call__(self) -> int:
        return self._true() + self.offset


def main() -> None:
    """Do as ordered."""
    orders = msgspec.json.decode(sys.argv[1], type=Orders)
    clock = _Clock()
    if orders.clock:
        time.time_ns = clock
        time.time = lambda: clock() / 1e9
    hooks: list[Callable[[], None]] = []
    atexit.register(lambda: [hook() for hook in hooks])
    from tests.faults import publishing  # noqa: PLC0415 - after the clock and the hook

    publisher = publishing.Publisher(orders, clock)
    hooks.append(publisher.say_last_words)
    publisher.run()


if __name__ == "__main__":
    main()
