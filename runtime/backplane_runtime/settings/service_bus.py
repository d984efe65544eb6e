"""Options of the Azure Service Bus backplane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from backplane_runtime.events import EventType
from backplane_runtime.settings.base import Refusal, Settings

SessionStrategy = Literal["experimentKey", "subjectId", "tenantId"]
DestinationKind = Literal["queue", "topic"]
Credential = Literal["default", "managedIdentity", "workloadIdentity", "environment", "azureCli"]
Packing = Literal["auto", "always", "never"]

DEFAULT_QUEUE = "experiment-events"
DEFAULT_ENTITIES: Mapping[EventType, str] = {
    EventType.EXPOSURE: "experiment-exposures",
    EventType.ASSIGNMENT: "experiment-assignments",
    EventType.OUTCOME: "experiment-outcomes",
    EventType.ANALYSIS_SIGNAL: "experiment-analysis-signals",
    EventType.ERROR: "experiment-errors",
}


class AzureServiceBus(Settings, frozen=True, kw_only=True):
    """Publish to Azure Service Bus: one queue, one topic, or an entity per event type."""

    connection_string: Annotated[
        str | None, Meta(description="Connection string of the namespace; keys in it belong in a reference.")
    ] = None
    fully_qualified_namespace: Annotated[
        str | None, Meta(description="`NAME.servicebus.windows.net`, for passwordless access with `credential`.")
    ] = None
    credential: Annotated[Credential, Meta(description="Which Azure identity, with `fullyQualifiedNamespace`.")] = (
        "default"
    )
    queue_name: Annotated[str | None, Meta(description="One queue for all events (one consumer).")] = None
    topic_name: Annotated[str | None, Meta(description="One topic for all events (many subscribers).")] = None
    use_type_specific_destinations: Annotated[bool, Meta(description="An entity per event type.")] = False
    destination_kind: Annotated[DestinationKind, Meta(description="What the entities per event type are.")] = "queue"
    entity_prefix: Annotated[str | None, Meta(description="Put before each of the five names.")] = None
    entities: Annotated[
        dict[EventType, str], Meta(description="Entity by event type; the others keep their default name.")
    ] = msgspec.field(default_factory=dict)
    batch_size: Annotated[int, Meta(ge=1, le=10_000, description="Events handed to the client at once.")] = 100
    max_retry_attempts: Annotated[
        int, Meta(ge=0, le=100, description="Retries of one send, with exponential back-off.")
    ] = 3
    message_time_to_live_minutes: Annotated[
        Annotated[int, Meta(ge=1, le=15_372_286_728)] | None,
        Meta(description="Life of a message in minutes; the entity's own where it is not set."),
    ] = None
    enable_sessions: Annotated[bool, Meta(description="Group messages into sessions, ordered within each.")] = False
    session_strategy: Annotated[SessionStrategy, Meta(description="What a session is.")] = "experimentKey"
    client_id: Annotated[str | None, Meta(description="Name of this client in the service's logs.")] = None
    packing: Annotated[
        Packing,
        Meta(description="Many events in one message: where nothing needs one event a message, always, or never."),
    ] = "auto"

    def entity_for(self, event_type: EventType) -> str:
        """Return the queue or topic that events of *event_type* go to."""
        if self.use_type_specific_destinations:
            return self.entities.get(event_type, f"{self.entity_prefix or ''}{DEFAULT_ENTITIES[event_type]}")
        return self.topic_name or self.queue_name or DEFAULT_QUEUE

    @property
    def entity_kind(self) -> DestinationKind:
        """Say whether the destinations are queues or topics."""
        if self.use_type_specific_destinations:
            return self.destination_kind
        return "topic" if self.topic_name else "queue"

    def place(self) -> Any:
        """Return the namespace and its entities; a connection string holds keys, which may be changed."""
        parts = (self.connection_string or "").split(";")
        host = [part.partition("//")[2].rstrip("/") for part in parts if part.casefold().startswith("endpoint=")]
        namespace = self.fully_qualified_namespace or (host[0] if host else self.connection_string)
        return [namespace, {kind.value: self.entity_for(kind) for kind in EventType}]

    def _refusals(self) -> Iterator[Refusal]:
        if (self.connection_string is None) == (self.fully_qualified_namespace is None):
            yield Refusal(
                "connectionString",
                "exactly one of `connectionString` and `fullyQualifiedNamespace` is needed",
                "servicebus-connection",
                "prefer `fullyQualifiedNamespace`: it needs no secret",
            )
        chosen = [
            name
            for name, value in (
                ("queueName", self.queue_name),
                ("topicName", self.topic_name),
                ("useTypeSpecificDestinations", self.use_type_specific_destinations),
            )
            if value
        ]
        for name in chosen[1:]:
            yield Refusal(
                name,
                f"contradicts `{chosen[0]}`: events have one destination",
                "servicebus-destination",
                f"keep `{chosen[0]}` or `{name}`",
            )
        if not self.use_type_specific_destinations:
            yield from self._needing_an_entity_per_type()

    def _needing_an_entity_per_type(self) -> Iterator[Refusal]:
        given = {
            "destinationKind": self.destination_kind != "queue",
            "entityPrefix": self.entity_prefix is not None,
            "entities": bool(self.entities),
        }
        for name in (name for name, is_given in given.items() if is_given):
            yield Refusal(
                name,
                "has no effect without `useTypeSpecificDestinations: true`",
                "option-without-effect",
                "set `useTypeSpecificDestinations: true`, or remove it",
            )
