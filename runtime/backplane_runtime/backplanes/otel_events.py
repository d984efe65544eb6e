"""What an event is called in OpenTelemetry: names and attributes, without any SDK.

An exposure is a flag evaluation, so it has the name and the attributes of the semantic conventions (`feature_flag.*`,
docs/feature-flags/feature-flags-events.md of open-telemetry/semantic-conventions, status: release candidate). The other
four have no convention; their names begin with `experiment.`, a namespace that the registry does not have, and they share
`feature_flag.key`, `.result.variant` and `.context.id`, so that they can be joined with the exposures. README.md in this
folder has the tables. Everything comes from the payload as it was published, so what was redacted stays so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import msgspec

from backplane_runtime.envelope import Record
from backplane_runtime.events import UNSPECIFIED, VERSION_ATTRIBUTE, EventType

PROVIDER = "experiment-backplane"

NAMES: Mapping[EventType, str] = MappingProxyType(
    {
        EventType.EXPOSURE: "feature_flag.evaluation",
        EventType.ASSIGNMENT: "experiment.assignment",
        EventType.OUTCOME: "experiment.outcome",
        EventType.ANALYSIS_SIGNAL: "experiment.analysis_signal",
        EventType.ERROR: "experiment.error",
    }
)

# Field of the payload -> attribute. A field's name means the same in all events, but for `message`.
ATTRIBUTES: Mapping[str, str] = MappingProxyType(
    {
        "experimentName": "feature_flag.key",
        "variantKey": "feature_flag.result.variant",
        "newVariantKey": "feature_flag.result.variant",
        "subjectId": "feature_flag.context.id",
        "subjectType": "experiment.subject.type",
        "tenantId": "experiment.tenant.id",
        "selectionReason": "experiment.selection.reason",
        "rulePath": "experiment.selection.rule_path",
        "isRepeatExposure": "experiment.exposure.repeat",
        "assignmentPolicy": "experiment.assignment.policy",
        "previousVariantKey": "experiment.assignment.previous_variant",
        "changeReason": "experiment.assignment.reason",
        "metric": "experiment.outcome.metric",
        "value": "experiment.outcome.value",
        "signalType": "experiment.signal.type",
        "severity": "experiment.signal.severity",
        "errorType": "error.type",
        "stackTrace": "exception.stacktrace",
    }
)
_MESSAGES = {EventType.ANALYSIS_SIGNAL: "experiment.signal.message", EventType.ERROR: "error.message"}
# Free data of the application; a key of its own that begins with `feature_flag.` is one of the convention's attributes.
_NESTED: Mapping[str, str] = MappingProxyType({"attributes": "experiment.attributes.", "data": "experiment.data."})
_CONVENTION = "feature_flag."

# The part of `selectionReason` before its first colon, in lower case -> `feature_flag.result.reason`.
REASONS: Mapping[str, str] = MappingProxyType(
    {
        **{
            word: word
            for word in (
                "cached",
                "default",
                "disabled",
                "error",
                "split",
                "stale",
                "static",
                "targeting_match",
                "unknown",
            )
        },
        UNSPECIFIED: "unknown",
        "rule": "targeting_match",
        "targeting": "targeting_match",
        "segment": "targeting_match",
        "override": "targeting_match",
        "random": "split",
        "rollout": "split",
        "percentage": "split",
        "bucket": "split",
        "weighted": "split",
        "sticky": "cached",
        "fallback": "default",
        "control": "default",
    }
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INT64 = range(-(2**63), 2**63)
_UINT64_END = 2**64


class Telemetry(msgspec.Struct, frozen=True, kw_only=True):
    """One event in OpenTelemetry's words.

    `nanoseconds` since 1970 are 0, OpenTelemetry's "unknown", where the moment is outside of what 64 bits hold; it then is
    an attribute. `severity` is info, warning or error. `message` is for people, where there is one. `traceparent` is what
    the event's metadata say.
    """

    event_id: str
    name: str
    nanoseconds: int
    severity: str
    message: str | None
    attributes: dict[str, Any]
    traceparent: str | None


def telemetry_of(record: Record) -> Telemetry:
    """Return what *record* is in OpenTelemetry's words."""
    kind = record.event_type
    payload: dict[str, Any] = msgspec.json.decode(record.payload)
    metadata: dict[str, Any] = msgspec.json.decode(record.metadata) if record.metadata else {}
    attributes = dict(_from_payload(kind, payload))
    attributes |= {f"experiment.metadata.{key}": _held(value) for key, value in metadata.items()}
    attributes |= {
        # `log.record.uid`: "other log records with the same id will be considered duplicates" (its registry entry).
        "log.record.uid": record.event_id,
        "event.id": record.event_id,
        "experiment.schema.version": record.schema_version,
    }
    if record.correlation_id is not None:
        attributes["experiment.correlation.id"] = record.correlation_id
    nanoseconds = _nanoseconds(record.timestamp)
    if not nanoseconds:
        attributes["experiment.timestamp"] = record.timestamp
    traceparent = metadata.get("traceparent")
    return Telemetry(
        event_id=record.event_id,
        name=NAMES[kind],
        nanoseconds=nanoseconds,
        severity="error" if kind is EventType.ERROR else payload.get("severity", "info"),
        message=payload.get("message"),
        attributes=attributes,
        traceparent=traceparent if isinstance(traceparent, str) else None,
    )


def evaluation_reason(selection: str) -> str:
    """Return *selection* as a value of `feature_flag.result.reason`.

    The convention has nine words, and allows a custom one where none of them applies: that is *selection* itself.
    """
    return REASONS.get(selection.partition(":")[0].strip().casefold(), selection)


def _from_payload(kind: EventType, payload: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if kind is EventType.EXPOSURE:
        yield "feature_flag.provider.name", PROVIDER  # first, so that the application's own word comes over it
        if (reason := payload.get("selectionReason")) is not None:
            yield "feature_flag.result.reason", evaluation_reason(reason)
    for field, value in payload.items():
        if field == "message":
            yield _MESSAGES[kind], value
        elif field == "value":
            yield (
                ATTRIBUTES[field],
                value if value is None else float(value),
            )  # one type, whatever the number looks like
        elif field in _NESTED:
            yield from _from_nested(_NESTED[field], value or {})
        elif field in ATTRIBUTES:
            yield ATTRIBUTES[field], value


def _from_nested(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if VERSION_ATTRIBUTE in values:
        yield "feature_flag.version", str(values[VERSION_ATTRIBUTE])
    for key, value in values.items():
        yield key if key.startswith(_CONVENTION) else f"{prefix}{key}", _held(value)


def _held(value: Any) -> Any:
    """Return *value* as the protocol can hold it: it has no integer of more than 64 bits, so such a one is text."""
    if isinstance(value, int) and value not in _INT64:
        return str(value)
    if isinstance(value, list):
        return [_held(one) for one in value]
    if isinstance(value, dict):
        return {key: _held(one) for key, one in value.items()}
    return value


def _nanoseconds(timestamp: str) -> int:
    since = datetime.fromisoformat(timestamp) - _EPOCH
    nanoseconds = (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000
    return nanoseconds if 0 < nanoseconds < _UINT64_END else 0
