"""An event as a Kafka record: its key, its headers, and for `roundRobin` its partition."""

from __future__ import annotations

import random
import time

from confluent_kafka import KafkaException, Producer

from backplane_runtime.envelope import Record
from backplane_runtime.settings import Kafka

COUNT_SECONDS = 10.0  # how long a topic's number of partitions is believed


def key(settings: Kafka, record: Record) -> bytes | None:
    """Return the key of *record*; none where its event has no such field, or for `roundRobin`."""
    values = {"experimentKey": record.experiment, "subjectId": record.subject, "tenantId": record.tenant}
    value = values.get(settings.partition_by)
    return None if value is None else value.encode()


def headers(record: Record) -> list[tuple[str, str | bytes | None]]:
    """Return the headers of *record*: id, type, version, and the correlation id where there is one."""
    found: list[tuple[str, str | bytes | None]] = [
        ("event-id", record.event_id),
        ("event-type", record.event_type.wire_name),
        ("schema-version", record.schema_version),
    ]
    if record.correlation_id is not None:
        found.append(("correlation-id", record.correlation_id.encode()))  # the client cuts text off at a NUL
    return found


class RoundRobin:
    """Deals the records of each topic over its partitions in turn, also those that are added while it works.

    librdkafka has no such partitioner: `random` is uneven, and without a key it sticks to one partition for a while.
    """

    def __init__(self) -> None:
        self._latest: dict[str, int] = {}
        self._counts: dict[str, tuple[int, float]] = {}  # partitions of a topic, and until when that is believed

    def next_of(self, topic: str) -> int:
        """Return the partition after that of the topic's latest record; its number of partitions must be known."""
        count, _ = self._counts[topic]
        # A chance start: else partition 0 would get the first record of each of many short-lived processes.
        latest = self._latest.get(topic, random.randrange(count))  # noqa: S311 - spreads load, guards nothing
        self._latest[topic] = (latest + 1) % count
        return self._latest[topic]

    def learn(self, producer: Producer, topic: str, timeout: float) -> bool:
        """Ask for the number of partitions unless it is known; say whether the topic is there.

        Raises:
            KafkaException: if nobody answers within *timeout* seconds and it was never known.
        """
        count, until = self._counts.get(topic, (0, 0.0))
        if time.monotonic() < until:
            return True
        try:
            found = producer.list_topics(topic, timeout).topics[topic]
        except KafkaException:
            if not count:
                raise
            return True  # the client keeps what it is given until somebody answers
        if found.error is not None:
            self.forget(topic)
            return False
        self._counts[topic] = (len(found.partitions), time.monotonic() + COUNT_SECONDS)
        return True

    def forget(self, topic: str) -> None:
        """Ask again before the next record: the topic is not what it was."""
        self._counts.pop(topic, None)
