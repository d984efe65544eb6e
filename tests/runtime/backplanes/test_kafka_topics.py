"""Kafka's topics, a real broker: partitions in turn, a topic that is missing, settings that reach the client."""

import time
import uuid
import zlib
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

pytest.importorskip("confluent_kafka")

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from backplane_runtime.backplanes.api import UnavailableError, Verdict
from backplane_runtime.backplanes.kafka import BLOCKED_SECONDS, KafkaBackplane
from backplane_runtime.backplanes.kafka_records import COUNT_SECONDS
from backplane_runtime.envelope import Record, encode_record
from backplane_runtime.events import EventType, Outcome
from backplane_runtime.settings import Kafka
from backplane_runtime.testing import sample_records
from tests.runtime.backplanes.kafka_topics import create_topics, read_all, settings_with_topics
from tests.servers import KafkaCluster


def outcomes(count: int, experiment: str = "e") -> list[Record]:
    events = [Outcome(experiment, subject=f"s{number}", metric="m") for number in range(count)]
    return [encode_record(event, event) for event in events]


def partitions_of(settings: Kafka) -> Counter[int | None]:
    return Counter(message.partition() for message in read_all(settings.brokers[0], [str(settings.topic)]))


@pytest.mark.parametrize("size", [1, 7, 100])
def test_round_robin_is_even(kafka: KafkaCluster, size: int) -> None:
    """The counts of any two partitions differ by one at most, whatever the batches, for each topic by itself."""
    settings = Kafka(brokers=kafka.bootstrap, topic=f"even-{uuid.uuid4()}", partition_by="roundRobin")
    create_topics(kafka.bootstrap, [str(settings.topic)], partitions=7)
    records = outcomes(200 if size > 1 else 30)
    backplane = KafkaBackplane(settings)
    for start in range(0, len(records), size):
        part = records[start : start + size]
        assert backplane.send(part) == [Verdict.ACKNOWLEDGED] * len(part)
        counts = partitions_of(settings) if size > 1 or start == len(records) - 1 else Counter(range(7))
        spread = [counts[partition] for partition in range(7)]
        assert max(spread) - min(spread) <= 1, spread
    backplane.close(1)
    assert sum(partitions_of(settings).values()) == len(records)


def test_round_robin_takes_turns(kafka: KafkaCluster) -> None:
    """Each record goes to the partition after that of the one before; a topic does not step for another one's records."""
    settings = settings_with_topics(kafka, partitions=3, partition_by="roundRobin")
    records = sample_records(30)
    backplane = KafkaBackplane(settings)
    backplane.send(records)
    backplane.close(1)
    found = {
        dict(message.headers() or [])["event-id"]: message.partition()
        for message in read_all(kafka.bootstrap, [settings.topic_for(kind) for kind in EventType])
    }
    for kind in EventType:
        partitions = [found[record.event_id.encode()] for record in records if record.event_type is kind]
        assert all((first or 0) + 1 == (second or 3) for first, second in pairwise(partitions)), partitions


