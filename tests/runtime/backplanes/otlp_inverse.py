"""From what a receiver holds back to the payload that was published: that this is possible shows that nothing is lost.

It knows the names by itself and not by the code under test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from backplane_runtime.testing import StoredEvent

KINDS = {
    "feature_flag.evaluation": "Exposure",
    "experiment.assignment": "Assignment",
    "experiment.outcome": "Outcome",
    "experiment.analysis_signal": "AnalysisSignal",
    "experiment.error": "Error",
}
# In the order of the payload's fields (design/interface.md, "Events").
FIELDS = {
    "Exposure": {
        "experimentName": "feature_flag.key",
        "variantKey": "feature_flag.result.variant",
        "subjectId": "feature_flag.context.id",
        "subjectType": "experiment.subject.type",
        "tenantId": "experiment.tenant.id",
        "timestamp": "",
        "selectionReason": "experiment.selection.reason",
        "rulePath": "experiment.selection.rule_path",
        "assignmentPolicy": "experiment.assignment.policy",
        "isRepeatExposure": "experiment.exposure.repeat",
    },
    "Assignment": {
        "experimentName": "feature_flag.key",
        "previousVariantKey": "experiment.assignment.previous_variant",
        "newVariantKey": "feature_flag.result.variant",
        "subjectId": "feature_flag.context.id",
        "tenantId": "experiment.tenant.id",
        "timestamp": "",
        "changeReason": "experiment.assignment.reason",
        "assignmentPolicy": "experiment.assignment.policy",
    },
    "Outcome": {
        "experimentName": "feature_flag.key",
        "subjectId": "feature_flag.context.id",
        "metric": "experiment.outcome.metric",
        "value": "experiment.outcome.value",
        "variantKey": "feature_flag.result.variant",
        "tenantId": "experiment.tenant.id",
        "timestamp": "",
    },
    "AnalysisSignal": {
        "experimentName": "feature_flag.key",
        "signalType": "experiment.signal.type",
        "message": "experiment.signal.message",
        "severity": "experiment.signal.severity",
        "timestamp": "",
    },
    "Error": {
        "experimentName": "feature_flag.key",
        "errorType": "error.type",
        "message": "error.message",
        "variantKey": "feature_flag.result.variant",
        "subjectId": "feature_flag.context.id",
        "tenantId": "experiment.tenant.id",
        "stackTrace": "exception.stacktrace",
        "timestamp": "",
    },
}


def attributes_of(item: LogRecord | Span) -> dict[str, Any]:
    """Return the attributes of *item* as plain values."""
    return plain(item.attributes)


def plain(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: value_of(pair.value) for pair in pairs}


def value_of(value: AnyValue) -> Any:
    which = value.WhichOneof("value")
    if which == "kvlist_value":
        return plain(value.kvlist_value.values)
    if which == "array_value":
        return [value_of(one) for one in value.array_value.values]
    return None if which is None else getattr(value, which)


def stored_log(log: LogRecord, *, timestamp_last: bool = False) -> StoredEvent:
    """Return what was published; *timestamp_last* says that it stands behind all other fields."""
    return _stored(log.event_name, log.time_unix_nano, attributes_of(log), timestamp_last=timestamp_last)


def stored_span(span: Span, *, timestamp_last: bool = False) -> StoredEvent:
    """As `stored_log`; what is nested is JSON text in a span."""
    attributes = {key: _unfolded(value) for key, value in attributes_of(span).items()}
    return _stored(span.name, span.start_time_unix_nano, attributes, timestamp_last=timestamp_last)


def _unfolded(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, str) and value.startswith(("{", "[")) else value


def _stored(name: str, nanoseconds: int, attributes: Mapping[str, Any], *, timestamp_last: bool) -> StoredEvent:
    kind = KINDS[name]
    moment = datetime.fromtimestamp(nanoseconds // 10**9, UTC).replace(microsecond=nanoseconds // 1000 % 10**6)
    payload: dict[str, Any] = {}
    for field, attribute in FIELDS[kind].items():
        if field == "timestamp":
            payload[field] = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        elif attribute in attributes:
            payload[field] = attributes[attribute]
    nested, prefix = (
        ("data", "experiment.data.") if kind == "AnalysisSignal" else ("attributes", "experiment.attributes.")
    )
    if free := {key.removeprefix(prefix): value for key, value in attributes.items() if key.startswith(prefix)}:
        payload[nested] = free
    if timestamp_last:
        payload["timestamp"] = payload.pop("timestamp")
    return StoredEvent(attributes["event.id"], kind, msgspec.json.encode(payload))
