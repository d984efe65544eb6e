"""What a document may say under `provisioning`: which infrastructure is wanted (design/document.md).

Every value has a default that is right for production; the plan shows it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool
from pydantic.alias_generators import to_camel

from backplane_compiler.schema.scalars import Count, Duration, EventName, spelled
from backplane_runtime.event_table import IndexProfile

_KafkaVersion = Literal["3.9", "4.0", "4.1", "4.2", "4.3"]
_Tier = Literal["basic", "standard", "premium"]
_Target = Literal["sqlServer2016", "sqlServer2017", "sqlServer2019", "sqlServer2022", "sqlServer2025", "azureSql"]
_Edition = Literal["express", "standard", "enterprise"]
_Compression = Literal["none", "row", "page"]
KafkaVersion = Annotated[_KafkaVersion, spelled(_KafkaVersion)]
Tier = Annotated[_Tier, spelled(_Tier)]
Target = Annotated[_Target, spelled(_Target)]
Edition = Annotated[_Edition, spelled(_Edition)]
Compression = Annotated[_Compression, spelled(_Compression)]
Indexes = Annotated[IndexProfile, spelled(IndexProfile)]
MAX_COUNT = 2**31 - 1  # an `int` of the services' own languages
ConfigValue = bool | int | float | str


class Provisioning(BaseModel):
    """Base of what may stand under `provisioning`: immutable, camelCase, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class KafkaTopicOverride(Provisioning):
    """What one topic has different from the defaults of its backplane."""

    partitions: Annotated[Count | None, Field(ge=1, le=MAX_COUNT, description="Number of partitions.")] = None
    replication_factor: Annotated[Count | None, Field(ge=1, le=32767, description="Copies of each partition.")] = None
    retention: Annotated[Duration | None, Field(description="How long records are kept (`retention.ms`).")] = None
    config: Annotated[dict[str, ConfigValue], Field(description="Topic configs by their Kafka name.")] = {}


class KafkaProvisioning(Provisioning):
    """The topics of a Kafka backplane."""

    kafka_version: Annotated[KafkaVersion, Field(description="Version of the brokers.")] = "4.1"
    partitions: Annotated[Count, Field(ge=1, le=MAX_COUNT, description="Partitions of each topic.")] = 12
    replication_factor: Annotated[Count, Field(ge=1, le=32767, description="Copies of each partition.")] = 3
    retention: Annotated[Duration, Field(description="How long records are kept (`retention.ms`).")] = 7 * 86_400_000
    config: Annotated[dict[str, ConfigValue], Field(description="Topic configs by their Kafka name.")] = {}
    topics: Annotated[dict[EventName, KafkaTopicOverride], Field(description="Differences by event type.")] = {}


class ServiceBusEntity(Provisioning):
    """Properties of the queues and topics; durations such as `1m`, `14d`."""

    lock_duration: Annotated[Duration, Field(description="How long a receiver holds a message (queues).")] = 60_000
    max_delivery_count: Annotated[
        Count, Field(ge=1, le=MAX_COUNT, description="Deliveries before a message is dead-lettered (queues).")
    ] = 10
    default_message_time_to_live: Annotated[
        Duration | None, Field(description="Life of a message that names none; the tier's maximum where it is not set.")
    ] = None
    duplicate_detection_window: Annotated[
        Duration | None, Field(description="Window of duplicate detection by message id; off where it is not set.")
    ] = None
    max_size_in_megabytes: Annotated[Count, Field(ge=1024, description="Size of the entity in MB.")] = 1024
    max_message_size_in_kilobytes: Annotated[
        Count | None, Field(ge=1024, le=102_400, description="Largest message in KB (premium).")
    ] = None
    partitioned: Annotated[
        StrictBool, Field(description="Spread over several brokers (basic and standard); cannot be changed.")
    ] = False
    dead_lettering_on_message_expiration: Annotated[
        StrictBool, Field(description="Keep expired messages in the dead-letter queue.")
    ] = True
    auto_delete_on_idle: Annotated[
        Duration | None, Field(description="Delete the entity when idle; never where it is not set.")
    ] = None
    forward_to: Annotated[
        str | None, Field(min_length=1, description="Queue or topic that messages go on to (queues).")
    ] = None
    forward_dead_lettered_messages_to: Annotated[
        str | None, Field(min_length=1, description="Where dead-lettered messages go.")
    ] = None
    user_metadata: Annotated[str | None, Field(max_length=1024, description="Free text.")] = None


