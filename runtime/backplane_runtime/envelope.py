"""The envelope: one event on the wire, encoded once, on the thread that publishes it.

What waits in a queue is a `Record`: immutable, already bytes, with the few fields that a backplane needs for keys and
columns. The payload that SQL stores is a slice of the envelope that Kafka gets, so the two cannot differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import msgspec
import uuid_utils

from backplane_runtime import timestamps
from backplane_runtime.events import EVENTS, SCHEMA_VERSION, Event, EventType

_ENCODER = msgspec.json.Encoder()
_DECODERS = {kind: msgspec.json.Decoder(event) for kind, event in EVENTS.items()}
_WIRE_NAMES = {kind: kind.wire_name for kind in EventType}
_PAYLOAD_KEY = b'"payload":'


class InvalidEventError(ValueError):
    """An event that no consumer could read: a wrong type, an empty name, a value that JSON cannot hold."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One event on the wire; `payload` is a JSON object, kept as it was written."""

    event_id: str
    timestamp: str
    event_type: str
    schema_version: str
    payload: msgspec.Raw
    correlation_id: str | None = None
    metadata: dict[str, Any] | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event in a queue.

    `experiment`, `subject`, `tenant`, `variant` are what the payload says, after redaction. `metadata` is a JSON object.
    It can be in no cycle, so the garbage collector need not walk a queue of thousands.
    """

    event_id: str
    event_type: EventType
    timestamp: str
    experiment: str
    subject: str | None
    tenant: str | None
    variant: str | None
    correlation_id: str | None
    metadata: bytes | None
    envelope: bytes
    payload_size: int

    @property
    def schema_version(self) -> str:
        """Return the version of the payload's schema."""
        return SCHEMA_VERSION

    @property
    def payload(self) -> bytes:
        """Return the payload's bytes: the very ones of the envelope."""
        # Before the payload stand an id, a timestamp, a type and a version, so the first such key is the right one.
        start = self.envelope.index(_PAYLOAD_KEY) + len(_PAYLOAD_KEY)
        return self.envelope[start : start + self.payload_size]


class Context(msgspec.Struct, frozen=True):
    """What a caller says about an event beside the event: what it belongs to, and free metadata."""

    correlation: str | None = None
    metadata: Mapping[str, Any] | None = None


NO_CONTEXT = Context()


def new_event_id() -> str:
    """Return a lower-case UUIDv7: ids sort by the moment of their making."""
    return str(uuid_utils.uuid7())


def encode_record(event: Event, body: Event | Mapping[str, Any], context: Context = NO_CONTEXT) -> Record:
    """Return the record of *event*, whose payload is *body* (itself, or what redaction left of it).

    Raises:
        InvalidEventError: if the payload is not what the event's type promises, or cannot be JSON.
    """
    try:
        return _encode(event.event_type, body, context)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidEventError(f"{type(event).__name__} cannot be published: {error}") from error


def canonical_timestamp(event: Event) -> Event:
    """Return *event* with its timestamp in the one form of the wire.

    Raises:
        InvalidEventError: if it is no moment.
    """
    given = event.timestamp  # type: ignore[attr-defined]  # each of the five has it
    try:
        moment = timestamps.canonical(given)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidEventError(f"{type(event).__name__} cannot be published: timestamp: {error}") from error
    return event if moment is given else msgspec.structs.replace(event, timestamp=moment)


def _encode(kind: EventType, body: Event | Mapping[str, Any], context: Context) -> Record:
    payload = _ENCODER.encode(body)
    checked: Any = _DECODERS[kind].decode(payload)  # what we send, a consumer with our types can read
    if b"null" in payload:
        _refuse_non_finite(msgspec.to_builtins(body))
    correlation = None if context.correlation is None else str(context.correlation)
    metadata = _encode_metadata(context.metadata) if context.metadata else None
    envelope = Envelope(
        event_id=new_event_id(),
        timestamp=checked.timestamp,
        event_type=_WIRE_NAMES[kind],
        schema_version=SCHEMA_VERSION,
        payload=msgspec.Raw(payload),
        correlation_id=correlation,
        metadata=None if metadata is None else cast("dict[str, Any]", msgspec.Raw(metadata)),  # its bytes, as they are
    )
    return Record(
        event_id=envelope.event_id,
        event_type=kind,
        timestamp=envelope.timestamp,
        experiment=checked.experiment,
        subject=checked.subject,
        tenant=checked.tenant,
        variant=checked.variant,
        correlation_id=correlation,
        metadata=metadata,
        envelope=_ENCODER.encode(envelope),
        payload_size=len(payload),
    )


def _encode_metadata(given: Mapping[str, Any]) -> bytes:
    metadata = dict(given)
    encoded = _ENCODER.encode(metadata)
    if b"null" in encoded:
        _refuse_non_finite(msgspec.to_builtins(metadata))
    return encoded


def _refuse_non_finite(plain: Any) -> None:
    # msgspec writes NaN and infinities as null, so a payload without `null` holds none, and the walk is rare.
    if isinstance(plain, float) and not math.isfinite(plain):
        raise InvalidEventError(f"{plain} is not a number that JSON can hold")
    children = plain.values() if isinstance(plain, Mapping) else plain if isinstance(plain, (list, tuple)) else ()
    for child in children:
        _refuse_non_finite(child)
