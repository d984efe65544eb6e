"""The queues and topics that a document asks for: where each comes from and what it shall be like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backplane_compiler.model.connection import namespace_host
from backplane_compiler.model.model import Backplane, Model
from backplane_compiler.rules.finding import backplanes_of, is_written
from backplane_compiler.schema.provisioning import ServiceBusEntity, ServiceBusProvisioning
from backplane_compiler.source import Path
from backplane_runtime.events import EventType
from backplane_runtime.settings import AzureServiceBus


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A queue or a topic of one event type; `shape` is the override's over the backplane's."""

    name: str
    kind: str
    event_type: EventType
    server: str
    backplane: Backplane
    settings: AzureServiceBus
    shape: ServiceBusEntity
    name_path: Path
    shape_path: Path

    def path_of(self, key: str, model: Model) -> Path:
        """Return where the document sets the property *key* of this entity."""
        own: Path = (*self.shape_path, key)
        return own if is_written(model, own) else (*self.backplane.path, "provisioning", "entity", key)


def entities_of(model: Model) -> Iterator[Entity]:
    """Yield the queue or topic of every event type that each Service Bus backplane takes."""
    for backplane, settings, provisioning in backplanes_of(model, AzureServiceBus, ServiceBusProvisioning):
        for event_type in backplane.events:
            yield Entity(
                name=settings.entity_for(event_type),
                kind=settings.entity_kind,
                event_type=event_type,
                server=namespace_host(settings, provisioning.namespace),
                backplane=backplane,
                settings=settings,
                shape=_shape(provisioning, event_type),
                name_path=_name_path(model, backplane, event_type),
                shape_path=(*backplane.path, "provisioning", "entities", event_type.value),
            )


def _shape(provisioning: ServiceBusProvisioning, event_type: EventType) -> ServiceBusEntity:
    override = provisioning.entities.get(event_type)
    changes: dict[str, Any] = override.model_dump(exclude_unset=True) if override else {}
    return provisioning.entity.model_copy(update=changes)


def _name_path(model: Model, backplane: Backplane, event_type: EventType) -> Path:
    options: Path = (*backplane.path, "options")
    candidates: tuple[Path, ...] = (
        (*options, "entities", event_type.value),
        (*options, "topicName"),
        (*options, "queueName"),
        (*options, "entityPrefix"),
    )
    return next((path for path in candidates if is_written(model, path)), options)
