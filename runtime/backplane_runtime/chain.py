"""The chain: the logs of one data plane in the order in which lanes deliver them.

First come those that dead processes left, oldest first, then what this process has written; the last one is open, and the
writer appends to it. A disk that fails ends one log on it and begins one in memory; a disk that works again, the reverse.
So the order of publishing is the order of the chain, whatever happens between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from backplane_runtime.events import EventType
from backplane_runtime.ledger import Key
from backplane_runtime.log import Log, MemoryLog, Reader
from backplane_runtime.receipts import Receipt
from backplane_runtime.status import Status

Promised = Mapping[str, Collection[EventType]]
"""The lanes that may deliver a log, each with the event types that were promised to it."""


class Link:
    """One log, and where each lane stands in it."""

    def __init__(self, log: Log, lanes: Collection[str], *, is_recovered: bool = False) -> None:
        self.log = log
        self.readers: dict[str, Reader] = {name: log.reader(name) for name in lanes}
        self.is_durable = not isinstance(log, MemoryLog)
        self.is_sealed = self.is_recovered = is_recovered
        self.promised: Mapping[str, Collection[EventType]] = lanes if isinstance(lanes, Mapping) else {}
        """What each lane owes of what a dead process left: what that one had promised, whatever the config says now."""
        self.seen = {name: (one.position, one.position) for name, one in self.readers.items()}
        """The numbers that each lane has read of it, from the first to before the second: the ledger knows them."""
        self.given_up: set[int] = set()  # events that one lane gave up, and another has not had yet
        self.receipts: dict[int, Receipt] = {}
        self.outstanding: Counter[Key] = Counter()  # events that have no end yet, as the ledger counts them

    @property
    def status(self) -> Status:
        """Return where the events of this log are."""
        return Status.SPOOLED if self.is_durable else Status.QUEUED

    def owes(self, lane: str, number: int, kind: EventType) -> bool:
        """Say whether *lane* had yet to deliver that event when this process took the log over."""
        return lane in self.seen and number >= self.seen[lane][0] and kind in self.promised[lane]

    def is_seen(self, number: int) -> bool:
        """Say whether some lane has read that event, and so entered it in the ledger."""
        return any(first <= number < end for first, end in self.seen.values())

    @property
    def damaged(self) -> Counter[Key]:
        """Return the events that no lane will ever read, because the disk lost them: known when all others are settled."""
        lost = any(one.skipped for one in self.readers.values()) and not self.held
        return +self.outstanding if lost else Counter()

    @property
    def held(self) -> int:
        """Return how many of its events some lane has not settled."""
        return self.log.end - min((one.position for one in self.readers.values()), default=self.log.end)


class Chain:
    """All logs of one data plane; what changes the order of `links` happens with the ledger's lock held."""

    def __init__(self, lanes: Sequence[str], open_spool: Callable[[], Log] | None) -> None:
        self.links: tuple[Link, ...] = ()
        self.is_ready = False
        """What dead processes left is in `links`, so lanes may begin."""
        self.problem: str | None = None
        """Why events are in memory that should be on disk."""
        self._lanes = tuple(lanes)
        self._open_spool = open_spool

    @property
    def last(self) -> Link:
        """Return the link that takes new events."""
        return self.links[-1]

    @property
    def is_open(self) -> bool:
        """Say whether the last link takes new events; it does not while there are only those of dead processes."""
        return bool(self.links) and not self.last.is_recovered

    def make(self) -> Log | None:
        """Return a new log on disk, nothing where none is wanted or can be had; waits for the disk, so call it without a lock."""
        if self._open_spool is None:
            return None
        try:
            return self._open_spool()
        except OSError as error:
            self.problem = describe(error)
            return None

    def open(self, log: Log | None) -> None:
        """Begin with *log*, and in memory where there is none."""
        if not self.is_open:
            self._append(Link(log or MemoryLog(), self._lanes))

    def go_on_with(self, log: Log) -> None:
        """Go on with *log*, because the disk can be written again."""
        self.problem = None
        self._append(Link(log, self._lanes))

    def retreat(self, error: OSError) -> None:
        """Go on in memory, because the disk failed."""
        self.problem = describe(error)
        self._append(Link(MemoryLog(), self._lanes))

    def insert(self, logs: Sequence[tuple[Log, Promised]]) -> None:
        """Put what dead processes left, each with the lanes that may deliver it, before what this one wrote."""
        found = tuple(Link(log, lanes, is_recovered=True) for log, lanes in logs)
        before = tuple(link for link in self.links if link.is_recovered)
        self.links = (*before, *found, *self.links[len(before) :])

    def drop_settled(self) -> list[Log]:
        """Take out every sealed log whose events are all settled, and return them: the caller closes them, without a lock."""
        done = [link for link in self.links if link.is_sealed and not link.held]
        self.links = tuple(link for link in self.links if link not in done)
        return [link.log for link in done]

    def _append(self, link: Link) -> None:
        if self.is_open:
            self.last.is_sealed = True
        self.links = (*self.links, link)


def describe(error: OSError) -> str:
    """Return what is wrong with the spool, for people."""
    where = f" ({error.filename})" if error.filename else ""
    return f"the spool cannot be written: {error.strerror or type(error).__name__}{where}"
