"""The five events, their payloads and envelopes."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from backplane_runtime import timestamps
from backplane_runtime.envelope import Context, InvalidEventError, canonical_timestamp, encode_record
from backplane_runtime.events import AnalysisSignal, Assignment, Error, Event, Exposure, Outcome

pytestmark = pytest.mark.runtime_only

NOW = "2026-01-31T23:59:59.000001Z"


def payload_of(event: Event) -> dict[str, Any]:
    event = canonical_timestamp(event)
    payload: dict[str, Any] = json.loads(encode_record(event, event).payload)
    return payload


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            Exposure("checkout-button", "blue", subject="user-42", tenant="acme", reason="rule:beta", timestamp=NOW),
            {
                "experimentName": "checkout-button",
                "variantKey": "blue",
                "subjectId": "user-42",
                "tenantId": "acme",
                "selectionReason": "rule:beta",
            },
        ),
        (
            Exposure(
                "e",
                "v",
                subject="s",
                subject_type="user",
                rule_path="a/b",
                policy="subjectSticky",
                repeat=True,
                timestamp=NOW,
            ),
            {
                "experimentName": "e",
                "variantKey": "v",
                "subjectId": "s",
                "subjectType": "user",
                "selectionReason": "unspecified",
                "rulePath": "a/b",
                "assignmentPolicy": "subjectSticky",
                "isRepeatExposure": True,
            },
        ),
        (
            Assignment("e", "a", "b", subject="s", timestamp=NOW),
            {
                "experimentName": "e",
                "previousVariantKey": "a",
                "newVariantKey": "b",
                "subjectId": "s",
                "changeReason": "unspecified",
            },
        ),
        (
            Outcome("e", subject="s", metric="revenue", value=19.99, variant="v", timestamp=NOW),
            {"experimentName": "e", "subjectId": "s", "metric": "revenue", "value": 19.99, "variantKey": "v"},
        ),
        (
            AnalysisSignal("e", "sampleRatioMismatch", "3 to 1", severity="error", data={"p": 0.001}, timestamp=NOW),
            {
                "experimentName": "e",
                "signalType": "sampleRatioMismatch",
                "severity": "error",
                "message": "3 to 1",
                "data": {"p": 0.001},
            },
        ),
        (
            Error("e", "ValueError", "no", stack_trace="…", timestamp=NOW),
            {"experimentName": "e", "errorType": "ValueError", "message": "no", "stackTrace": "…"},
        ),
    ],
)
def test_payload_has_the_names_of_the_wire(event: Event, expected: dict[str, Any]) -> None:
    """Unset optional fields are left out; required ones with a default are always written."""
    assert payload_of(event) == {**expected, "timestamp": NOW}


def test_envelope_of_the_wire() -> None:
    """The envelope holds the payload as it is, the context, and an id that is a UUIDv7."""
    event = Outcome("e", subject="s", metric="m", timestamp=NOW)
    record = encode_record(event, event, Context("request-7", {"service": "shop"}))
    envelope = json.loads(record.envelope)
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", envelope.pop("eventId"))
    assert envelope == {
        "timestamp": NOW,
        "eventType": "Outcome",
        "schemaVersion": "1.0.0",
        "payload": json.loads(record.payload),
        "correlationId": "request-7",
        "metadata": {"service": "shop"},
    }
    assert record.payload in record.envelope


def test_payload_is_a_slice_of_the_envelope_whatever_the_texts_say() -> None:
    """Text that looks like the payload's key does not mislead."""
    event = Exposure('"payload":{', "v", subject='","payload":')
    record = encode_record(event, event, Context('"payload":1', {'"payload":': 2}))
    assert msgspec.json.decode(record.payload)["experimentName"] == '"payload":{'


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (NOW, NOW),
        ("2026-01-31T23:59:59Z", "2026-01-31T23:59:59.000000Z"),
        ("2026-02-01T01:59:59.5+02:00", "2026-01-31T23:59:59.500000Z"),
        (datetime(2026, 1, 31, 23, 59, 59, 1, tzinfo=UTC), NOW),
        (datetime(2026, 2, 1, 1, 0, tzinfo=timezone(timedelta(hours=2))), "2026-01-31T23:00:00.000000Z"),
    ],
)
def test_timestamps_have_one_form(given: str | datetime, expected: str) -> None:
    """RFC 3339, UTC, microseconds, Z."""
    assert payload_of(Outcome("e", subject="s", metric="m", timestamp=given))["timestamp"] == expected


@pytest.mark.parametrize("given", ["yesterday", "2026-02-31T00:00:00.000000Z", "2026-01-01T00:00:00", 7, None])
def test_what_is_no_moment_is_refused(given: Any) -> None:
    """A database would refuse it later, with the whole batch."""
    with pytest.raises(InvalidEventError, match="timestamp"):
        canonical_timestamp(Outcome("e", subject="s", metric="m", timestamp=given))


def test_now_is_this_moment() -> None:
    """To the microsecond; the cached second is renewed."""
    before = datetime.now(UTC)
    text = timestamps.now()
    assert len(text) == timestamps.LENGTH
    assert before <= datetime.fromisoformat(text) <= datetime.now(UTC)


circle: dict[str, Any] = {}
circle["circle"] = circle


@pytest.mark.parametrize(
    "event",
    [
        Outcome("e", subject="s", metric="m", value=float("nan")),
        Outcome("e", subject="s", metric="m", attributes={"deep": [{"x": float("inf")}]}),
        Outcome("e", subject="s", metric="m", attributes={"x": object()}),
        Outcome("e", subject="s", metric="m", attributes=circle),
        Outcome("e", subject="\ud800", metric="m"),
        Outcome("", subject="s", metric="m"),
        Outcome("e", subject=42, metric="m"),  # type: ignore[arg-type]  # the mistake under test
        Outcome("e", subject="s", metric="m", value="much"),  # type: ignore[arg-type]  # the mistake under test
        Exposure("e", "v", subject="s", policy="sticky"),  # type: ignore[arg-type]  # the mistake under test
        Exposure("e", None, subject="s"),  # type: ignore[arg-type]  # the mistake under test
    ],
)
def test_what_no_consumer_could_read_is_refused(event: Event) -> None:
    """An invalid event is refused here, with one kind of error."""
    with pytest.raises(InvalidEventError):
        encode_record(event, event)


def test_null_and_huge_integers_are_json() -> None:
    """A `null` that was meant stays; an integer of any size is a JSON number."""
    event = Outcome("e", subject="s", metric="m", attributes={"none": None, "huge": 10**30})
    assert payload_of(event)["attributes"] == {"none": None, "huge": 10**30}


@pytest.mark.parametrize(
    "given", ["2026-01-31 10:00:00.000000Z", "2026-01-31x10:00:00.000000Z", "2026-W05-6T10:00:00.000000Z"]
)
def test_a_timestamp_of_the_right_length_is_no_shortcut(given: str) -> None:
    """Python takes any separator between date and time, RFC 3339 and this project one."""
    assert timestamps.canonical(given) == "2026-01-31T10:00:00.000000Z"
