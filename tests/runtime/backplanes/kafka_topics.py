"""Topics of one test's own, and their records read back by an independent consumer."""

import socket
import time
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from backplane_runtime.envelope import Envelope
from backplane_runtime.events import EventType
from backplane_runtime.settings import Kafka
from backplane_runtime.testing import StoredEvent
from tests.servers import KafkaCluster

_LEADERLESS = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)


def create_topics(bootstrap: str, names: Sequence[str], partitions: int = 1) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    futures = admin.create_topics([NewTopic(name, partitions, 1) for name in names])
    for future in futures.values():
        future.result(20)
    deadline = time.monotonic() + 30
    while not all(_has_leaders(admin, name) for name in names):  # the broker answers before all of it is there
        assert time.monotonic() < deadline, f"no leaders for {names}"
        time.sleep(0.02)


def _has_leaders(admin: AdminClient, name: str) -> bool:
    topic = admin.list_topics(name, timeout=10).topics[name]
    return topic.error is None and all(one.leader >= 0 and one.error is None for one in topic.partitions.values())


def settings_with_topics(kafka: KafkaCluster, partitions: int = 1, **options: Any) -> Kafka:
    settings = Kafka(brokers=(kafka.bootstrap,), topic_prefix=f"{uuid.uuid4()}-", **options)
    create_topics(kafka.bootstrap, [settings.topic_for(kind) for kind in EventType], partitions)
    return settings


def read_all(bootstrap: str, topics: Sequence[str]) -> list[Message]:
    """Return every record of *topics*, partition by partition, up to the ends as they are now."""
    settings = {"bootstrap.servers": bootstrap, "group.id": str(uuid.uuid4()), "enable.auto.commit": False}
    consumer = Consumer(settings | {"fetch.wait.max.ms": 10})
    places = [
        TopicPartition(topic, partition, 0)
        for topic in topics
        for partition in sorted(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
    ]
    ends = [end_of(consumer, place) for place in places]
    left = {(place.topic, place.partition): end for place, end in zip(places, ends, strict=True) if end}
    consumer.assign([TopicPartition(*place, 0) for place in left])
    found: list[Message] = []
    while left:
        message = consumer.poll(10)
        assert message is not None
        assert message.error() is None
        found.append(message)
        place = (str(message.topic()), message.partition() or 0)
        if (message.offset() or 0) >= left.get(place, 0) - 1:
            left.pop(place, None)
    consumer.close()
    order = {(place.topic, place.partition): number for number, place in enumerate(places)}
    found.sort(key=lambda one: (order[str(one.topic()), one.partition() or 0], one.offset() or 0))
    return [one for one in found if (one.offset() or 0) < ends[order[str(one.topic()), one.partition() or 0]]]


def end_of(consumer: Consumer, place: TopicPartition) -> int:
    """Return the end of a partition as soon as it has a leader: one that was just made has none for a moment."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return int(consumer.get_watermark_offsets(place, timeout=10)[1])
        except KafkaException as error:
            if error.args[0].code() not in _LEADERLESS or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def stored(settings: Kafka) -> list[StoredEvent]:
    envelopes = [
        msgspec.json.decode(message.value() or b"", type=Envelope)
        for message in read_all(settings.brokers[0], [settings.topic_for(kind) for kind in EventType])
    ]
    return [StoredEvent(one.event_id, one.event_type, bytes(one.payload)) for one in envelopes]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
