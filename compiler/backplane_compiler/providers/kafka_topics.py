"""Topics as the cluster describes them, as resources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import ConfigEntry, ConfigResource, ConfigSource, ResourceType, TopicMetadata

from backplane_compiler.infra.kafka import PARTITIONS, REPLICATION_FACTOR, TOPIC
from backplane_compiler.infra.kafka_configs import parse_config_value
from backplane_compiler.infra.state import InfraState, Origin, Property, Resource, Value
from backplane_compiler.providers.api import ProviderError
from backplane_compiler.providers.kafka_connection import Connection

_TOPICS_PER_REQUEST = 500
# With the time that it takes to find a broker, within the 10 seconds that a provider has.
_REQUEST_SECONDS = 8.0
_ABSENT = "UNKNOWN_TOPIC_OR_PART"


def observe_topics(connection: Connection, desired: InfraState) -> InfraState:
    """Return the topics of *desired* that exist: one request for all topics, one for each 500 of their configs.

    Raises:
        ProviderError: if the cluster does not answer, or does not let this user see one of the topics.
    """
    known = connection.metadata().topics
    _refuse_hidden(connection, [resource.name for resource in desired.resources if resource.name not in known])
    existing = [resource for resource in desired.resources if resource.name in known]
    configs = dict(_configs(connection, [resource.name for resource in existing]))
    return InfraState.of(
        Resource(
            address=resource.address,
            kind=TOPIC,
            name=resource.name,
            properties=_shape(known[resource.name]) | configs[resource.name],
        )
        for resource in existing
        if resource.name in configs
    )


def topic_error(name: str, error: BaseException) -> ProviderError:
    """Return *error* of a client as one line that names the topic."""
    if not isinstance(error, KafkaException):
        return ProviderError(f"topic `{name}`: no answer within {_REQUEST_SECONDS:.0f} s", "run `backplane plan` again")
    inner = error.args[0]
    if inner.name().startswith("_"):  # the client's own word: about a connection, not about the topic
        return ProviderError(
            f"topic `{name}`: {inner.str()} ({inner.name()})", "a broker went away or hangs; run it again"
        )
    if inner.name().endswith("AUTHORIZATION_FAILED"):
        return ProviderError(f"topic `{name}`: not authorized ({inner.name()})", "grant it to the user of `security`")
    return ProviderError(f"topic `{name}`: {inner.str()} ({inner.name()})")


def _refuse_hidden(connection: Connection, names: Sequence[str]) -> None:
    """Tell a topic that does not exist from one that this user may not see: a list of all topics leaves out both."""
    if not names:
        return
    futures = connection.admin.describe_topics(TopicCollection(list(names)), request_timeout=_REQUEST_SECONDS)
    for name, future in futures.items():
        error = _error_of(future)
        if isinstance(error, KafkaException) and error.args[0].name() == _ABSENT:
            continue
        if error is not None:
            raise topic_error(name, error) from error


def _configs(connection: Connection, names: Sequence[str]) -> Iterator[tuple[str, dict[str, Property]]]:
    """Yield the configs of each topic; a topic that was deleted meanwhile is left out."""
    for start in range(0, len(names), _TOPICS_PER_REQUEST):
        wanted = [ConfigResource(ResourceType.TOPIC, name) for name in names[start : start + _TOPICS_PER_REQUEST]]
        futures = connection.admin.describe_configs(wanted, request_timeout=_REQUEST_SECONDS)
        for resource, future in futures.items():
            error = _error_of(future)
            if error is None:
                yield resource.name, dict(_properties(future.result().values()))
            elif not isinstance(error, KafkaException) or error.args[0].name() != _ABSENT:
                raise topic_error(resource.name, error) from error


def _error_of(future: Future[Any]) -> BaseException | None:
    try:
        return future.exception(timeout=_REQUEST_SECONDS + 1)
    except TimeoutError as error:
        return error


def _properties(entries: Iterable[ConfigEntry]) -> Iterator[tuple[str, Property]]:
    for entry in entries:
        if entry.value is not None:  # a sensitive value, which the broker keeps to itself
            set_here = entry.source in (ConfigSource.DYNAMIC_TOPIC_CONFIG, ConfigSource.DYNAMIC_TOPIC_CONFIG.value)
            origin = Origin.SET if set_here else Origin.DEFAULT
            yield entry.name, Property(parse_config_value(entry.name, entry.value), origin)


def _shape(topic: TopicMetadata) -> dict[str, Property]:
    return {
        PARTITIONS: Property(len(topic.partitions)),
        REPLICATION_FACTOR: Property(_replication_factor(topic)),
    }


def _replication_factor(topic: TopicMetadata) -> Value:
    """Return how many replicas the partitions have; where they differ, all numbers, which equal no wanted one."""
    counts = sorted({len(partition.replicas) for partition in topic.partitions.values()})
    return counts[0] if len(counts) == 1 else tuple(map(str, counts))
