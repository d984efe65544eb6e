"""What events are called in OpenTelemetry, seen through the SDK's in-memory exporters."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace.status import StatusCode

from backplane_runtime.backplanes import otel_events
from backplane_runtime.backplanes.otel_events import REASONS, evaluation_reason
from backplane_runtime.backplanes.otel_items import as_log, as_span
from backplane_runtime.envelope import Context, Record, canonical_timestamp, encode_record
from backplane_runtime.events import AnalysisSignal, Assignment, Error, Event, Exposure, Outcome
from backplane_runtime.testing import StoredEvent
from tests.runtime.backplanes.otlp_inverse import stored_log

AT = "2026-11-24T17:30:00.123456Z"
NANOSECONDS = 1_795_541_400_123_456_000
RESOURCE = Resource({"service.name": "shop"})


def record_of(event: Event, context: Context | None = None) -> Record:
    return encode_record(event, event, context or Context())


def exported_log(record: Record) -> ReadableLogRecord:
    exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # the SDK is partly untyped
    exporter.export([as_log(record, RESOURCE)])
    (log,) = exporter.get_finished_logs()
    return log


def exported_span(record: Record) -> ReadableSpan:
    exporter = InMemorySpanExporter()
    exporter.export([as_span(record, RESOURCE)])
    (span,) = exporter.get_finished_spans()
    return span


def ids_in(record: Record) -> dict[str, Any]:
    return {
        "event.id": record.event_id,
        "log.record.uid": record.event_id,
        "experiment.schema.version": "1.0.0",
    }


EVENTS: list[tuple[Event, str, SeverityNumber, str | None, dict[str, Any]]] = [
    (
        Exposure(
            "checkout-button",
            "blue",
            subject="user-42",
            subject_type="user",
            tenant="acme",
            timestamp=AT,
            reason="rule:beta",
            rule_path="rules/3",
            policy="subjectSticky",
            repeat=True,
            attributes={
                "experimentVersion": 7,
                "feature_flag.set.id": "shop/prod",
                "plan": "gold",
                "nested": {"a": [1, 2.5]},
            },
        ),
        "feature_flag.evaluation",
        SeverityNumber.INFO,
        None,
        {
            "feature_flag.key": "checkout-button",
            "feature_flag.result.variant": "blue",
            "feature_flag.result.reason": "targeting_match",
            "feature_flag.context.id": "user-42",
            "feature_flag.provider.name": "experiment-backplane",
            "feature_flag.set.id": "shop/prod",
            "feature_flag.version": "7",
            "experiment.selection.reason": "rule:beta",
            "experiment.selection.rule_path": "rules/3",
            "experiment.subject.type": "user",
            "experiment.tenant.id": "acme",
            "experiment.assignment.policy": "subjectSticky",
            "experiment.exposure.repeat": True,
            "experiment.attributes.experimentVersion": 7,
            "experiment.attributes.plan": "gold",
            "experiment.attributes.nested": {"a": [1, 2.5]},
        },
    ),
    (
        Assignment("checkout-button", "green", "blue", subject="user-42", timestamp=AT, reason="rebalanced"),
        "experiment.assignment",
        SeverityNumber.INFO,
        None,
        {
            "feature_flag.key": "checkout-button",
            "feature_flag.result.variant": "blue",
            "feature_flag.context.id": "user-42",
            "experiment.assignment.previous_variant": "green",
            "experiment.assignment.reason": "rebalanced",
        },
    ),
    (
        Outcome("checkout-button", subject="user-42", metric="revenue", value=20, variant="blue", timestamp=AT),
        "experiment.outcome",
        SeverityNumber.INFO,
        None,
        {
            "feature_flag.key": "checkout-button",
            "feature_flag.result.variant": "blue",
            "feature_flag.context.id": "user-42",
            "experiment.outcome.metric": "revenue",
            "experiment.outcome.value": 20.0,
        },
    ),
    (
        AnalysisSignal(
            "checkout-button", "sampleRatioMismatch", "p = 0.0001", severity="warning", timestamp=AT, data={"p": 1e-4}
        ),
        "experiment.analysis_signal",
        SeverityNumber.WARN,
        "p = 0.0001",
        {
            "feature_flag.key": "checkout-button",
            "experiment.signal.type": "sampleRatioMismatch",
            "experiment.signal.severity": "warning",
            "experiment.signal.message": "p = 0.0001",
            "experiment.data.p": 1e-4,
        },
    ),
    (
        Error("checkout-button", "KeyError", "no price", variant="blue", stack_trace="Traceback …", timestamp=AT),
        "experiment.error",
        SeverityNumber.ERROR,
        "no price",
        {
            "feature_flag.key": "checkout-button",
            "feature_flag.result.variant": "blue",
            "error.type": "KeyError",
            "error.message": "no price",
            "exception.stacktrace": "Traceback …",
        },
    ),
]


@pytest.mark.parametrize(("event", "name", "severity", "body", "attributes"), EVENTS, ids=[one[1] for one in EVENTS])
def test_log_events(
    event: Event, name: str, severity: SeverityNumber, body: str | None, attributes: dict[str, Any]
) -> None:
    """Each type has its name, its severity and every field of its payload, and nothing else."""
    record = record_of(event)
    log = exported_log(record)
    found = log.log_record
    assert (found.event_name, found.timestamp, found.severity_number, found.severity_text, found.body) == (
        name,
        NANOSECONDS,
        severity,
        severity.name,
        body,
    )
    assert found.attributes == attributes | ids_in(record)
    assert (log.resource, found.trace_id, found.span_id) == (RESOURCE, 0, 0)


@pytest.mark.parametrize(("event", "name", "severity", "body", "attributes"), EVENTS, ids=[one[1] for one in EVENTS])
def test_spans(event: Event, name: str, severity: SeverityNumber, body: str | None, attributes: dict[str, Any]) -> None:
    """The same name and attributes, but that nothing in them is nested; an error is one."""
    record = record_of(event)
    span = exported_span(record)
    is_error = severity is SeverityNumber.ERROR
    assert (span.name, span.start_time, span.end_time, span.links) == (name, NANOSECONDS, NANOSECONDS, ())
    assert (span.status.status_code, span.status.description) == (
        (StatusCode.ERROR, body) if is_error else (StatusCode.UNSET, None)
    )
    nested = "experiment.attributes.nested"
    flat = {key: '{"a":[1,2.5]}' if key == nested else value for key, value in attributes.items()}
    assert span.attributes == flat | ids_in(record)


def test_a_value_is_a_double_whatever_it_looks_like() -> None:
    """A column of some store would else have the type of the first event that came."""
    attributes = exported_log(record_of(Outcome("e", subject="s", metric="m", value=20))).log_record.attributes
    assert isinstance(dict(attributes or {})["experiment.outcome.value"], float)


@pytest.mark.parametrize(("value", "flat"), [([1, 2], [1, 2]), ([1, "a"], '[1,"a"]'), ([], []), ([[1]], "[[1]]")])
def test_lists_in_spans_are_of_one_type(value: Any, flat: Any) -> None:
    """As the specification of attributes has it; others are JSON text."""
    event = Exposure("e", "v", subject="s", attributes={"list": value})
    assert dict(exported_span(record_of(event)).attributes or {})["experiment.attributes.list"] == flat


def test_what_stands_beside_the_event() -> None:
    """The correlation id, free metadata, and the trace that the event belongs to."""
    trace, cause = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    metadata = {"traceparent": f"00-{trace}-{cause}-01", "samplingRate": 0.5}
    record = record_of(Outcome("e", subject="s", metric="m"), Context("request-7", metadata))
    log, span = exported_log(record).log_record, exported_span(record)
    assert (log.trace_id, log.span_id) == (int(trace, 16), int(cause, 16))
    assert [(link.context.trace_id, link.context.span_id) for link in span.links] == [(log.trace_id, log.span_id)]
    attributes = log.attributes or {}
    assert attributes["experiment.correlation.id"] == "request-7"
    assert attributes["experiment.metadata.samplingRate"] == 0.5


@pytest.mark.parametrize("traceparent", ["", "nonsense", 7, None])
def test_a_traceparent_that_is_none_is_metadata(traceparent: object) -> None:
    """It is free data of the application, and may be anything."""
    record = record_of(Outcome("e", subject="s", metric="m"), Context(None, {"traceparent": traceparent}))
    log = exported_log(record).log_record
    assert (log.trace_id, (log.attributes or {})["experiment.metadata.traceparent"]) == (0, traceparent)
    assert exported_span(record).links == ()


_TEXT = st.text(max_size=20)
_NAME = st.text(min_size=1, max_size=20)
_LEAF = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT
)
_VALUE = st.recursive(_LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3))
_FREE = st.none() | st.dictionaries(
    _TEXT.filter(lambda key: not key.startswith("feature_flag.")), _VALUE, min_size=1, max_size=4
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT = st.integers(1, 16_000_000_000_000_000).map(lambda passed: _EPOCH + timedelta(microseconds=passed))
_FLOAT = st.none() | st.floats(allow_nan=False, allow_infinity=False)
_EVENT = st.one_of(
    st.builds(
        Exposure,
        _NAME,
        _NAME,
        subject=_NAME,
        tenant=st.none() | _TEXT,
        timestamp=_MOMENT,
        reason=_TEXT,
        rule_path=st.none() | _TEXT,
        repeat=st.booleans(),
        attributes=_FREE,
    ),
    st.builds(Assignment, _NAME, _TEXT, _NAME, subject=_NAME, timestamp=_MOMENT, reason=_TEXT, attributes=_FREE),
    st.builds(
        Outcome,
        _NAME,
        subject=_NAME,
        metric=_NAME,
        value=_FLOAT,
        variant=st.none() | _TEXT,
        timestamp=_MOMENT,
        attributes=_FREE,
    ),
    st.builds(
        AnalysisSignal,
        _NAME,
        st.sampled_from(["custom", "peekingWarning"]),
        _TEXT,
        severity=st.sampled_from(["info", "error"]),
        timestamp=_MOMENT,
        data=_FREE,
    ),
    st.builds(
        Error,
        _NAME,
        _NAME,
        _TEXT,
        stack_trace=st.none() | _TEXT,
        subject=st.none() | _TEXT,
        timestamp=_MOMENT,
        attributes=_FREE,
    ),
)


@given(_EVENT)
def test_nothing_is_lost(event: Event) -> None:
    """From what goes over the wire, the payload can be made again, byte for byte, whatever the application put into it."""
    canonical = canonical_timestamp(event)
    record = encode_record(canonical, canonical)
    request = encode_logs([as_log(record, RESOURCE)])
    (log,) = request.resource_logs[0].scope_logs[0].log_records
    assert stored_log(log) == StoredEvent(record.event_id, event.event_type.wire_name, record.payload)
    (span,) = encode_spans([as_span(record, RESOURCE)]).resource_spans[0].scope_spans[0].spans
    assert span.name == log.event_name
    assert len(span.attributes) == len(log.attributes)


@pytest.mark.parametrize(
    ("selection", "reason"),
    [
        ("unspecified", "unknown"),
        ("rule:beta", "targeting_match"),
        ("TARGETING_MATCH", "targeting_match"),
        ("Split", "split"),
        ("rollout : 10 %", "split"),
        ("sticky", "cached"),
        ("because we like them", "because we like them"),
        ("", ""),
    ],
)
def test_reasons(selection: str, reason: str) -> None:
    """Words of the convention where one applies, else the application's own."""
    assert evaluation_reason(selection) == reason


def test_the_page_has_the_code_s_reasons() -> None:
    """So that nobody reads what is no longer true."""
    page = (Path(otel_events.__file__).parent / "README.md").read_text(encoding="utf-8")
    table = page.partition("| selectionReason |")[2]
    told: dict[str, str] = {}
    for words, value in re.findall(r"^\| (`.*?) \| (.*?) \|", table, re.MULTILINE):
        told |= {word: word if value == "the same" else value.strip("`") for word in re.findall(r"`(.+?)`", words)}
    assert told == dict(REASONS)


def test_the_page_has_every_attribute() -> None:
    """Each name that the code writes stands in the page."""
    page = (Path(otel_events.__file__).parent / "README.md").read_text(encoding="utf-8")
    names = {*otel_events.NAMES.values(), *otel_events.ATTRIBUTES.values()}
    assert {name for name in names if f"`{name}`" not in page} == set()
