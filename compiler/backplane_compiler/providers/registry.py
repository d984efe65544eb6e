"""Which provider belongs to a backplane type. Client libraries are imported when a provider is opened, not before."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from backplane_compiler.providers.api import Opener, Provider, ProviderError
from backplane_runtime.settings import Kafka, PostgreSql, Settings, SettingsError, Sqlite, from_wire


@dataclass(frozen=True, slots=True)
class Registration:
    """A provider's opener and the settings that it takes."""

    opener: Opener
    settings: type[Settings]


@dataclass(frozen=True, slots=True)
class _BuiltIn:
    """A provider in this package: `module` has `open_provider`; it needs `library`, which `extra` installs."""

    module: str
    settings: type[Settings]
    library: tuple[str, str] | None = None  # import name, distribution
    extra: str = ""

    def load(self, type_name: str) -> Opener:
        try:
            opener: Opener = importlib.import_module(self.module).open_provider
        except ModuleNotFoundError as error:
            if self.library is None or (error.name or "").partition(".")[0] != self.library[0]:
                raise
            raise ProviderError(
                f"backplane `{type_name}` needs {self.library[1]}: pip install 'experiment-backplane[{self.extra}]'"
            ) from error
        return opener


_BUILT_IN: Mapping[str, _BuiltIn] = MappingProxyType(
    {
        "kafka": _BuiltIn("backplane_compiler.providers.kafka", Kafka, ("confluent_kafka", "confluent-kafka"), "kafka"),
        "sqlite": _BuiltIn("backplane_compiler.providers.sqlite", Sqlite),
        "postgresql": _BuiltIn(
            "backplane_compiler.providers.postgresql", PostgreSql, ("psycopg", "psycopg"), "postgresql"
        ),
    }
)
_NOT_APPLIED: Mapping[str, str] = MappingProxyType(
    {
        "azureServiceBus": "this version does not apply Azure Service Bus; deploy servicebus/template.json",
        "sqlServer": "this version does not apply SQL Server; run sql/sqlserver/schema.sql",
    }
)
_registered: dict[str, Registration] = {}


def register_provider(type_name: str, registration: Registration) -> None:
    """Let `plan` and `apply` use *registration* for backplanes of *type_name*; the latest one counts."""
    _registered[type_name] = registration


def unregister_provider(type_name: str) -> None:
    """Forget what `register_provider` was told of *type_name*; a built-in provider comes back."""
    _registered.pop(type_name, None)


def reason_without_provider(type_name: str) -> str | None:
    """Return why this version asks no live system for backplanes of *type_name*; None where it does."""
    if type_name in _registered or type_name in _BUILT_IN:
        return None
    return _NOT_APPLIED.get(type_name, f"there is no provider for backplanes of the type `{type_name}`")


def open_provider(type_name: str, settings: Settings, environment: Mapping[str, str]) -> Provider:
    """Return the provider of *type_name* for the system that *settings* describe.

    Raises:
        ProviderError: if there is none, or its client library is not installed, or a reference cannot be resolved.
    """
    if type_name in _registered:
        return _registered[type_name].opener(settings, environment)
    if type_name in _BUILT_IN:
        return _BUILT_IN[type_name].load(type_name)(settings, environment)
    raise ProviderError(reason_without_provider(type_name) or "")


def settings_from_wire(type_name: str, wire: Mapping[str, object]) -> Settings:
    """Return the settings of *type_name* that a plan holds as `connection`.

    Raises:
        ProviderError: if there is no provider of that type, or the options are not those of this version.
    """
    registration = _registered.get(type_name) or _BUILT_IN.get(type_name)
    if registration is None:
        raise ProviderError(reason_without_provider(type_name) or "")
    try:
        return from_wire(registration.settings, wire)
    except SettingsError as error:
        raise ProviderError(
            f"the plan's connection is not one of this version: {error}", "make the plan again"
        ) from error
