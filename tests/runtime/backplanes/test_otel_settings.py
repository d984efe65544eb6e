"""Where events go as OpenTelemetry, what may be told of it, and what `health` says."""

import logging
import socket
import time

import pytest

from backplane_runtime import DataPlane
from backplane_runtime.backplanes.api import Rejected, UnavailableError, Verdict
from backplane_runtime.backplanes.otel import OpenTelemetryBackplane
from backplane_runtime.settings import OpenTelemetry, PiiRedaction, Plane, SettingsError
from backplane_runtime.testing import sample_records
from tests.runtime.backplanes.conftest import Opened
from tests.runtime.backplanes.otlp_receiver import LOGS, SPANS, Answer, OtlpReceiver

SECRET = "hunter2-of-the-collector"
ACKNOWLEDGED = Verdict.ACKNOWLEDGED


def test_the_environment_says_where_to(receiver: OtlpReceiver, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for any exporter of the SDK: the base for all signals, headers, and the resource."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=growth")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop")
    backplane = opened(endpoint=None, signal="both")
    assert backplane.send(sample_records(2)) == [ACKNOWLEDGED] * 2
    assert [(one.path, one.headers["x-team"]) for one in receiver.requests] == [(LOGS, "growth"), (SPANS, "growth")]
    services = [pair.value.string_value for pair in receiver.resources[0].attributes if pair.key == "service.name"]
    assert services == ["shop"]


@pytest.mark.parametrize("path", ["", "/", "/v1/logs", "/v1/traces/"])
def test_the_end_point_is_a_base(receiver: OtlpReceiver, opened: Opened, path: str) -> None:
    """Also where somebody wrote the address of one signal."""
    assert opened(endpoint=receiver.endpoint + path).send(sample_records(1)) == [ACKNOWLEDGED]
    assert receiver.requests[0].path == LOGS


@pytest.mark.parametrize(
    "endpoint", ["", "{}:4317", "grpc://{}", "http://", "http://{}:99999", "http://[{}", "http://h:{}"]
)
def test_an_end_point_that_is_none_is_refused(endpoint: str) -> None:
    """Before anything is published, and without quoting it."""
    with pytest.raises(SettingsError, match="is not an http or https URL") as caught:
        OpenTelemetry(endpoint=endpoint.format(SECRET))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        ("nonsense", "the request cannot be made"),
        ("http://[::1", "the request cannot be made"),
        ("http://no-such-host.invalid", "Name or service not known|Temporary failure in name resolution"),
    ],
)
def test_an_end_point_of_the_environment_that_is_none(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, endpoint: str, text: str
) -> None:
    """Nobody has checked it before."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    backplane = opened(endpoint=None)
    with pytest.raises(UnavailableError, match=text):
        backplane.send(sample_records(1))
    assert not backplane.health(2).healthy


def test_headers_are_resolved_when_it_connects(
    receiver: OtlpReceiver, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret that is not there yet may be mounted later."""
    with pytest.raises(UnavailableError, match="`COLLECTOR_TOKEN` is not set"):
        opened(headers={"Authorization": "Bearer ${env:COLLECTOR_TOKEN}"})
    monkeypatch.setenv("COLLECTOR_TOKEN", SECRET)
    opened(headers={"Authorization": "Bearer ${env:COLLECTOR_TOKEN}"}).send(sample_records(1))
    assert receiver.requests[0].headers["authorization"] == f"Bearer {SECRET}"


def test_no_secret_is_told(
    receiver: OtlpReceiver, opened: Opened, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by us, not by the client's loggers, also when the receiver quotes it or is not there."""
    monkeypatch.setenv("COLLECTOR_TOKEN", SECRET)
    caplog.set_level(logging.DEBUG)
    host = receiver.endpoint.removeprefix("http://")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{unused.getsockname()[1]}"
    texts = []
    for address in (host, nobody):
        backplane = opened(
            endpoint=f"http://user:{SECRET}@{address}/{SECRET}?key={SECRET}",
            headers={"x-token": "Bearer ${env:COLLECTOR_TOKEN}"},
        )
        with pytest.raises(UnavailableError) as caught:
            backplane.send(sample_records(2))
        texts += [str(caught.value), str(backplane.health(1))]
    assert "HTTP 404" in texts[0]
    assert "Connection refused" in texts[2]
    assert SECRET not in "".join(texts) + caplog.text


def test_a_quoted_secret_is_masked(receiver: OtlpReceiver, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a receiver says of a rejected record is its own text."""
    monkeypatch.setenv("COLLECTOR_TOKEN", SECRET)
    receiver.will(Answer(rejected=1, message=f"token\n{SECRET} is wrong"))
    (verdict,) = opened(headers={"x-token": "Bearer ${env:COLLECTOR_TOKEN}"}).send(sample_records(1))
    assert verdict == Rejected("the receiver rejected 1 of 1 logs and does not say which: token *** is wrong")


@pytest.mark.parametrize("signal", ["logs", "both"])
def test_health_asks_the_receiver(receiver: OtlpReceiver, opened: Opened, signal: str) -> None:
    """With an empty request for each signal."""
    health = opened(signal=signal).health(5)
    words = "logs and spans" if signal == "both" else "logs"
    assert (health.healthy, health.message) == (True, f"{receiver.endpoint} takes {words}")
    assert not receiver.logs
    receiver.will(Answer(401))
    health = opened(signal=signal).health(5)
    assert (health.healthy, health.message) == (
        False,
        f"{receiver.endpoint}: HTTP 401 Unauthorized; check `headers`",
    )


def test_health_answers_in_time(receiver: OtlpReceiver, opened: Opened) -> None:
    """Also when the receiver does not."""
    receiver.will(*[Answer(hang=3.0)] * 4)
    started = time.monotonic()
    assert opened().health(1).message == f"{receiver.endpoint}: no answer in time"
    assert time.monotonic() - started < 1


def test_grpc_in_the_environment_is_said(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its port would answer HTTP with a riddle."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(UnavailableError, match="this backplane speaks http/protobuf; set `endpoint`"):
        opened(endpoint=None)
    assert not OpenTelemetryBackplane(OpenTelemetry()).health(1).healthy
    opened().send(sample_records(1))


def test_what_was_redacted_stays_so(receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a planted identifier arrives, and the ledger says that all events did."""
    monkeypatch.setenv("PII_KEY", "k" * 32)
    redaction = PiiRedaction(
        redact_subject_ids=True,
        redact_tenant_ids=True,
        redact_fields=("attributes.email", "selectionReason"),
        mode="pseudonymize",
        key_ref="${env:PII_KEY}",
    )
    settings = OpenTelemetry(endpoint=receiver.endpoint, signal="both")
    with DataPlane(settings, plane=Plane(pii_redaction=redaction), strict=True) as plane:
        plane.exposure(
            "e", "v", subject="planted-1", tenant="planted-2", reason="planted-3", attributes={"email": "planted-4"}
        )
        assert plane.flush(10)
        assert plane.ledger().total.acknowledged == 1
    assert [one.count for one in receiver.requests] == [1, 1]
    assert not any(b"planted" in one.body for one in receiver.requests)
