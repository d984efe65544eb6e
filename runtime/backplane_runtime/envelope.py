"""The envelope: one event on the wire.

It comes into being in two steps. On the caller's thread an event becomes a `Draft`: its payload is bytes, checked and
immutable, and its moment is taken. On the writer's thread `seal` gives it an id and puts the line together that the spool
holds and Kafka gets. On the way out a line becomes a `Record`: with the few fields that a backplane needs for keys and
columns. The payload that SQL stores is a slice of the line, so the two cannot differ.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import uuid_utils

from backplane_runtime import timestamps
from backplane_runtime.events import EVENTS, SCHEMA_VERSION, Event, EventType, Exposure
from backplane_runtime.receipts import Receipt

_ENCODER = msgspec.json.Encoder()

encode = _ENCODER.encode


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


class Form:
    """What envelopes of one event type have in common."""

    def __init__(self, kind: EventType) -> None:
        self.kind = kind
        self.check = msgspec.json.Decoder(EVENTS[kind]).decode
        head = b'{"eventId":"%%b","timestamp":"%%b","eventType":"%b","schemaVersion":"%b","payload":%%b'
        start = head % (kind.wire_name.encode(), SCHEMA_VERSION.encode())
        self.complete = start + b"%b}"  # id, timestamp, payload, context
        self.without_timestamp = start + b',"timestamp":"%b"}%b}'  # … of a payload whose last brace is cut off


FORMS = {kind: Form(kind) for kind in EventType}


class Draft(msgspec.Struct, gc=False):
    """An event that `publish` accepted, before it is in the log.

    `moment` is in nanoseconds of the Unix clock, and `stamp` its text where the payload holds it already; `context` is what
    follows the payload. Where there is an `identity`, an exposure that says what the payload says, the id is made of it, and
    otherwise of time and chance. The writer fills in the rest: `line` is the envelope, and `batch` the number of the batch
    with which it goes into the log.
    It can be in no cycle but through a receipt, so the garbage collector need not walk a queue of thousands.
    """

    form: Form
    experiment: str
    variant: str | None
    payload: bytes
    moment: int
    stamp: bytes | None = None
    context: bytes = b""
    identity: Exposure | None = None
    receipt: Receipt | None = None
    line: bytes | None = None
    batch: int = 0

    @property
    def size(self) -> int:
        """Return the bytes that the event brings along; what all envelopes have in common is not counted."""
        return len(self.payload) + len(self.context)


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event on its way to a backplane.

    `experiment`, `subject`, `tenant`, `variant` are what the payload says, after redaction. `metadata` is a JSON object.
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

    @property
    def schema_version(self) -> str:
        """Return the version of the payload's schema."""
        return SCHEMA_VERSION

    @property
    def payload(self) -> bytes:
        """Return the payload's bytes: the very ones of the envelope."""
        return bytes(_decode_payload(self.envelope).payload)


class Context(msgspec.Struct, frozen=True):
    """What a caller says about an event beside the event: what it belongs to, and free metadata."""

    correlation: str | None = None
    metadata: Mapping[str, Any] | None = None


NO_CONTEXT = Context()


class _Routing(msgspec.Struct, frozen=True, gc=False):
    experimentName: str  # noqa: N815 - the wire's names
    subjectId: str | None = None  # noqa: N815
    tenantId: str | None = None  # noqa: N815
    variantKey: str | None = None  # noqa: N815
    newVariantKey: str | None = None  # noqa: N815


class _Line(msgspec.Struct, frozen=True, rename="camel", gc=False):
    event_id: str
    timestamp: str
    event_type: str
    payload: _Routing
    correlation_id: str | None = None
    metadata: msgspec.Raw = msgspec.Raw()


class _Payload(msgspec.Struct, frozen=True, gc=False):
    payload: msgspec.Raw


_KINDS = {kind.wire_name: kind for kind in EventType}
_decode_line = msgspec.json.Decoder(_Line).decode
_decode_payload = msgspec.json.Decoder(_Payload).decode
_decode_routing = msgspec.json.Decoder(_Routing).decode


def draft(event: Event, body: Event | Mapping[str, Any], context: Context = NO_CONTEXT) -> Draft:
    """Return the draft of *event*, whose payload is *body* (itself, or what redaction left of it).

    Raises:
        InvalidEventError: if the payload is not what the event's type promises, or cannot be JSON.
    """
    try:
        return _draft(event, body, context)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidEventError(f"{type(event).__name__} cannot be published: {_unquoted(error)}") from error


def canonical_timestamp(event: Event) -> Event:
    """Return *event* with its timestamp, where it has one, in the one form of the wire.

    Raises:
        InvalidEventError: if it is no moment.
    """
    given = event.timestamp  # type: ignore[attr-defined]  # each of the five has it
    if given is msgspec.UNSET:
        return event
    try:
        moment = timestamps.canonical(given)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidEventError(f"{type(event).__name__} cannot be published: timestamp: {error}") from error
    return event if moment is given else msgspec.structs.replace(event, timestamp=moment)


def _unquoted(error: Exception) -> str:
    """Return the text of *error* without the value, which may be an identifier in the wrong place."""
    return re.sub(r"(?s)^Invalid enum value .*( - at )", r"Invalid value\1", str(error))


