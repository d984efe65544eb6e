"""Kafka, a real broker: what stays in order and what is stored twice when the client is lost, or its host."""

import time
import uuid

import msgspec
import pytest

pytest.importorskip("confluent_kafka")

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from backplane_runtime.backplanes.api import UnavailableError, Verdict
from backplane_runtime.backplanes.kafka import KafkaBackplane
from backplane_runtime.envelope import Record, encode_record
from backplane_runtime.events import Outcome
from backplane_runtime.settings import Kafka
from tests.runtime.backplanes.kafka_topics import create_topics, read_all
from tests.servers import KafkaCluster
from tests.servers.kafka_batches import continued, last_batch
from tests.servers.kafka_protocol import produce_batch


def outcomes(first: int, last: int) -> list[Record]:
    events = [Outcome("e", subject=f"s{number}", metric="m") for number in range(first, last)]
    return [encode_record(event, event) for event in events]


def send_all(backplane: KafkaBackplane, records: list[Record]) -> list[str]:
    """Send as a lane does, until all is acknowledged; return why it had to be done again."""
    reasons: list[str] = []
    deadline = time.monotonic() + 30
    while records:
        assert time.monotonic() < deadline, reasons
        try:
            verdicts = backplane.send(records)
        except UnavailableError as error:
            reasons.append(str(error))
            continue
        records = [record for record, verdict in zip(records, verdicts, strict=True) if verdict is Verdict.RETRY]
    return reasons


def ids_in(settings: Kafka) -> list[str]:
    """Return the ids in the topic as somebody sees them who reads each only once."""
    messages = read_all(settings.brokers[0], [str(settings.topic)])
    return list(dict.fromkeys(dict(message.headers() or [])["event-id"].decode() for message in messages))  # type: ignore[union-attr]  # a bytes header


@pytest.mark.parametrize("batch", [2, 10_000])
def test_a_fatal_error_makes_a_new_client(kafka: KafkaCluster, batch: int) -> None:
    """The broker refuses this producer for ever, with up to five requests under way; the next one goes on in order.

    Somebody else has written under its number, so its own next request is out of order: the real thing, not an injection.
    """
    topic = f"fatal-{uuid.uuid4()}"
    create_topics(kafka.bootstrap, [topic])
    settings = Kafka(brokers=kafka.bootstrap, topic=topic, additional_config={"batch.num.messages": batch})
    backplane = KafkaBackplane(settings)
    records = outcomes(0, 60)
    for part in (records[:9], records[9:10]):
        assert set(backplane.send(part)) == {Verdict.ACKNOWLEDGED}
    producer = backplane._producer
    segment = kafka.segment(1, topic)
    assert produce_batch(kafka.nodes[0].port, topic, continued(last_batch(segment))) == 0
    reasons = send_all(backplane, records[10:])
    assert len(reasons) == 1
    assert "sequence desynchronization" in reasons[0]
    assert backplane._producer is not producer
    backplane.close(5)
    assert ids_in(settings) == [record.event_id for record in records]


def test_order_where_whole_requests_are_refused(kafka: KafkaCluster) -> None:
    """More than one request's worth for a topic that takes less than one: sent alone, and in order all the same."""
    topic = f"narrow-{uuid.uuid4()}"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1, config={"max.message.bytes": "100000"})])[topic].result(20)
    settings = Kafka(brokers=kafka.bootstrap, topic=topic, compression_type="none")
    events = [Outcome("e", subject=f"{number}", metric="m" * 9000) for number in range(300)]
    records = [encode_record(event, event) for event in events]
    backplane = KafkaBackplane(settings)
    send_all(backplane, records)
    backplane.close(5)
    assert [message.value() for message in read_all(kafka.bootstrap, [topic])] == [one.envelope for one in records]


def test_a_replay_shows_as_the_same_id(kafka: KafkaCluster) -> None:
    """Published, crashed before the acknowledgement was noted, replayed: two records of one id, one row in a view by id."""
    topic = f"replayed-{uuid.uuid4()}"
    create_topics(kafka.bootstrap, [topic], partitions=3)
    settings = Kafka(brokers=kafka.bootstrap, topic=topic, partition_by="subjectId")
    records = outcomes(0, 20)
    for _ in ("before the crash", "after it", "by hand"):
        backplane = KafkaBackplane(settings)
        assert backplane.send(records) == [Verdict.ACKNOWLEDGED] * 20  # it cannot know, and does not pretend to
        backplane.close(5)
    messages = read_all(kafka.bootstrap, [topic])
    assert len(messages) == 60
    view = {dict(message.headers() or [])["event-id"]: message.value() for message in messages}
    assert view == {record.event_id.encode(): record.envelope for record in records}
    assert all(msgspec.json.decode(value or b"")["eventId"].encode() == key for key, value in view.items())


def test_a_record_under_way_is_not_produced_twice(kafka: KafkaCluster) -> None:
    """The broker stands still; the same records, handed over again and again, arrive once and in order, later ones last."""
    topic = f"still-{uuid.uuid4()}"
    create_topics(kafka.bootstrap, [topic])
    settings = Kafka(brokers=kafka.bootstrap, topic=topic)
    backplane = KafkaBackplane(settings)
    records = outcomes(0, 30)
    assert set(backplane.send(records[:10])) == {Verdict.ACKNOWLEDGED}
    kafka.stop_broker(1, kill=True)
    try:
        for end in (15, 20, 20):
            with pytest.raises(UnavailableError):
                backplane.send(records[10:end])
    finally:
        kafka.start_broker(1)
    send_all(backplane, records[10:])
    backplane.close(5)
    found = read_all(kafka.bootstrap, [topic])
    assert [message.value() for message in found] == [record.envelope for record in records]


def test_what_was_given_up_while_it_was_under_way_is_forgotten(kafka: KafkaCluster) -> None:
    """In a composite a backplane that is far behind gives up events: memory must not grow by their reports."""
    topic = f"given-up-{uuid.uuid4()}"
    create_topics(kafka.bootstrap, [topic])
    backplane = KafkaBackplane(Kafka(brokers=kafka.bootstrap, topic=topic))
    records = outcomes(0, 30)
    assert set(backplane.send(records[:10])) == {Verdict.ACKNOWLEDGED}
    kafka.stop_broker(1, kill=True)
    try:
        with pytest.raises(UnavailableError):
            backplane.send(records[10:20])
    finally:
        kafka.start_broker(1)
    send_all(backplane, records[20:])
    assert (backplane._reports, backplane._under_way) == ({}, set())
    backplane.close(5)
