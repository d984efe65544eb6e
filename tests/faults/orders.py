"""What a publishing program is to do: handed over as JSON, the only argument of the program."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

RECEIPTS_EVERY = 10  # of the events, one has a receipt


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """See the module.

    Attributes:
        kind: of the backplane, with its `options` and those of the data plane, as a document has them.
        tally: path of the mapping, with room for `size` events.
        report: path of the file to which each process adds its ledger when it ends in order.
        first: number of the first event; thread `t` publishes `count` events from `first + t * count` on.
        stream: name of the order: events of one stream, thread and experiment are to arrive as they were published.
        rate: events a second and thread; 0: as fast as it goes.
        ending: what the main thread does when all is published; `drain` waits until nothing is left in the spool.
        handles_sigterm: the application has a handler of its own, which raises `SystemExit`.
        forks: children that the main thread forks meanwhile; each publishes as many events as a thread and exits.
        clock: steps of the wall clock in seconds, spread over the events.
        settle: seconds that `flush` may take at the end.
    """

    kind: str
    options: dict[str, Any]
    plane: dict[str, Any]
    tally: str
    size: int
    report: str
    first: int = 0
    count: int = 0
    stream: str = "main"
    threads: int = 1
    rate: float = 0
    ending: Literal["return", "exit", "raise", "wait", "drain"] = "return"
    handles_sigterm: bool = False
    forks: int = 0
    clock: tuple[float, ...] = ()
    settle: float = 0


class LastWords(msgspec.Struct, frozen=True, kw_only=True):
    """What a process that ends in order says about the events from number `first` to before `stop`."""

    first: int
    stop: int
    published: int
    recovered: int
    accounted: int
    acknowledged: int
    duplicates: int
    dropped: int
    left: int
