"""The ledger: what became of every event.

    published = sampled_out + disabled + duplicate + dropped + spooled + in_flight + acknowledged

holds at every moment, for each event type, experiment and variant, and in total. An event enters it when it leaves the
queue for the log; what is in the queue is counted when somebody asks, so that `publish` itself counts nothing. One lock
guards the counts and the moves between queue, log and lanes, so no snapshot falls between two of them. It can be entered
again by its owner, because a signal handler or a log handler may publish while this thread holds it. A signal handler may
also raise, wherever Python code runs: so a batch enters by one call of C, which happens or does not.

What an earlier process left in a spool is counted as published (and as `recovered`) when it is read for delivery.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import msgspec

from backplane_runtime import native
from backplane_runtime.envelope import Draft
from backplane_runtime.events import EventType
from backplane_runtime.status import Status

Key = tuple[EventType | None, str, str | None]  # event type (none: what was no event at all), experiment, variant

MAX_ROWS = 10_000  # experiments and variants are free text: beyond so many, the rest is counted together
OTHERS = "(others)"
_BATCH: Key = (None, "the last batch that was entered", None)


class Counts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Events by fate. `in_flight` waits in memory and `spooled` on disk; `acknowledged` was taken by every backplane
    that takes its type. `recovered` are those among the published that an earlier process had published.
    """  # noqa: D205 - one sentence for each

    published: int = 0
    sampled_out: int = 0
    disabled: int = 0
    duplicate: int = 0
    dropped: int = 0
    spooled: int = 0
    in_flight: int = 0
    acknowledged: int = 0
    recovered: int = 0

    @property
    def accounted(self) -> int:
        """Return the sum of all fates: what the law says equals `published`."""
        return sum(msgspec.structs.astuple(self)[1:_RECOVERED])

    def __str__(self) -> str:
        fates = msgspec.structs.asdict(self)
        published, recovered = fates.pop("published"), fates.pop("recovered")
        sum_of_fates = " + ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in fates.items() if count)
        before = f" ({recovered:,} by an earlier process)" if recovered else ""
        return f"published {published:,}{before} = {sum_of_fates or '0'}"


class VariantCounts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The counts of one variant of one experiment; without a variant, of the events that name none."""

    event_type: EventType
    experiment: str
    variant: str | None
    counts: Counts


class BackplaneCounts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The same for one backplane, of the events that it takes: taken = in_flight + acknowledged + dropped.

    `in_flight` are all that it does not have yet, in memory or on disk. `duplicates` counts those among the acknowledged
    that it already had, `set_aside` those among the dropped that are kept in the spool for people to look at.
    """

    taken: int = 0
    in_flight: int = 0
    acknowledged: int = 0
    duplicates: int = 0
    dropped: int = 0
    set_aside: int = 0


