"""Kafka topics: observed in a bounded number of requests, changed by the batch calls of the admin protocol."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from backplane_compiler.infra.kafka import PARTITIONS, REPLICATION_FACTOR, TOPIC
from backplane_compiler.infra.kafka_configs import config_text
from backplane_compiler.infra.state import InfraState, Resource
from backplane_compiler.plan.change import Change, Create, PropertyChange, Update
from backplane_compiler.plan.diff import diff
from backplane_compiler.providers.api import Identity, Provider, ProviderError
from backplane_compiler.providers.kafka_connection import Connection
from backplane_compiler.providers.kafka_topics import observe_topics, topic_error
from backplane_runtime.settings import Kafka, Settings

_REQUEST_SECONDS = 30.0
_SECONDS_TO_SHOW = 15.0
# Brokers follow within half a second, or when another controller is elected, a few (kafka KRaftConfigs and QuorumConfig).
_SECONDS_TO_SPREAD = 5.0
# So often the same controller is no chance: the cluster has one, and it alone is asked for configs (ZooKeeper).
_ANSWERS_FOR_ONE_CONTROLLER = 16
# librdkafka, rd_kafka_NewTopic_new
_MOST_PARTITIONS = 100_000
# kafka ReplicationControlManager.java, MAX_PARTITIONS_PER_BATCH: a larger request is refused as a whole.
_PARTITIONS_PER_REQUEST = 10_000

Failures = dict[str, ProviderError]


def open_provider(settings: Settings, environment: Mapping[str, str]) -> Provider:
    """Return a provider for the cluster of *settings*; it connects when it is first asked.

    Raises:
        ProviderError: if a reference cannot be resolved, or the client refuses the settings.
    """
    if not isinstance(settings, Kafka):
        raise TypeError(f"settings of Kafka are needed, not {type(settings).__name__}")
    return KafkaProvider(Connection(settings, environment))


class KafkaProvider:
    """The topics of one cluster."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection | None = connection

    def identity(self) -> Identity:
        """Say which cluster this is: its id is made when it is formatted and never changes."""
        metadata = self._open.metadata()
        brokers = len(metadata.brokers)
        count = "1 broker" if brokers == 1 else f"{brokers} brokers"
        cluster = str(metadata.cluster_id)
        return Identity(cluster, f"cluster {cluster}, {count}")

    def observe(self, desired: InfraState) -> InfraState:
        """Return the topics of *desired* that exist, with all of their configs."""
        return observe_topics(self._open, desired)

    def apply(self, changes: Sequence[Change]) -> Mapping[str, ProviderError]:
        """Create and alter topics, and return when the cluster shows it."""
        failed: Failures = {
            change.address: ProviderError(f"topic `{change.resource.name}`: {reason}")
            for change in changes
            if (reason := _not_applied(change))
        }
        for call in (self._create, self._add_partitions, self._alter_configs):
            try:
                call([change for change in changes if change.address not in failed], failed)
            except (KafkaException, TypeError, ValueError) as error:
                raise ProviderError(f"kafka {self._open.label}: the client refuses the request: {error}") from error
        self._wait_until_shown([change.resource for change in changes if change.address not in failed], failed)
        return failed

    def close(self) -> None:
        """Let go of the client; librdkafka ends its threads when nobody holds it."""
        self._connection = None

    @property
    def _open(self) -> Connection:
        if self._connection is None:
            raise ProviderError("this provider was closed")
        return self._connection

    def _create(self, changes: Sequence[Change], failed: Failures) -> None:
        wanted = [change.resource for change in changes if isinstance(change, Create)]
        for part in _requests(wanted):
            futures = self._open.admin.create_topics([*map(_new_topic, part)], request_timeout=_REQUEST_SECONDS)
            # What exists already is judged by its shape, when it is looked at again.
            failed |= _failures(futures, _addresses(changes), {"TOPIC_ALREADY_EXISTS"})

    def _add_partitions(self, changes: Sequence[Change], failed: Failures) -> None:
        wanted = [
            NewPartitions(change.resource.name, _count(change.resource, PARTITIONS))
            for change, item in _updates(changes)
            if item.name == PARTITIONS
        ]
        if wanted:
            futures = self._open.admin.create_partitions(wanted, request_timeout=_REQUEST_SECONDS)
            # The broker also refuses a number that is already reached; that is judged when it is looked at again.
            failed |= _failures(futures, _addresses(changes), {"INVALID_PARTITIONS"})

    def _alter_configs(self, changes: Sequence[Change], failed: Failures) -> None:
        entries: dict[str, list[ConfigEntry]] = {}
        for change, item in _updates(changes):
            if item.name not in {PARTITIONS, REPLICATION_FACTOR}:
                entries.setdefault(change.resource.name, []).append(_config_entry(item))
        if entries:
            wanted = [
                ConfigResource(ResourceType.TOPIC, name, incremental_configs=configs)
                for name, configs in entries.items()
            ]
            futures = self._open.admin.incremental_alter_configs(wanted, request_timeout=_REQUEST_SECONDS)
            failed |= _failures(futures, _addresses(changes), set())

    def _wait_until_shown(self, wanted: Sequence[Resource], failed: Failures) -> None:
        """Wait until the brokers have what the controller decided, so that a plan right after this one is empty."""
        if not wanted:
            return
        desired, deadline, pause = InfraState.of(wanted), time.monotonic() + _SECONDS_TO_SHOW, 0.01
        spread = _Spread()
        while True:
            missing, trouble = self._not_there_yet(desired)
            if not missing and spread.is_wide_enough(self._open):
                return
            if time.monotonic() > deadline:
                if trouble is not None:
                    raise trouble
                failed |= {change.address: _not_shown(change) for change in missing}
                return
            time.sleep(pause)
            pause = min(2 * pause, 0.5) if missing else 0.01

    def _not_there_yet(self, desired: InfraState) -> tuple[Sequence[Change], ProviderError | None]:
        """Return what is still to come; all of it where a broker does not answer, as one that just went away."""
        try:
            return diff(self.observe(desired), desired), None
        except ProviderError as error:
            return [Create(resource) for resource in desired.resources], error


