"""Backplane types as the compiler sees them: the built-in nine and those of extensions, registered by the same call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Final

from pydantic import BaseModel

from backplane_compiler.diagnostics import Diagnostic
from backplane_compiler.infra.kafka import lower_kafka
from backplane_compiler.infra.lower import LowerFunction, lower
from backplane_compiler.infra.service_bus import lower_service_bus
from backplane_compiler.infra.sql_lower import lower_sql
from backplane_compiler.infra.state import Target
from backplane_compiler.model.model import Model
from backplane_compiler.rules.order import Rule
from backplane_compiler.schema.document import COMPOSITE, SettingsClass
from backplane_compiler.schema.provisioning import KafkaProvisioning, ServiceBusProvisioning, SqlProvisioning
from backplane_runtime.settings import (
    AzureServiceBus,
    InMemory,
    Kafka,
    Logging,
    OpenTelemetry,
    PostgreSql,
    Sqlite,
    SqlServer,
)

ENTRY_POINT_GROUP: Final = "backplane.handlers"

ModelClass = type[BaseModel]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackplaneHandler:
    """The compile half of a backplane type.

    `settings` defines the options (None only for `composite`, whose options are other backplanes); `provisioning` is the
    model of what may stand under that key, `rules` run after the built-in ones, and `lower` says which resources a
    backplane needs. A type without `provisioning` and `lower` provisions nothing.
    """

    type: str
    settings: SettingsClass | None
    provisioning: ModelClass | None = None
    rules: tuple[Rule, ...] = ()
    lower: LowerFunction | None = None


Handlers = Mapping[str, BackplaneHandler]

_REGISTERED: dict[str, BackplaneHandler] = {}


def register_handler(handler: BackplaneHandler) -> None:
    """Make the type of *handler* known to every later compilation.

    Raises:
        ValueError: another handler has this type, in any case of letters.
    """
    for known in _REGISTERED.values():
        if known.type.casefold() == handler.type.casefold() and known != handler:
            raise ValueError(f"the backplane type `{known.type}` is registered already")
    _REGISTERED[handler.type] = handler


def registered_handlers() -> Handlers:
    """Return all handlers by type: the built-in ones, those of installed extensions, those of this program."""
    _load_entry_points()
    return dict(_REGISTERED)


@cache
def _load_entry_points() -> None:
    """Register the handlers that installed packages offer; an entry point is a `BackplaneHandler` or returns one."""
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name):
        offered = point.load()
        register_handler(offered if isinstance(offered, BackplaneHandler) else offered())


def lower_with(handlers: Handlers, model: Model) -> tuple[tuple[Target, ...], tuple[Diagnostic, ...]]:
    """Return what *model* needs on its servers, as the handlers say, and where two backplanes contradict each other."""
    return lower(model, {name: handler.lower for name, handler in handlers.items() if handler.lower is not None})


_BUILT_IN: Final = (
    BackplaneHandler(type="kafka", settings=Kafka, provisioning=KafkaProvisioning, lower=lower_kafka),
    BackplaneHandler(
        type="azureServiceBus",
        settings=AzureServiceBus,
        provisioning=ServiceBusProvisioning,
        lower=lower_service_bus,
    ),
    BackplaneHandler(type="sqlServer", settings=SqlServer, provisioning=SqlProvisioning, lower=lower_sql),
    BackplaneHandler(type="postgresql", settings=PostgreSql, provisioning=SqlProvisioning, lower=lower_sql),
    BackplaneHandler(type="sqlite", settings=Sqlite, provisioning=SqlProvisioning, lower=lower_sql),
    BackplaneHandler(type="inMemory", settings=InMemory),
    BackplaneHandler(type="logging", settings=Logging),
    BackplaneHandler(type="openTelemetry", settings=OpenTelemetry),
    BackplaneHandler(type=COMPOSITE, settings=None),
)
for _handler in _BUILT_IN:
    register_handler(_handler)
