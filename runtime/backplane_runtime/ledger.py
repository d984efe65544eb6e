"""The ledger: what became of every event.

    published = sampled_out + disabled + duplicate + dropped + spooled + in_flight + acknowledged

holds at every moment, for each event type and in total. One lock guards the counts *and* the queues that they speak of
(`delivery`), so no snapshot falls between the two. It can be entered again by its owner, because a signal handler or a
log handler may publish while this thread is publishing. A signal handler may also raise, anywhere where something is
called: what belongs together is done without a call in between, and what a backplane already has when `publish` is torn
away is counted when it is settled.
"""

from __future__ import annotations

import threading

import msgspec

from backplane_runtime.envelope import Record
from backplane_runtime.events import EventType
from backplane_runtime.status import Status


class Counts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Events by fate. `in_flight` waits in memory; `acknowledged` was taken by every backplane that takes its type."""

    published: int = 0
    sampled_out: int = 0
    disabled: int = 0
    duplicate: int = 0
    dropped: int = 0
    spooled: int = 0
    in_flight: int = 0
    acknowledged: int = 0

    @property
    def accounted(self) -> int:
        """Return the sum of all fates: what the law says equals `published`."""
        return sum(msgspec.structs.astuple(self)[1:])

    def __str__(self) -> str:
        fates = msgspec.structs.asdict(self)
        published = fates.pop("published")
        return f"published {published:,} = " + (
            " + ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in fates.items() if count) or "0"
        )


class BackplaneCounts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The same for one backplane, of the events that it takes: taken = in_flight + acknowledged + dropped.

    `duplicates` counts those among the acknowledged that it already had.
    """

    taken: int = 0
    in_flight: int = 0
    acknowledged: int = 0
    duplicates: int = 0
    dropped: int = 0


class LedgerView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The ledger at one moment."""

    total: Counts
    by_type: dict[EventType, Counts]
    by_backplane: dict[str, BackplaneCounts]

    def __str__(self) -> str:
        return str(self.total)


_FIELDS = {
    Status.QUEUED: "in_flight",
    Status.SPOOLED: "spooled",
    Status.SAMPLED_OUT: "sampled_out",
    Status.DISABLED: "disabled",
    Status.DUPLICATE: "duplicate",
    Status.DROPPED: "dropped",
}
_NAMES = Counts.__struct_fields__
_COLUMN = {status: _NAMES.index(name) for status, name in _FIELDS.items()}
_IN_FLIGHT, _DROPPED, _ACKNOWLEDGED = (_NAMES.index(name) for name in ("in_flight", "dropped", "acknowledged"))


class Entry(msgspec.Struct, gc=False):
    """One event on its way: `pending` lanes still have it, and `lost` says that one of them gave it up.

    `status` is what it was counted as; none as long as it was not.
    """

    record: Record
    pending: int = 0
    lost: bool = False
    status: Status | None = None


class Ledger:
    """Counts of one data plane, safe to use from many threads."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)  # events were settled
        self._rows = {kind: [0] * len(_NAMES) for kind in EventType}

    def count(self, kind: EventType, status: Status) -> Status:
        """Count one published event of *kind* that met *status*, and return it."""
        column = _COLUMN[status]
        with self.lock:
            row = self._rows[kind]
            row[0] += 1
            row[column] += 1
        return status

    def enter(self, entry: Entry) -> Status:
        """Count *entry*, once, by whether a lane has it, and return what it was counted as."""
        with self.lock:
            if entry.status is not None:
                return entry.status
            status = Status.QUEUED if entry.pending else Status.DROPPED
            self._enter(entry, status, _COLUMN[status])
            return status

    def settle(self, entry: Entry) -> None:
        """Move *entry* from `in_flight` to its end."""
        with self.lock:
            if entry.status is None:  # its `publish` was torn away
                self._enter(entry, Status.QUEUED, _IN_FLIGHT)
            row = self._rows[entry.record.event_type]
            row[_IN_FLIGHT] -= 1
            row[_DROPPED if entry.lost else _ACKNOWLEDGED] += 1

    def _enter(self, entry: Entry, status: Status, column: int) -> None:
        row = self._rows[entry.record.event_type]
        row[0] += 1
        row[column] += 1
        entry.status = status

    def by_type(self) -> dict[EventType, Counts]:
        """Return the counts of each event type, all of one moment."""
        with self.lock:
            rows = {kind: tuple(row) for kind, row in self._rows.items()}
        return {kind: _counts(row) for kind, row in rows.items()}


def total(by_type: dict[EventType, Counts]) -> Counts:
    """Return the sum over all event types."""
    rows = [msgspec.structs.astuple(counts) for counts in by_type.values()]
    return _counts(tuple(map(sum, zip(*rows, strict=True))))


def _counts(row: tuple[int, ...]) -> Counts:
    return Counts(**dict(zip(_NAMES, row, strict=True)))