def subject_of(made: Draft) -> tuple[str | None, str | None]:
    """Return the subject and the tenant that the payload of *made* names."""
    routing = _decode_routing(made.payload)
    return routing.subjectId, routing.tenantId


def seal(drafts: Sequence[Draft]) -> list[bytes]:
    """Give each of *drafts* its line, and return the lines. A second call changes nothing: an id is given once."""
    second, text = -1, b""
    new_id = uuid_utils.uuid7
    for one in drafts:
        if one.line is not None:
            continue
        event_id = (str(new_id()) if one.identity is None else same_id(one.identity)).encode()
        if one.stamp is not None:
            one.line = one.form.complete % (event_id, one.stamp, one.payload, one.context)
            continue
        seconds, nanoseconds = divmod(one.moment, 1_000_000_000)
        if seconds != second:  # formatting it anew for each event costs three times the rest
            second, text = seconds, timestamps.to_second(seconds).encode()
        stamp = b"%b%06dZ" % (text, nanoseconds // 1000)
        one.line = one.form.without_timestamp % (event_id, stamp, one.payload[:-1], stamp, one.context)
    return [one.line for one in drafts if one.line is not None]


def same_id(exposure: Exposure) -> str:
    """Return the id of the first use of a variant, the same in every process: a UUID of version 8 (RFC 9562).

    It is made of what the payload says, so it tells nothing about a subject that the payload hides.
    """
    from hashlib import blake2b  # noqa: PLC0415 - 2 ms, and only `onFirstUse` needs it

    identity = (exposure.experiment, exposure.version, exposure.variant, exposure.subject, exposure.tenant)
    digest = blake2b(encode(identity), digest_size=16, person=b"backplane-event").digest()
    number = int.from_bytes(digest, "big") & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def record_of(line: bytes) -> Record:
    """Return the record of an envelope.

    Raises:
        msgspec.MsgspecError, KeyError: if it is none that this version knows.
    """
    found = _decode_line(line)
    routing = found.payload
    kind = _KINDS[found.event_type]
    return Record(
        event_id=found.event_id,
        event_type=kind,
        timestamp=found.timestamp,
        experiment=routing.experimentName,
        subject=routing.subjectId,
        tenant=routing.tenantId,
        variant=routing.newVariantKey if kind is EventType.ASSIGNMENT else routing.variantKey,
        correlation_id=found.correlation_id,
        metadata=bytes(found.metadata) or None,
        envelope=line,
    )


def encode_record(event: Event, body: Event | Mapping[str, Any], context: Context = NO_CONTEXT) -> Record:
    """Return the record of *event* at once, as if it had come through a log."""
    return record_of(seal([draft(event, body, context)])[0])


def _draft(event: Event, body: Event | Mapping[str, Any], context: Context) -> Draft:
    form = FORMS[event.event_type]
    _refuse_bytes(event)
    payload = encode(body)
    checked: Any = form.check(payload)  # what we send, a consumer with our types can read
    if b"null" in payload:
        _refuse_non_finite(msgspec.to_builtins(body))
    _refuse_lines(payload)
    return Draft(
        form=form,
        experiment=checked.experiment,
        variant=checked.variant,
        payload=payload,
        moment=timestamps.nanoseconds(),
        stamp=None if checked.timestamp is msgspec.UNSET else checked.timestamp.encode(),
        context=b"" if context is NO_CONTEXT else encode_context(context),
    )


def encode_context(context: Context) -> bytes:
    """Return what follows the payload in the envelope of an event with *context*.

    Raises:
        InvalidEventError, TypeError, ValueError: if the metadata cannot be JSON.
    """
    encoded = b""
    if context.correlation is not None:
        encoded += b',"correlationId":' + encode(str(context.correlation))
    if context.metadata:
        encoded += b',"metadata":' + _encode_metadata(context.metadata)
    return encoded


def _encode_metadata(given: Mapping[str, Any]) -> bytes:
    metadata = dict(given)
    encoded = encode(metadata)
    if b"null" in encoded:
        _refuse_non_finite(msgspec.to_builtins(metadata))
    _refuse_lines(encoded)
    return encoded


def _refuse_bytes(event: Event) -> None:
    # msgspec writes them as Base64, which is text for whoever checks the payload.
    fields = EVENTS[event.event_type].__struct_fields__
    if any(isinstance(getattr(event, name), (bytes, bytearray, memoryview)) for name in fields):
        raise InvalidEventError("bytes where text belongs; decode them")


def _refuse_lines(encoded: bytes) -> None:
    # One event is one line of the spool. JSON has line breaks only where somebody wrote it by hand: `msgspec.Raw`.
    if b"\n" in encoded:
        raise InvalidEventError("`msgspec.Raw` with a line break; write it in one line")


def _refuse_non_finite(plain: Any) -> None:
    # msgspec writes NaN and infinities as null, so a payload without `null` holds none, and the walk is rare.
    if isinstance(plain, float) and not math.isfinite(plain):
        raise InvalidEventError(f"{plain} is not a number that JSON can hold")
    children = plain.values() if isinstance(plain, Mapping) else plain if isinstance(plain, (list, tuple)) else ()
    for child in children:
        _refuse_non_finite(child)
