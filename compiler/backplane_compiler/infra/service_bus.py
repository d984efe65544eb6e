"""Lowering of an Azure Service Bus backplane to its namespace, entities, subscriptions and rules.

Every writable property is written out, because what the service fills in by itself differs between tiers and tools.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from backplane_compiler.diagnostics.span import Span
from backplane_compiler.infra.kinds import NEVER
from backplane_compiler.infra.service_bus_filters import filter_properties
from backplane_compiler.infra.service_bus_kinds import NAMESPACE, QUEUE, RULE, SUBSCRIPTION, TOPIC
from backplane_compiler.infra.state import InfraState, Property, Resource, Server, Target, Value
from backplane_compiler.model.connection import namespace_host
from backplane_compiler.model.model import Backplane, Model
from backplane_compiler.schema.provisioning import ServiceBusProvisioning, Subscription
from backplane_compiler.source.references import is_open
from backplane_runtime.events import EventType
from backplane_runtime.settings import AzureServiceBus

# Every new subscription has a rule of this name; rules are OR-ed, so ours must take its place.
DEFAULT_RULE: Final = "$Default"

_BASIC_LIFE = 14 * 86_400_000  # Basic: default and maximum of messages (azure-docs message-expiration.md)
_DEFAULT_WINDOW = 600_000  # what the service shows for an entity without duplicate detection


@dataclass(frozen=True, slots=True, kw_only=True)
class _Namespace:
    """What lowering of one backplane needs to know; `targets` has the address of each entity by lower-case name."""

    name: str
    settings: AzureServiceBus
    wanted: ServiceBusProvisioning
    targets: Mapping[str, str]
    span: Span

    @property
    def address(self) -> str:
        return f"{NAMESPACE}.{self.name}"

    def duration(self, value: int | None) -> int:
        """Return *value*, or the tier's longest where it is not set or unlimited."""
        if value is not None and value >= 0:
            return min(value, NEVER)
        return _BASIC_LIFE if self.wanted.tier == "basic" else NEVER

    def after(self, parent: str, *forwards: str | None) -> tuple[str, ...]:
        """Return what must exist before: *parent*, and those of *forwards* that are entities of this document."""
        known = {self.targets[name.casefold()] for name in forwards if name and name.casefold() in self.targets}
        return (parent, *sorted(known))

    def resource(
        self, kind: str, path: tuple[str, ...], values: Mapping[str, Value], depends_on: tuple[str, ...]
    ) -> Resource:
        """Return the resource whose address ends in *path*."""
        return Resource(
            address=f"{kind}.{'/'.join(path)}",
            kind=kind,
            name=path[-1],
            properties={name: Property(value) for name, value in sorted(values.items())},
            depends_on=depends_on,
            span=self.span,
        )


def lower_service_bus(backplane: Backplane, model: Model) -> Iterable[Target]:
    """Yield the namespace of *backplane* with the queues or topics that its events go to, and their subscriptions.

    Where several event types share an entity and ask for different things, the first type in the order of `EventType`
    decides. A rule may report the difference.
    """
    settings = backplane.settings
    if not isinstance(settings, AzureServiceBus) or not backplane.events:
        return
    wanted = _wanted(backplane)
    host = namespace_host(settings, wanted.namespace)
    namespace = _Namespace(
        name=wanted.namespace or host.split(".")[0],
        settings=settings,
        wanted=wanted,
        targets=_entities(model, host),
        span=model.span((*backplane.path, "provisioning")),
    )
    desired = InfraState.of((_namespace_resource(namespace), *_entity_resources(namespace, backplane)))
    server = Server(family="servicebus", label=host)
    yield Target(server=server, type=backplane.type, settings=settings, desired=desired)


def _wanted(backplane: Backplane) -> ServiceBusProvisioning:
    given = backplane.provisioning
    return given if isinstance(given, ServiceBusProvisioning) else ServiceBusProvisioning()


def _entities(model: Model, host: str) -> dict[str, str]:
    """Return the addresses of all queues and topics that *model* wants in the namespace *host*, by lower-case name."""
    found: dict[str, str] = {}
    for other in model.backplanes:
        settings = other.settings
        if isinstance(settings, AzureServiceBus) and namespace_host(settings, _wanted(other).namespace) == host:
            names = {settings.entity_for(event_type) for event_type in other.events}
            found |= {name.casefold(): f"servicebus.{settings.entity_kind}.{name}" for name in names}
    return found


def _namespace_resource(namespace: _Namespace) -> Resource:
    values: dict[str, Value] = {"tier": namespace.wanted.tier}
    if namespace.wanted.location:
        values["location"] = namespace.wanted.location
    return namespace.resource(NAMESPACE, (namespace.name,), values, ())


