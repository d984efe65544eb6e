"""Models made by hand, for tests of what comes after the document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from backplane_compiler.diagnostics.span import SourceFile, Span
from backplane_compiler.infra.kafka import lower_kafka
from backplane_compiler.infra.lower import LowerFunction, lower
from backplane_compiler.infra.service_bus import lower_service_bus
from backplane_compiler.infra.sql_lower import lower_sql
from backplane_compiler.infra.state import Resource, Target
from backplane_compiler.model.model import Backplane, Model
from backplane_compiler.schema.provisioning import KafkaProvisioning, ServiceBusProvisioning, SqlProvisioning
from backplane_compiler.source import tree
from backplane_runtime.events import EventType
from backplane_runtime.settings import (
    AzureServiceBus,
    InMemory,
    Kafka,
    Plane,
    PostgreSql,
    Settings,
    Sqlite,
    SqlServer,
    from_wire,
)

FUNCTIONS: Mapping[str, LowerFunction] = {
    "kafka": lower_kafka,
    "azureServiceBus": lower_service_bus,
    "sqlServer": lower_sql,
    "postgresql": lower_sql,
    "sqlite": lower_sql,
}
SETTINGS: Mapping[str, type[Settings]] = {
    "kafka": Kafka,
    "azureServiceBus": AzureServiceBus,
    "sqlServer": SqlServer,
    "postgresql": PostgreSql,
    "sqlite": Sqlite,
    "inMemory": InMemory,
}
PROVISIONING: Mapping[str, type[BaseModel]] = {
    "kafka": KafkaProvisioning,
    "azureServiceBus": ServiceBusProvisioning,
    "sqlServer": SqlProvisioning,
    "postgresql": SqlProvisioning,
    "sqlite": SqlProvisioning,
}


def backplane(
    type_name: str,
    options: Mapping[str, Any] | None = None,
    provisioning: Mapping[str, Any] | None = None,
    *,
    events: tuple[EventType, ...] = tuple(EventType),
) -> Backplane:
    """Return a backplane of *type_name* as the document would give it."""
    return Backplane(
        name=type_name,
        type=type_name,
        settings=from_wire(SETTINGS[type_name], options or {}),
        provisioning=None if provisioning is None else PROVISIONING[type_name].model_validate(provisioning),
        events=events,
        path=("dataPlane", "backplane"),
    )


def model(*backplanes: Backplane) -> Model:
    """Return a model with *backplanes* and an empty source."""
    empty = tree.Mapping((), Span.at_start(SourceFile("backplane.yaml", "")))
    return Model(plane=Plane(), backplanes=backplanes, experiments=(), tree=empty)


def targets(*backplanes: Backplane) -> tuple[Target, ...]:
    """Return what *backplanes* lower to."""
    found, clashes = lower(model(*backplanes), FUNCTIONS)
    assert not clashes
    return found


def resources(*backplanes: Backplane) -> dict[str, Resource]:
    """Return the resources of the one server that *backplanes* are on, by address."""
    (target,) = targets(*backplanes)
    return target.desired.by_address()


def values(resource: Resource) -> dict[str, Any]:
    """Return the plain values of *resource*."""
    return {name: item.value for name, item in resource.properties.items()}
