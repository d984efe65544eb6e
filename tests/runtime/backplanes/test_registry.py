"""Which backplanes there are, and what is said when one is not."""

import sys
from collections.abc import Callable
from importlib import metadata
from types import SimpleNamespace

import pytest

from backplane_runtime import ConfigError, DataPlane, settings
from backplane_runtime.backplanes import registry
from backplane_runtime.backplanes.api import BackplaneError
from backplane_runtime.backplanes.in_memory import InMemoryBackplane
from backplane_runtime.backplanes.registry import Registration, load_maker, register_backplane
from backplane_runtime.events import EventType
from backplane_runtime.settings import Composite, Member, Plane

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


class Parcel(settings.Settings, frozen=True, kw_only=True):
    """Settings of an extension."""

    address: str


class ParcelBackplane(InMemoryBackplane):
    """An extension that asks which events it will get."""

    settings_type = Parcel
    wants_events = True

    def __init__(self, own: Parcel, events: frozenset[EventType]) -> None:
        super().__init__(settings.InMemory())
        self.address, self.events = own.address, events


def broken() -> type[InMemoryBackplane]:
    raise ImportError("no module named `parcels`")


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what makes packages known by the entry points given as name and loader."""

    def installed(**loaders: Callable[[], type[InMemoryBackplane]]) -> None:
        entries = [SimpleNamespace(name=name, load=loader) for name, loader in loaders.items()]
        monkeypatch.setattr(registry, "_registered", dict(registry._registered))
        monkeypatch.setattr(metadata, "entry_points", lambda *, group: entries if "backplanes" in group else [])

    return installed


def test_an_installed_package_registers_by_entry_point(install: Callable[..., None]) -> None:
    """Asked only when the type is not known; a broken neighbour is not asked at all."""
    install(neighbour=broken, extension=lambda: InMemoryBackplane)
    assert load_maker("extension") is InMemoryBackplane


def test_an_extension_is_told_its_events(install: Callable[..., None]) -> None:
    """As built-ins are: those that are enabled and that its member of a composite takes. Its settings are enough."""
    install(neighbour=broken, parcel=lambda: ParcelBackplane)
    member = Member(name="mine", settings=Parcel(address="x"), events=(EventType.OUTCOME, EventType.ERROR))
    plane = DataPlane(Composite(backplanes=(member,)), plane=Plane(enable_error_events=False))
    backplane = plane.backplane("mine")
    plane.close()
    assert isinstance(backplane, ParcelBackplane)
    assert (backplane.address, backplane.events) == ("x", frozenset({EventType.OUTCOME}))


def test_an_extension_that_cannot_be_loaded_is_named(install: Callable[..., None]) -> None:
    """By its type, and by settings that might have been its own."""
    install(parcel=broken)
    said = "backplane `parcel` is installed and cannot be loaded: ImportError: no module named `parcels`"
    with pytest.raises(BackplaneError) as by_type:
        load_maker("parcel")
    assert str(by_type.value) == said
    with pytest.raises(ConfigError, match="no backplane takes settings of type `Parcel`") as by_settings:
        DataPlane(Parcel(address="x"))
    assert said in str(by_settings.value)
