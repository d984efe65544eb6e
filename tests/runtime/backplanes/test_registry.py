"""Which backplanes there are, and what is said when one is not."""

import sys
from importlib import metadata

import pytest

from backplane_runtime import ConfigError, DataPlane, settings
from backplane_runtime.backplanes import registry
from backplane_runtime.backplanes.api import BackplaneError
from backplane_runtime.backplanes.in_memory import InMemoryBackplane
from backplane_runtime.backplanes.registry import Registration, load_maker, register_backplane

OURS = ("kafka", "postgresql", "otel")  # modules that import a client

pytestmark = pytest.mark.runtime_only


@pytest.mark.parametrize(
    ("own", "module", "expected"),
    [
        (
            settings.Kafka(brokers=("a:1",)),
            "confluent_kafka",
            "backplane `kafka` needs confluent-kafka: pip install 'experiment-backplane[kafka]'",
        ),
        (
            settings.PostgreSql(url="postgresql://a/b"),
            "psycopg",
            "backplane `postgresql` needs psycopg: pip install 'experiment-backplane[postgresql]'",
        ),
        (
            settings.OpenTelemetry(),
            "opentelemetry",
            (
                "backplane `openTelemetry` needs opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http: "
                "pip install 'experiment-backplane[opentelemetry]'"
            ),
        ),
    ],
)
def test_a_missing_client_is_one_line(
    monkeypatch: pytest.MonkeyPatch, own: settings.Settings, module: str, expected: str
) -> None:
    """With the command that installs it; said when the data plane is opened, not at the first event."""
    for name in list(sys.modules):
        if name.startswith((f"{module}.", *(f"backplane_runtime.backplanes.{one}" for one in OURS))):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError) as caught:
        DataPlane(own)
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    "own",
    [
        settings.AzureServiceBus(fully_qualified_namespace="n.servicebus.windows.net"),
        settings.SqlServer(connection_string="Server=."),
    ],
)
def test_what_is_not_there_yet_says_so(own: settings.Settings) -> None:
    """Instead of pretending."""
    with pytest.raises(ConfigError, match="publishing to it is not part of this version yet"):
        DataPlane(own)


def test_an_unknown_type_lists_those_there_are() -> None:
    """So that a misspelt one is found."""
    with pytest.raises(BackplaneError, match=r"no backplane `redis`; there are `inMemory`, `kafka`, `logging`"):
        load_maker("redis")


def test_a_name_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is replaced on purpose."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    with pytest.raises(ValueError, match="already registered"):
        register_backplane("kafka", Registration(make=InMemoryBackplane))
    register_backplane("kafka", Registration(make=InMemoryBackplane), replace=True)
    assert load_maker("kafka") is InMemoryBackplane


def test_an_installed_package_registers_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked only when the type is not known."""

    class Entry:
        name = "extension"

        def load(self) -> type[InMemoryBackplane]:
            return InMemoryBackplane

    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: [Entry()] if group == "backplane.backplanes" else [])
    assert load_maker("extension") is InMemoryBackplane
