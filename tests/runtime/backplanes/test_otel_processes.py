"""The openTelemetry backplane beside an application's own OpenTelemetry, and across a fork; in processes of their own."""

import os
import subprocess
import sys

import pytest
import requests
from opentelemetry.context import get_value

from backplane_runtime import ConfigError, DataPlane
from backplane_runtime.backplanes.otel import OpenTelemetryBackplane
from backplane_runtime.settings import OpenTelemetry
from backplane_runtime.testing import sample_records
from tests.runtime.backplanes.otlp_inverse import attributes_of
from tests.runtime.backplanes.otlp_receiver import OtlpReceiver

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

BESIDE_AN_APPLICATION = """
import sys
from opentelemetry import trace
from opentelemetry._logs import get_logger_provider, set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from backplane_runtime import DataPlane
from backplane_runtime.settings import OpenTelemetry

logs, spans = InMemoryLogRecordExporter(), InMemorySpanExporter()
provider = LoggerProvider(Resource({"service.name": "the application's own"}))
provider.add_log_record_processor(SimpleLogRecordProcessor(logs))
set_logger_provider(provider)
tracers = TracerProvider()
tracers.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(tracers)
with DataPlane(OpenTelemetry(endpoint=sys.argv[1], signal="both"), strict=True) as plane:
    plane.outcome("e", subject="s", metric="m")
    assert plane.flush(10)
assert get_logger_provider() is provider and trace.get_tracer_provider() is tracers
assert not logs.get_finished_logs() and not spans.get_finished_spans()
"""

AROUND_A_FORK = """
import os, sys, warnings
from backplane_runtime import DataPlane
from backplane_runtime.settings import OpenTelemetry

warnings.filterwarnings("ignore", ".*use of fork.*", DeprecationWarning)
plane = DataPlane(OpenTelemetry(endpoint=sys.argv[1]), strict=True)
plane.outcome("before", subject="s", metric="m")
assert plane.flush(10)
for number in range(20):
    plane.outcome(f"parent-{number}", subject="s", metric="m")
child = os.fork()
if not child:
    for number in range(20):
        plane.outcome(f"child-{number}", subject="s", metric="m")
    done = plane.flush(10)
    plane.close()
    os._exit(0 if done else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert plane.flush(10)
plane.close()
"""


def run(script: str, receiver: OtlpReceiver) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    command = [sys.executable, "-W", "error", "-c", script, receiver.endpoint]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_application_s_providers_are_left_alone(receiver: OtlpReceiver) -> None:
    """Their pipelines get nothing; but the service has one name."""
    run(BESIDE_AN_APPLICATION, receiver)
    assert (len(receiver.logs), len(receiver.spans)) == (1, 1)
    names = [pair.value.string_value for one in receiver.resources for pair in one.attributes]
    assert names == ["the application's own"] * 2


def test_fork(receiver: OtlpReceiver) -> None:
    """The child has a client of its own: each event arrives once, and no connection is shared."""
    run(AROUND_A_FORK, receiver)
    found = sorted(attributes_of(log)["feature_flag.key"] for log in receiver.logs)
    assert found == sorted(["before", *(f"{who}-{number}" for who in ("parent", "child") for number in range(20))])
    of_child = {request.port for request in receiver.requests if b"child-" in request.body}
    of_parent = {request.port for request in receiver.requests if b"child-" not in request.body}
    assert of_child.isdisjoint(of_parent)


def test_an_instrumentation_of_http_clients_is_told_to_be_silent(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each export would be a span of the application's; such instrumentations wrap `Session.send` and ask this."""
    asked = []
    send = requests.Session.send

    def instrumented(*args: object, **kwargs: object) -> requests.Response:
        asked.append(any(get_value(key) for key in _keys()))
        return send(*args, **kwargs)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(requests.Session, "send", instrumented)
    backplane = OpenTelemetryBackplane(OpenTelemetry(endpoint=receiver.endpoint))
    backplane.send(sample_records(1))
    backplane.close(1)
    assert asked == [True]
    assert not any(get_value(key) for key in _keys())


def _keys() -> list[str]:
    from opentelemetry import context  # noqa: PLC0415 - the key has no public name

    return [context._SUPPRESS_INSTRUMENTATION_KEY]


def test_an_sdk_that_is_too_old_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that is missing: the same command brings the right one."""
    from opentelemetry.sdk import _logs  # noqa: PLC0415 - beside its use

    for name in [name for name in sys.modules if name.startswith("backplane_runtime.backplanes.otel")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(_logs, "ReadableLogRecord")
    with pytest.raises(ConfigError, match=r"pip install 'experiment-backplane\[opentelemetry\]'"):
        DataPlane(OpenTelemetry())