class LedgerView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The ledger at one moment. `total` also counts what was handed to `publish` and was no event, as dropped."""

    total: Counts
    by_type: dict[EventType, Counts]
    by_variant: tuple[VariantCounts, ...]
    by_backplane: dict[str, BackplaneCounts]

    def __str__(self) -> str:
        return str(self.total)


_NAMES = Counts.__struct_fields__
_PUBLISHED, _RECOVERED = _NAMES.index("published"), _NAMES.index("recovered")
_ENTERED = len(_NAMES)  # a column of our own: events of this process that are or were in a log
_WIDTH = _ENTERED + 1
_FATES = {
    Status.QUEUED: "in_flight",
    Status.SPOOLED: "spooled",
    Status.SAMPLED_OUT: "sampled_out",
    Status.DISABLED: "disabled",
    Status.DUPLICATE: "duplicate",
    Status.DROPPED: "dropped",
    Status.ACKNOWLEDGED: "acknowledged",
}
_COLUMN = {status: _NAMES.index(name) for status, name in _FATES.items()}


class Ledger:
    """Counts of one data plane, safe to use from many threads."""

    def __init__(self) -> None:
        self.lock = native.RLock()
        self.changed = native.Condition(self.lock)  # events were settled
        self._rows: dict[Key, list[int]] = {}

    def count(self, key: Key, status: Status) -> Status:
        """Count one published event that met *status*, and return it."""
        self.enter({key: 1}, status)
        return status

    def enter(self, numbers: Mapping[Key, int], status: Status, *, recovered: bool = False) -> None:
        """Count published events that met *status*."""
        column = _COLUMN[status]
        with self.lock:
            for key, number in numbers.items():
                row = self._row(key)
                row[_PUBLISHED] += number
                row[column] += number
                row[_RECOVERED] += number * recovered

    def enter_batch(self, numbers: Mapping[Key, int], status: Status, batch: int) -> None:
        """Count events that are in a log now, unless that *batch* is the last that was entered; lock held."""
        if self.has_entered(batch):
            return
        changed: dict[Key, list[int]] = {_BATCH: [batch]}
        for key, number in numbers.items():
            row = changed.setdefault(self._known(key), [*self._row(key)])
            for column in (_PUBLISHED, _COLUMN[status], _ENTERED):
                row[column] += number
        self._rows.update(changed)

    def has_entered(self, batch: int) -> bool:
        """Say whether *batch* is the last that was entered."""
        return self._rows.get(_BATCH) == [batch]

    @property
    def last_batch(self) -> int:
        """Return the number of the last batch that was entered."""
        return self._rows.get(_BATCH, [0])[0]

    def entered(self, kinds: Collection[EventType]) -> int:
        """Return how many events of these types this process has put in a log; lock held."""
        return sum(row[_ENTERED] for key, row in self._rows.items() if key[0] in kinds)

    def move(self, numbers: Mapping[Key, int], before: Status, after: Status) -> None:
        """Move events from the fate *before* to the fate *after*."""
        with self.lock:
            for key, number in numbers.items():
                row = self._row(key)
                row[_COLUMN[before]] -= number
                row[_COLUMN[after]] += number

    def rows(self, queued: Iterable[Draft]) -> dict[Key, Counts]:
        """Return the counts of each key, with *queued* as in flight; called with the lock held."""
        waiting: Counter[Key] = Counter((one.form.kind, one.experiment, one.variant) for one in queued)
        rows = {key: [*row] for key, row in self._rows.items() if key is not _BATCH}
        for key, number in waiting.items():
            row = rows.setdefault(key, [0] * _WIDTH)
            row[_PUBLISHED] += number
            row[_COLUMN[Status.QUEUED]] += number
        return {key: _counts(row) for key, row in rows.items()}

    def _row(self, key: Key) -> list[int]:
        return self._rows.setdefault(self._known(key), [0] * _WIDTH)

    def _known(self, key: Key) -> Key:
        """Return the key under which *key* is counted."""
        return key if key in self._rows or len(self._rows) < MAX_ROWS else (key[0], OTHERS, None)


def view(rows: dict[Key, Counts], by_backplane: dict[str, BackplaneCounts]) -> LedgerView:
    """Return *rows* as people and programs look at them."""
    by_type = {kind: total([counts for key, counts in rows.items() if key[0] is kind]) for kind in EventType}
    by_variant = tuple(
        VariantCounts(event_type=kind, experiment=experiment, variant=variant, counts=counts)
        for (kind, experiment, variant), counts in sorted(rows.items(), key=lambda row: tuple(map(str, row[0])))
        if kind is not None
    )
    return LedgerView(total=total(rows.values()), by_type=by_type, by_variant=by_variant, by_backplane=by_backplane)


def total(counts: Collection[Counts]) -> Counts:
    """Return the sum of *counts*."""
    rows = [msgspec.structs.astuple(one) for one in counts]
    return _counts(list(map(sum, zip(*rows, strict=True)))) if rows else Counts()


def _counts(row: list[int]) -> Counts:
    return Counts(**dict(zip(_NAMES, row, strict=False)))  # without our own column
