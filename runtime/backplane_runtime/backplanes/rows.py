"""An event as a row of the event table, for the backplanes that write SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from backplane_runtime.backplanes.api import Rejected, Verdict
from backplane_runtime.envelope import Record

# In the order of `row`; `Id` and `CreatedAt` are the database's own.
COLUMNS = ("EventId", "Timestamp", "EventType", "SchemaVersion", "PayloadJson", "CorrelationId", "MetadataJson")

Row = tuple[str, str, str, str, str, str | None, str | None]


def row(record: Record) -> Row:
    """Return the values of *record*; the payload is, byte for byte, that of the envelope."""
    return (
        record.event_id,
        record.timestamp,
        record.event_type.wire_name,
        record.schema_version,
        record.payload.decode(),
        record.correlation_id,
        None if record.metadata is None else record.metadata.decode(),
    )


def each_alone(
    insert: Callable[[Record], Verdict | Rejected], batch: Sequence[Record], fault: type[Exception]
) -> list[Verdict | Rejected]:
    """Have each record of *batch* stored in a transaction of its own; from a *fault* on, the rest is to be handed over again.

    Raises:
        Exception: that *fault*, where nothing had its verdict before it.
    """
    verdicts: list[Verdict | Rejected] = []
    for record in batch:
        try:
            verdicts.append(insert(record))
        except fault:
            if not verdicts:
                raise
            break  # what is stored is told now: without unique ids it would be there twice; the next call meets the fault
    return [*verdicts, *[Verdict.RETRY] * (len(batch) - len(verdicts))]
