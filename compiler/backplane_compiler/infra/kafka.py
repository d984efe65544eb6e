"""Kafka topics: their capability table, and lowering of a Kafka backplane to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from backplane_compiler.infra.kafka_configs import BYTES, MILLISECONDS, config_text, parse_config_value
from backplane_compiler.infra.kinds import Change, PropertyRule, ResourceKind, Unit
from backplane_compiler.infra.state import InfraState, Property, Resource, Server, Target, Value
from backplane_compiler.model.connection import server_label
from backplane_compiler.model.model import Backplane, Model
from backplane_compiler.schema.provisioning import KafkaProvisioning, KafkaTopicOverride
from backplane_compiler.source.references import is_open
from backplane_runtime.events import EventType
from backplane_runtime.settings import Kafka

TOPIC: Final = "kafka.topic"
KEYED: Final = "keyed"  # trait: the records of the topic have keys
PARTITIONS: Final = "partitions"
REPLICATION_FACTOR: Final = "replicationFactor"

_DATA_LOSS = PropertyRule(
    unit=Unit.MILLISECONDS,
    decrease_risk="data-loss",
    risk_reason="records that are older than the new limit are deleted within minutes",
    source="kafka LogConfig.java: retention.ms",
)
KAFKA_TOPIC = ResourceKind(
    name=TOPIC,
    properties={
        PARTITIONS: PropertyRule(
            change=Change.INCREASE_ONLY,
            increase_risk="ordering",
            increase_risk_trait=KEYED,
            reason="Kafka cannot take partitions away from a topic",
            risk_reason="events here carry keys: a key moves to another partition, so order per key breaks once",
            source="kafka TopicCommand.java; ReplicationControlManager.java#createPartitions refuses a decrease",
        ),
        REPLICATION_FACTOR: PropertyRule(
            change=Change.NOT_YET,
            reason="no call of Kafka sets it: it needs a partition reassignment (kafka-reassign-partitions.sh)",
            source="KIP-455",
        ),
        "min.insync.replicas": PropertyRule(),
        "retention.ms": _DATA_LOSS,
        "retention.bytes": PropertyRule(
            unit=Unit.BYTES,
            decrease_risk="data-loss",
            risk_reason="the oldest records of each partition over the new limit are deleted within minutes",
            source="kafka LogConfig.java: retention.bytes",
        ),
        "cleanup.policy": PropertyRule(
            decrease_risk="data-loss",
            risk_reason="under another policy other records are deleted: by age and size, or all but the latest of a key",
            source="kafka LogCleaner.java, UnifiedLog.scala#deleteOldSegments",
        ),
        # Sorted: a plan's text has the order of this table, and that of a set is another one in each process.
        **{name: PropertyRule(unit=Unit.MILLISECONDS) for name in sorted(MILLISECONDS - {"retention.ms"})},
        **{name: PropertyRule(unit=Unit.BYTES) for name in sorted(BYTES - {"retention.bytes"})},
    },
)
KAFKA_KINDS: Mapping[str, ResourceKind] = MappingProxyType({TOPIC: KAFKA_TOPIC})


def lower_kafka(backplane: Backplane, model: Model) -> Iterable[Target]:
    """Yield the cluster of *backplane* with one topic for each topic that its events go to.

    Where several event types share a topic and ask for different things, the topic gets the largest number, the longest
    retention and, of other configs, the one of the first type in the order of `EventType`: a topic that is larger or
    keeps longer than one of them asked for loses nobody's events. A topic whose name is a reference is left out: only the
    publisher knows it. A rule reports both.
    """
    settings = backplane.settings
    if not isinstance(settings, Kafka) or not backplane.events:
        return
    wanted = backplane.provisioning if isinstance(backplane.provisioning, KafkaProvisioning) else KafkaProvisioning()
    types: dict[str, list[EventType]] = {}
    for event_type in backplane.events:
        types.setdefault(settings.topic_for(event_type), []).append(event_type)
    span = model.span((*backplane.path, "provisioning"))
    traits = frozenset() if settings.partition_by == "roundRobin" else frozenset({KEYED})
    topics = [
        Resource(
            address=f"{TOPIC}.{name}",
            kind=TOPIC,
            name=name,
            properties=_properties(wanted, [wanted.topics.get(one, KafkaTopicOverride()) for one in of]),
            traits=traits,
            span=span,
        )
        for name, of in types.items()
        if not is_open(name)
    ]
    server = Server(family="kafka", label=server_label(settings))
    yield Target(server=server, type=backplane.type, settings=settings, desired=InfraState.of(topics))


def _properties(wanted: KafkaProvisioning, overrides: list[KafkaTopicOverride]) -> dict[str, Property]:
    replicas = max(one.replication_factor or wanted.replication_factor for one in overrides)
    values: dict[str, Value] = {
        "cleanup.policy": ("delete",),
        # One broker may be away and writes still go on, with a copy to spare; with fewer copies there is none to spare.
        "min.insync.replicas": 2 if replicas >= 3 else 1,  # noqa: PLR2004
        "retention.ms": _longest([_given(one.retention, wanted.retention) for one in overrides]),
    }
    for override in reversed(overrides):
        values |= _configs(wanted, override)
    values[PARTITIONS] = max(one.partitions or wanted.partitions for one in overrides)
    values[REPLICATION_FACTOR] = replicas
    return {name: Property(value) for name, value in sorted(values.items())}


def _configs(wanted: KafkaProvisioning, override: KafkaTopicOverride) -> dict[str, Value]:
    given = {**wanted.config, **override.config}
    return {name: parse_config_value(name, config_text(value)) for name, value in given.items()}


def _given(own: int | None, default: int) -> int:
    return default if own is None else own


def _longest(retentions: list[int]) -> int:
    return -1 if -1 in retentions else max(retentions)