def _entity_resources(namespace: _Namespace, backplane: Backplane) -> Iterator[Resource]:
    types: dict[str, list[EventType]] = {}
    for event_type in backplane.events:
        types.setdefault(namespace.settings.entity_for(event_type), []).append(event_type)
    for name, of in types.items():
        if is_open(name):
            continue  # a rule reports it: only the publisher knows this name
        entity = _merged(namespace.wanted, of)
        if namespace.settings.entity_kind == "queue":
            values = _queue_values(namespace, entity)
            forwards = (entity["forward_to"], entity["forward_dead_lettered_messages_to"])
            yield namespace.resource(QUEUE, (name,), values, namespace.after(namespace.address, *forwards))
            continue
        yield namespace.resource(TOPIC, (name,), _topic_values(namespace, entity), namespace.after(namespace.address))
        for subscription in namespace.wanted.subscriptions:
            if subscription.topic is None or subscription.topic in of:
                yield from _subscription_resources(namespace, name, subscription)


def _subscription_resources(namespace: _Namespace, topic: str, subscription: Subscription) -> Iterator[Resource]:
    path = (topic, subscription.name)
    forwards = (subscription.forward_to, subscription.forward_dead_lettered_messages_to)
    values = _subscription_values(namespace, subscription)
    yield namespace.resource(SUBSCRIPTION, path, values, namespace.after(f"{TOPIC}.{topic}", *forwards))
    rule = filter_properties(subscription.filter)
    yield namespace.resource(RULE, (*path, DEFAULT_RULE), rule, (f"{SUBSCRIPTION}.{'/'.join(path)}",))


def _merged(wanted: ServiceBusProvisioning, types: list[EventType]) -> dict[str, Any]:
    """Return the entity's options by Python name, with what the overrides write themselves on top."""
    merged = wanted.entity.model_dump()
    for event_type in reversed(types):
        if event_type in wanted.entities:
            merged |= wanted.entities[event_type].model_dump(exclude_unset=True)
    return merged


def _shared_values(namespace: _Namespace, entity: Mapping[str, Any]) -> dict[str, Value]:
    window = entity["duplicate_detection_window"]
    values: dict[str, Value] = {
        "autoDeleteOnIdle": NEVER if entity["auto_delete_on_idle"] in (None, -1) else entity["auto_delete_on_idle"],
        "defaultMessageTimeToLive": namespace.duration(entity["default_message_time_to_live"]),
        "duplicateDetectionHistoryTimeWindow": _DEFAULT_WINDOW if window is None else window,
        "enableBatchedOperations": True,
        "enableExpress": False,
        "enablePartitioning": entity["partitioned"],
        "maxSizeInMegabytes": entity["max_size_in_megabytes"],
        "requiresDuplicateDetection": window is not None,
        "status": "Active",
        "userMetadata": entity["user_metadata"] or "",
    }
    # Basic and Standard answer 256 whatever was sent, and refuse to be sent it.
    if namespace.wanted.tier == "premium":
        values["maxMessageSizeInKilobytes"] = entity["max_message_size_in_kilobytes"] or 1024
    return values


def _queue_values(namespace: _Namespace, entity: Mapping[str, Any]) -> dict[str, Value]:
    values = _shared_values(namespace, entity) | {
        "deadLetteringOnMessageExpiration": entity["dead_lettering_on_message_expiration"],
        "forwardDeadLetteredMessagesTo": entity["forward_dead_lettered_messages_to"] or "",
        "forwardTo": entity["forward_to"] or "",
        "lockDuration": entity["lock_duration"],
        "maxDeliveryCount": entity["max_delivery_count"],
        "requiresSession": namespace.settings.enable_sessions,
    }
    if entity["forward_to"]:
        values["autoDeleteOnIdle"] = NEVER  # the service forces it (azure-docs service-bus-auto-forwarding.md)
    return values


def _topic_values(namespace: _Namespace, entity: Mapping[str, Any]) -> dict[str, Value]:
    # A partitioned topic has no order to support.
    return _shared_values(namespace, entity) | {"supportOrdering": not entity["partitioned"]}


def _subscription_values(namespace: _Namespace, subscription: Subscription) -> dict[str, Value]:
    return {
        "autoDeleteOnIdle": NEVER,
        "deadLetteringOnFilterEvaluationExceptions": True,
        "deadLetteringOnMessageExpiration": subscription.dead_lettering_on_message_expiration,
        "defaultMessageTimeToLive": namespace.duration(subscription.default_message_time_to_live),
        "enableBatchedOperations": True,
        "forwardDeadLetteredMessagesTo": subscription.forward_dead_lettered_messages_to or "",
        "forwardTo": subscription.forward_to or "",
        "isClientAffine": False,
        "lockDuration": subscription.lock_duration,
        "maxDeliveryCount": subscription.max_delivery_count,
        "requiresSession": subscription.requires_session,
        "status": "Active",
        "userMetadata": "",
    }