@dataclass(slots=True)
class _Spread:
    """Which brokers have shown the change: each follows the controller at its own pace, and the next plan may ask any.

    A client cannot choose whom it asks: topics are told by any broker, configs by the one that the answer names as the
    controller, which in KRaft is another one each time. So it is asked again until all have answered, within a limit.
    """

    topics_by: set[int] = field(default_factory=set)
    configs_by: set[int] = field(default_factory=set)
    answers: int = 0
    began: float | None = None

    def is_wide_enough(self, connection: Connection) -> bool:
        """Take note of who answered last, and return whether that will do."""
        latest = connection.latest
        if latest is None:
            return True
        self.began = self.began or time.monotonic()
        self.answers += 1
        self.topics_by.add(latest.orig_broker_id)
        self.configs_by.add(latest.controller_id)
        one_controller = len(self.configs_by) == 1 and self.answers >= _ANSWERS_FOR_ONE_CONTROLLER
        all_told = latest.brokers.keys() <= self.topics_by and (
            one_controller or latest.brokers.keys() <= self.configs_by
        )
        return all_told or time.monotonic() - self.began > _SECONDS_TO_SPREAD


def _requests(resources: Iterable[Resource]) -> Iterator[list[Resource]]:
    """Yield *resources* in groups that one request may hold."""
    group: list[Resource] = []
    total = 0
    for resource in resources:
        partitions = _count(resource, PARTITIONS)
        if group and total + partitions > _PARTITIONS_PER_REQUEST:
            yield group
            group, total = [], 0
        group.append(resource)
        total += partitions
    if group:
        yield group


def _new_topic(resource: Resource) -> NewTopic:
    shape = {PARTITIONS, REPLICATION_FACTOR}
    return NewTopic(
        resource.name,
        num_partitions=_count(resource, PARTITIONS),
        replication_factor=_count(resource, REPLICATION_FACTOR),
        config={name: config_text(item.value) for name, item in resource.properties.items() if name not in shape},
    )


def _count(resource: Resource, name: str) -> int:
    """Return the number under *name*; -1 leaves it to the broker."""
    item = resource.properties.get(name)
    return item.value if item is not None and isinstance(item.value, int) else -1


def _config_entry(item: PropertyChange) -> ConfigEntry:
    if item.after is None:
        return ConfigEntry(item.name, "", incremental_operation=AlterConfigOpType.DELETE)
    return ConfigEntry(item.name, config_text(item.after), incremental_operation=AlterConfigOpType.SET)


def _updates(changes: Sequence[Change]) -> Iterator[tuple[Update, PropertyChange]]:
    for change in changes:
        if isinstance(change, Update):
            for item in change.properties:
                yield change, item


def _not_applied(change: Change) -> str | None:
    """Return why no request is made for *change*: a plan from a file may hold what no document compiles to."""
    if change.resource.kind != TOPIC:
        return f"is a {change.resource.kind}, which Kafka does not have"
    if _count(change.resource, PARTITIONS) > _MOST_PARTITIONS:
        return f"the client creates at most {_MOST_PARTITIONS} partitions at once"
    if isinstance(change, Update):
        fixed = [item.name for item in change.properties if item.name == REPLICATION_FACTOR]
        return "no call of Kafka changes the replication factor of a topic" if fixed else None
    return None if isinstance(change, Create) else "`apply` deletes no topics"


def _addresses(changes: Sequence[Change]) -> dict[str, str]:
    return {change.resource.name: change.address for change in changes}


def _failures(futures: Mapping[Any, Future[Any]], addresses: Mapping[str, str], harmless: set[str]) -> Failures:
    """Return what went wrong, by address; the client names what it was asked by text or by a resource with a name."""
    failed: Failures = {}
    for key, future in futures.items():
        name = key if isinstance(key, str) else key.name
        try:
            future.result(timeout=_REQUEST_SECONDS + 1)
        except (KafkaException, TimeoutError) as error:
            if not isinstance(error, KafkaException) or error.args[0].name() not in harmless:
                failed[addresses[name]] = topic_error(name, error)
    return failed


def _not_shown(change: Change) -> ProviderError:
    name = change.resource.name
    if isinstance(change, Update):
        differing = ", ".join(f"{item.name} is {item.before}, not {item.after}" for item in change.properties)
        return ProviderError(
            f"topic `{name}`: after {_SECONDS_TO_SHOW:.0f} s {differing}", "run `backplane plan` again"
        )
    return ProviderError(f"topic `{name}`: not there {_SECONDS_TO_SHOW:.0f} s after the cluster accepted it")
