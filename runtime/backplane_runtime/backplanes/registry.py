"""Which backplanes there are: name → where its class is. Built-ins are registered by the call that extensions use.

Nothing is imported until a data plane names it, so a service that publishes to Kafka never loads a database driver.
An installed package registers with an entry point in the group `backplane.backplanes`, whose name is the type and whose
object is the class; its attributes say the rest, where it has them: `settings_type`, which settings it takes, and
`wants_events = True`, that it is to be told which event types it will be sent.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from backplane_runtime import settings as options
from backplane_runtime.backplanes.api import Backplane, BackplaneError
from backplane_runtime.settings import Settings

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint  # slow to import, and rarely needed

ENTRY_POINT_GROUP = "backplane.backplanes"

Maker = Callable[..., Backplane]  # called as `Registration` says


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A client library that a backplane needs: what is imported, what is installed, and our extra that brings it."""

    module: str
    package: str
    extra: str


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """One type of backplane; `make` is a class, or `module:name` to be imported when it is needed.

    It is called with the settings, and where `wants_events` is set also with `events=`, the types that it will be sent.
    """

    make: Maker | str
    settings_type: type[Settings] | None = None
    client: Client | None = None
    wants_events: bool = False


_registered: dict[str, Registration] = {}

# Known to the document and to the compiler; the connectors follow in a later version.
_NOT_YET = {
    "azureServiceBus": options.AzureServiceBus,
    "sqlServer": options.SqlServer,
}


def register_backplane(name: str, registration: Registration, *, replace: bool = False) -> None:
    """Make the type *name* known to every data plane that is opened from now on.

    Raises:
        ValueError: if the name is taken and *replace* is not given.
    """
    if name in _registered and not replace:
        raise ValueError(f"a backplane `{name}` is already registered; pass `replace=True` to take its place")
    _registered[name] = registration


def registered(name: str) -> Registration:
    """Return the registration of the type *name*, asking installed packages if it is not known yet.

    Raises:
        BackplaneError: if there is none.
    """
    if name in _NOT_YET:
        raise BackplaneError(
            f"backplane `{name}`: publishing to it is not part of this version yet (`compile` and its artifacts are)"
        )
    if name not in _registered:
        for entry in _entry_points():
            if entry.name == name and name not in _registered:  # two packages may claim it; the first one has it
                _register_entry_point(entry)
    if name not in _registered:
        known = ", ".join(f"`{known}`" for known in sorted(_registered))
        raise BackplaneError(f"no backplane `{name}`; there are {known}, and those of installed extensions")
    return _registered[name]


def kind_of(settings: Settings) -> str:
    """Return the name of the type that takes *settings*.

    Raises:
        BackplaneError: if no registered type does.
    """
    known = {**_NOT_YET, **{name: one.settings_type for name, one in _registered.items()}}
    for name, settings_type in known.items():
        if settings_type is type(settings):
            return name
    broken = []
    for entry in _entry_points():
        try:
            if _register_entry_point(entry).settings_type is type(settings):
                return entry.name
        except BackplaneError as error:  # of no concern if another one takes these settings
            broken.append(str(error))
    text = f"no backplane takes settings of type `{type(settings).__name__}`; register one first"
    raise BackplaneError("; ".join([text, *broken]))


def load_maker(name: str) -> Maker:
    """Return the class of the backplane *name*, imported now.

    Raises:
        BackplaneError: if it is unknown, or its client library is not installed.
    """
    registration = registered(name)
    if not isinstance(registration.make, str):
        return registration.make
    module, _, attribute = registration.make.partition(":")
    try:
        maker: Maker = getattr(importlib.import_module(module), attribute)
    except ImportError as error:  # it is not there, or too old to have what we need of it
        client = registration.client
        if client is None or error.name is None or error.name.partition(".")[0] != client.module:
            raise
        raise BackplaneError(
            f"backplane `{name}` needs {client.package}: pip install 'experiment-backplane[{client.extra}]'"
        ) from None
    return maker


def _entry_points() -> list[EntryPoint]:
    """Return those of installed packages that nobody asked for yet."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and only an unknown type needs it

    return [entry for entry in entry_points(group=ENTRY_POINT_GROUP) if entry.name not in _registered]


def _register_entry_point(entry: EntryPoint) -> Registration:
    try:
        maker = entry.load()
    except Exception as error:  # whatever an extension does when it is imported, it is said which one it was
        what = f"{type(error).__name__}: {error}"
        raise BackplaneError(f"backplane `{entry.name}` is installed and cannot be loaded: {what}") from error
    registration = Registration(
        make=maker,
        settings_type=getattr(maker, "settings_type", None),
        wants_events=getattr(maker, "wants_events", False),
    )
    register_backplane(entry.name, registration)
    return registration


def _register_built_ins() -> None:
    package = "backplane_runtime.backplanes"
    confluent = Client(module="confluent_kafka", package="confluent-kafka", extra="kafka")
    opentelemetry = Client(
        module="opentelemetry",
        package="opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http",
        extra="opentelemetry",
    )
    psycopg = Client(module="psycopg", package="psycopg", extra="postgresql")
    built_ins = {
        "inMemory": Registration(make=f"{package}.in_memory:InMemoryBackplane", settings_type=options.InMemory),
        "logging": Registration(make=f"{package}.logger:LoggerBackplane", settings_type=options.Logging),
        "sqlite": Registration(make=f"{package}.sqlite:SqliteBackplane", settings_type=options.Sqlite),
        "postgresql": Registration(
            make=f"{package}.postgresql:PostgreSqlBackplane", settings_type=options.PostgreSql, client=psycopg
        ),
        "kafka": Registration(
            make=f"{package}.kafka:KafkaBackplane", settings_type=options.Kafka, client=confluent, wants_events=True
        ),
        "openTelemetry": Registration(
            make=f"{package}.otel:OpenTelemetryBackplane", settings_type=options.OpenTelemetry, client=opentelemetry
        ),
    }
    for name, registration in built_ins.items():
        register_backplane(name, registration)


_register_built_ins()