def test_round_robin_finds_partitions_that_were_added(kafka: KafkaCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a new client, as soon as the count is asked for again."""
    monkeypatch.setattr("backplane_runtime.backplanes.kafka_records.COUNT_SECONDS", 0.2)
    assert COUNT_SECONDS <= 30  # what it is outside of this test
    settings = Kafka(brokers=kafka.bootstrap, topic=f"growing-{uuid.uuid4()}", partition_by="roundRobin")
    create_topics(kafka.bootstrap, [str(settings.topic)], partitions=2)
    backplane = KafkaBackplane(settings)
    backplane.send(outcomes(10))
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_partitions([NewPartitions(str(settings.topic), 5)])[str(settings.topic)].result(10)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and len(partitions_of(settings)) < 5:
        assert set(backplane.send(outcomes(5))) == {Verdict.ACKNOWLEDGED}
    before = partitions_of(settings)
    assert set(before) == {0, 1, 2, 3, 4}
    assert set(backplane.send(outcomes(50))) == {Verdict.ACKNOWLEDGED}
    assert {partitions_of(settings)[partition] - before[partition] for partition in range(5)} == {10}
    backplane.close(1)


def test_a_missing_topic_holds_up_no_other(kafka: KafkaCluster) -> None:
    """The others' events are acknowledged, its own come back at once with the reason, and go when it is there."""
    settings = Kafka(brokers=kafka.bootstrap, topic_prefix=f"{uuid.uuid4()}-")
    missing = settings.topic_for(EventType.ERROR)
    create_topics(kafka.bootstrap, [settings.topic_for(kind) for kind in EventType if kind is not EventType.ERROR])
    backplane = KafkaBackplane(settings)
    for attempt in range(20):
        records = sample_records(10)
        started = time.monotonic()
        verdicts = backplane.send(records)
        assert attempt == 0 or time.monotonic() - started < 1
        for record, verdict in zip(records, verdicts, strict=True):
            assert verdict is (Verdict.RETRY if record.event_type is EventType.ERROR else Verdict.ACKNOWLEDGED)
        assert backplane.last_error == f"missing topics: {missing}; run `backplane apply`"
    waiting = [record for record in sample_records(10) if record.event_type is EventType.ERROR]
    started = time.monotonic()
    with pytest.raises(UnavailableError, match="missing topics: "):
        backplane.send(waiting)
    assert time.monotonic() - started < 1
    create_topics(kafka.bootstrap, [missing])
    verdicts = eventually_sent(backplane, waiting)
    assert (verdicts, backplane.last_error) == ([Verdict.ACKNOWLEDGED] * 2, None)
    backplane.close(1)
    assert [message.value() for message in read_all(kafka.bootstrap, [missing])] == [one.envelope for one in waiting]


def eventually_sent(backplane: KafkaBackplane, records: list[Record]) -> Any:
    deadline = time.monotonic() + BLOCKED_SECONDS + 10
    while True:
        try:
            return backplane.send(records)
        except UnavailableError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def eventually_refused(backplane: KafkaBackplane) -> str:
    """Send until the client has noticed that the topic is gone, and return what is said then."""
    said, deadline = "", time.monotonic() + 20
    while "missing" not in said and time.monotonic() < deadline:
        try:
            backplane.send(outcomes(1))
        except UnavailableError as error:
            said = str(error)
            time.sleep(0.05)
    return said


@pytest.mark.parametrize("partition_by", ["experimentKey", "roundRobin"])
def test_a_topic_that_is_deleted_and_made_again(kafka: KafkaCluster, partition_by: Any) -> None:
    """With fewer partitions, too; nothing needs a new client."""
    settings = Kafka(brokers=kafka.bootstrap, topic=f"again-{uuid.uuid4()}", partition_by=partition_by)
    topic = str(settings.topic)
    create_topics(kafka.bootstrap, [topic], partitions=5)
    backplane = KafkaBackplane(settings)
    assert set(backplane.send(outcomes(10))) == {Verdict.ACKNOWLEDGED}
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.delete_topics([topic])[topic].result(10)
    records = outcomes(10)
    assert eventually_refused(backplane) == f"missing topics: {topic}; run `backplane apply`"
    create_topics(kafka.bootstrap, [topic], partitions=2)
    left, deadline = records, time.monotonic() + 30
    while left and time.monotonic() < deadline:
        verdicts = eventually_sent(backplane, left)
        left = [record for record, verdict in zip(left, verdicts, strict=True) if verdict is Verdict.RETRY]
    backplane.close(1)
    found = [message.value() for message in read_all(kafka.bootstrap, [topic])]
    assert {record.envelope for record in records} <= set(found)
    assert len(found) == len(set(found))


def test_additional_config_reaches_the_client(kafka: KafkaCluster) -> None:
    """A key goes where a Java client would put it, and not where our default would."""
    java = settings_with_topics(kafka, partitions=7, additional_config={"partitioner": "murmur2_random"})
    ours = settings_with_topics(kafka, partitions=7)
    places = []
    for settings in (java, ours):
        backplane = KafkaBackplane(settings)
        assert backplane.send(outcomes(1, "checkout-button")) == [Verdict.ACKNOWLEDGED]
        backplane.close(1)
        (message,) = read_all(kafka.bootstrap, [settings.topic_for(EventType.OUTCOME)])
        places.append(message.partition())
    assert places == [murmur2(b"checkout-button") % 7, zlib.crc32(b"checkout-button") % 7]
    assert places[0] != places[1]


def murmur2(data: bytes) -> int:
    """Return what `org.apache.kafka.common.utils.Utils.murmur2` does, made positive as its partitioner makes it."""
    seed, mixer, mask = 0x9747B28C, 0x5BD1E995, 0xFFFFFFFF
    value = (seed ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        part = int.from_bytes(data[at : at + 4], "little") * mixer & mask
        value = value * mixer & mask ^ ((part ^ part >> 24) * mixer & mask)
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * mixer & mask
    value = (value ^ value >> 13) * mixer & mask
    return (value ^ value >> 15) & 0x7FFFFFFF


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"buffer.memory": 33}, 'No such configuration property: "buffer.memory"; what `additionalConfig` may hold'),
        ({"batch.size": "much"}, 'Invalid value for configuration property "batch.size"'),
        ({"enable.idempotence": True, "acks": 1}, "`acks` must be set to `all` when `enable.idempotence` is true"),
    ],
)
def test_additional_config_that_the_client_does_not_know(config: dict[str, Any], said: str) -> None:
    """Health and `start` name it; nothing is asked of any server."""
    backplane = KafkaBackplane(Kafka(brokers="127.0.0.1:1", additional_config=config))
    with pytest.raises(UnavailableError) as caught:
        backplane.start()
    assert str(caught.value).startswith("the Kafka client refuses its settings: ")
    assert said in str(caught.value)
