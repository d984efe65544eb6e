"""The topics that a document asks for: where each comes from and what it shall be like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from backplane_compiler.model.connection import server_label
from backplane_compiler.model.model import Backplane, Model
from backplane_compiler.rules.finding import backplanes_of, is_written
from backplane_compiler.schema.provisioning import ConfigValue, KafkaProvisioning, KafkaTopicOverride
from backplane_compiler.source import Path
from backplane_runtime.events import EventType
from backplane_runtime.settings import Kafka


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A topic of one event type; `config` is the override's over the backplane's."""

    name: str
    event_type: EventType
    server: str
    backplane: Backplane
    settings: Kafka
    partitions: int
    replication_factor: int
    retention: int
    config: Mapping[str, ConfigValue]
    overridden: bool

    @property
    def provisioning_path(self) -> Path:
        """Where the document says what it shall be like."""
        path: Path = (*self.backplane.path, "provisioning")
        return (*path, "topics", self.event_type.value) if self.overridden else path


def topics_of(model: Model) -> Iterator[Topic]:
    """Yield the topic of every event type that each Kafka backplane takes."""
    for backplane, settings, provisioning in backplanes_of(model, Kafka, KafkaProvisioning):
        for event_type in backplane.events:
            yield _topic(backplane, settings, provisioning, event_type)


def name_path(model: Model, topic: Topic) -> Path:
    """Return where the document names *topic*."""
    options: Path = (*topic.backplane.path, "options")
    candidates: tuple[Path, ...] = (
        (*options, "topics", topic.event_type.value),
        (*options, "topic"),
        (*options, "topicPrefix"),
    )
    return next((path for path in candidates if is_written(model, path)), options)


def _topic(backplane: Backplane, settings: Kafka, provisioning: KafkaProvisioning, event_type: EventType) -> Topic:
    override = provisioning.topics.get(event_type)
    other = override or KafkaTopicOverride()
    return Topic(
        name=settings.topic_for(event_type),
        event_type=event_type,
        server=server_label(settings),
        backplane=backplane,
        settings=settings,
        partitions=other.partitions or provisioning.partitions,
        replication_factor=other.replication_factor or provisioning.replication_factor,
        retention=provisioning.retention if other.retention is None else other.retention,
        config={**provisioning.config, **other.config},
        overridden=override is not None,
    )
