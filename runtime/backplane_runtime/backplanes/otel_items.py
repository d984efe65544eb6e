"""Log records and spans of the OpenTelemetry SDK, made of our records and handed to an exporter as they are.

No LoggerProvider and no TracerProvider stands between: a provider's processor would swallow what the exporter answers.
"""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

import msgspec
from opentelemetry._logs import LogRecord, SeverityNumber, get_logger_provider
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    SpanContext,
    TraceFlags,
    get_current_span,
    get_tracer_provider,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.trace.status import Status, StatusCode

from backplane_runtime.backplanes.otel_events import Telemetry, telemetry_of
from backplane_runtime.envelope import Record

_SCOPE = InstrumentationScope("backplane_runtime")
_SEVERITIES = {"info": SeverityNumber.INFO, "warning": SeverityNumber.WARN, "error": SeverityNumber.ERROR}
# A lane's thread is in no span; an instrumentation of threads may say otherwise, and would be wrong.
_NO_TRACE = set_span_in_context(INVALID_SPAN, Context())
_TRACEPARENT = TraceContextTextMapPropagator()
_64_BITS = 2**64 - 1


def own_resource() -> Resource:
    """Return what the application says about itself: by its own providers where it has some, else by `OTEL_*`."""
    for provider in (get_logger_provider(), get_tracer_provider()):
        if isinstance(resource := getattr(provider, "resource", None), Resource):
            return resource
    return Resource.create()


def as_log(record: Record, resource: Resource) -> ReadableLogRecord:
    """Return *record* as a log event; its trace is that of its metadata's `traceparent`, where there is one."""
    telemetry = telemetry_of(record)
    severity = _SEVERITIES.get(telemetry.severity, SeverityNumber.INFO)
    log = LogRecord(
        timestamp=telemetry.nanoseconds,
        context=_context(telemetry),
        severity_number=severity,
        severity_text=severity.name,
        body=telemetry.message,
        attributes=telemetry.attributes,
        event_name=telemetry.name,
    )
    return ReadableLogRecord(log, resource, _SCOPE)


def as_span(record: Record, resource: Resource) -> ReadableSpan:
    """Return *record* as a span without duration, linked to the span of its metadata's `traceparent`.

    Its ids are made of the event's id, so that one that is sent again is the same span. The SDK would rather have spans
    made by a tracer, which would give it others.
    """
    telemetry = telemetry_of(record)
    cause = get_current_span(_context(telemetry)).get_span_context()
    is_error = telemetry.severity == "error"
    return ReadableSpan(
        name=telemetry.name,
        context=_span_context(telemetry.event_id),
        resource=resource,
        attributes={key: _flat(value) for key, value in telemetry.attributes.items()},
        links=(Link(cause),) if cause.is_valid else (),
        status=Status(StatusCode.ERROR, telemetry.message) if is_error else Status(StatusCode.UNSET),
        start_time=telemetry.nanoseconds,
        end_time=telemetry.nanoseconds,
        instrumentation_scope=_SCOPE,
    )


def _context(telemetry: Telemetry) -> Context:
    if telemetry.traceparent is None:
        return _NO_TRACE
    return _TRACEPARENT.extract({"traceparent": telemetry.traceparent}, _NO_TRACE)


def _span_context(event_id: str) -> SpanContext:
    try:
        number = UUID(event_id).int
    except ValueError:  # an id need not be a UUID
        number = int.from_bytes(hashlib.blake2b(event_id.encode(), digest_size=16).digest(), "big")
    return SpanContext(number, number & _64_BITS or 1, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _flat(value: Any) -> Any:
    """Return *value* as an attribute of a span may be: what is nested is JSON text, and lists are of one type."""
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    if isinstance(value, list):
        is_plain = len({type(one) for one in value}) <= 1 and all(
            isinstance(one, str | bool | int | float) for one in value
        )
        return value if is_plain else msgspec.json.encode(value).decode()
    return value