class ServiceBusEntityOverride(ServiceBusEntity):
    """What one queue or topic has different from `entity`; only what is written counts, so the defaults are those there."""


class SubscriptionFilter(Provisioning):
    """Which events a subscription gets; several keys must all hold."""

    event_type: Annotated[EventName | None, Field(description="Events of this type.")] = None
    experiment: Annotated[str | None, Field(min_length=1, description="Events of this experiment.")] = None
    variant: Annotated[str | None, Field(min_length=1, description="Events of this variant.")] = None
    sql: Annotated[str | None, Field(min_length=1, max_length=1024, description="A Service Bus SQL filter.")] = None


class Subscription(Provisioning):
    """A subscription of the topics."""

    name: Annotated[str, Field(min_length=1, description="Name, unique in its topic.")]
    topic: Annotated[
        EventName | None, Field(description="Only on the topic of this event type; on each topic otherwise.")
    ] = None
    filter: Annotated[
        SubscriptionFilter | None, Field(description="Which events it gets; all where it is not set.")
    ] = None
    requires_session: Annotated[StrictBool, Field(description="Ordered delivery by session; cannot be changed.")] = (
        False
    )
    lock_duration: Annotated[Duration, Field(description="How long a receiver holds a message.")] = 60_000
    max_delivery_count: Annotated[
        Count, Field(ge=1, le=MAX_COUNT, description="Deliveries before a message is dead-lettered.")
    ] = 10
    default_message_time_to_live: Annotated[Duration | None, Field(description="Life of a message in it.")] = None
    dead_lettering_on_message_expiration: Annotated[StrictBool, Field(description="Keep expired messages.")] = True
    forward_to: Annotated[str | None, Field(min_length=1, description="Queue or topic that messages go on to.")] = None
    forward_dead_lettered_messages_to: Annotated[
        str | None, Field(min_length=1, description="Where dead-lettered messages go.")
    ] = None


class ServiceBusProvisioning(Provisioning):
    """The entities of an Azure Service Bus backplane."""

    tier: Annotated[Tier, Field(description="Tier of the namespace.")] = "standard"
    subscription_id: Annotated[
        str | None, Field(min_length=1, description="Azure subscription, for `plan` and `apply`.")
    ] = None
    resource_group: Annotated[str | None, Field(min_length=1, description="Resource group of the namespace.")] = None
    namespace: Annotated[
        str | None,
        Field(min_length=1, description="Name of the namespace; read from the connection where it is not set."),
    ] = None
    location: Annotated[
        str | None, Field(min_length=1, description="Azure region, where the namespace is to be made.")
    ] = None
    entity: Annotated[ServiceBusEntity, Field(description="Properties of every queue and topic.")] = ServiceBusEntity()
    entities: Annotated[dict[EventName, ServiceBusEntityOverride], Field(description="Differences by event type.")] = {}
    subscriptions: Annotated[tuple[Subscription, ...], Field(description="Subscriptions of the topics.")] = ()


class SqlRoles(Provisioning):
    """Names of the database roles; none is made where it is not set."""

    deployer: Annotated[str | None, Field(min_length=1, description="Makes and changes the table.")] = None
    writer: Annotated[str | None, Field(min_length=1, description="Adds events, and changes none.")] = None
    reader: Annotated[str | None, Field(min_length=1, description="Reads events.")] = None


class SqlProvisioning(Provisioning):
    """The event table of an SQL backplane."""

    target: Annotated[
        Target | None,
        Field(description="Version of SQL Server; `sqlServer2019` where it is not set."),
    ] = None
    edition: Annotated[Edition | None, Field(description="Edition of SQL Server.")] = None
    indexes: Annotated[Indexes, Field(description="Which secondary indexes the table has.")] = "default"
    compression: Annotated[Compression, Field(description="Compression of the table (SQL Server).")] = "none"
    retention: Annotated[
        Duration | None, Field(description="How long events are kept; for ever where it is not set.")
    ] = None
    roles: Annotated[SqlRoles, Field(description="Database roles to grant to.")] = SqlRoles()
