"""An event as a row of the event table, for the backplanes that write SQL."""

from __future__ import annotations

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
