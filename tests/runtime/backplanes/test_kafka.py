"""Kafka, a real broker: records read back by an independent consumer and compared byte for byte."""

import logging
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

confluent_kafka = pytest.importorskip("confluent_kafka")

from confluent_kafka.admin import AdminClient  # noqa: E402 - needs the client
from confluent_kafka.cimpl import NewTopic  # noqa: E402

from backplane_runtime import DataPlane, Outcome  # noqa: E402
from backplane_runtime.backplanes.api import UnavailableError, Verdict  # noqa: E402
from backplane_runtime.backplanes.kafka import KafkaBackplane  # noqa: E402
from backplane_runtime.backplanes.kafka_records import key  # noqa: E402
from backplane_runtime.envelope import Envelope, encode_record  # noqa: E402
from backplane_runtime.events import EventType  # noqa: E402
from backplane_runtime.settings import Kafka, Plane  # noqa: E402
from backplane_runtime.testing import ContractOptions, check_backplane_contract, sample_records  # noqa: E402
from tests.runtime.backplanes.kafka_topics import (  # noqa: E402
    create_topics,
    free_port,
    read_all,
    settings_with_topics,
    stored,
)
from tests.servers import KafkaCluster  # noqa: E402

PATIENT = Plane(close_timeout_ms=10_000, flush_interval_ms=20)


def test_contract(kafka: KafkaCluster) -> None:
    """As every backplane; Kafka cannot tell a replay from a new record, so it reports none. Its broker crashes once."""
    settings = Kafka(
        brokers=kafka.bootstrap, topic_prefix=f"{uuid.uuid4()}-", additional_config={"message.max.bytes": 2_000_000}
    )
    names = [settings.topic_for(kind) for kind in EventType]
    wide = [NewTopic(name, 1, 1, config={"max.message.bytes": "2000000"}) for name in names]
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    for future in admin.create_topics(wide).values():
        future.result(20)

    @contextmanager
    def crashed() -> Iterator[None]:
        kafka.stop_broker(1, kill=True)
        yield
        kafka.start_broker(1)

    skipped = check_backplane_contract(
        lambda: KafkaBackplane(settings), lambda: stored(settings), ContractOptions(outage=crashed)
    )
    assert skipped == ()


def test_records_are_as_the_interface_says(kafka: KafkaCluster) -> None:
    """Topic, key, value and headers, byte for byte."""
    settings = settings_with_topics(kafka, partition_by="subjectId")
    backplane = KafkaBackplane(settings)
    backplane.start()
    records = {record.event_id: record for record in sample_records(10)}
    backplane.send(list(records.values()))
    backplane.close(5)
    messages = read_all(kafka.bootstrap, [settings.topic_for(kind) for kind in EventType])
    assert len(messages) == 10
    for message in messages:
        headers = message.headers() or []
        record = records[dict(headers)["event-id"].decode()]  # type: ignore[union-attr]  # a bytes header
        expected = [
            ("event-id", record.event_id.encode()),
            ("event-type", record.event_type.wire_name.encode()),
            ("schema-version", b"1.0.0"),
        ]
        if record.correlation_id is not None:
            expected.append(("correlation-id", record.correlation_id.encode()))
        assert headers == expected
        assert message.value() == record.envelope
        assert message.key() == (record.subject.encode() if record.subject is not None else None)
        assert message.topic() == settings.topic_for(record.event_type)


@pytest.mark.parametrize(
    ("partition_by", "expected"),
    [("experimentKey", b"e"), ("subjectId", b"s\xc3\xbc"), ("tenantId", b"t"), ("roundRobin", None)],
)
def test_keys(partition_by: Any, expected: bytes | None) -> None:
    """What `partitionBy` names, in UTF-8."""
    event = Outcome("e", subject="sü", metric="m", tenant="t")
    assert key(Kafka(brokers=("b:1",), partition_by=partition_by), encode_record(event, event)) == expected


def test_thousands_of_events_in_order(kafka: KafkaCluster) -> None:
    """Of one experiment, through many batches."""
    settings = settings_with_topics(kafka, partitions=3)
    with DataPlane(settings, plane=msgspec.structs.replace(PATIENT, max_queue_size=20_000)) as plane:
        for number in range(10_000):
            plane.outcome("e", subject=str(number), metric="m")
        assert plane.flush(30)
        assert plane.ledger().total.acknowledged == 10_000
    messages = read_all(kafka.bootstrap, [settings.topic_for(EventType.OUTCOME)])
    payloads = [
        msgspec.json.decode(msgspec.json.decode(message.value() or b"", type=Envelope).payload) for message in messages
    ]
    assert [one["subjectId"] for one in payloads] == [str(number) for number in range(10_000)]


def test_a_disabled_type_needs_no_topic(kafka: KafkaCluster) -> None:
    """Health asks for the topics of the types that are published, and for no others."""
    name = f"only-{uuid.uuid4()}"
    create_topics(kafka.bootstrap, [name])
    settings = Kafka(brokers=(kafka.bootstrap,), topic_prefix="nowhere.", topics={EventType.OUTCOME: name})
    off = Plane(
        enable_exposure_events=False,
        enable_assignment_events=False,
        enable_analysis_signals=False,
        enable_error_events=False,
    )
    with DataPlane(settings, plane=off) as plane:
        assert plane.health().healthy
    with DataPlane(settings) as plane:
        assert "nowhere.experiment-exposures" in plane.health().message


def test_a_missing_topic_is_said(kafka: KafkaCluster, caplog: pytest.LogCaptureFixture) -> None:
    """By its name, also in the log; it is not created, and the events wait until it is."""
    settings = Kafka(brokers=(kafka.bootstrap,), topic=f"missing-{uuid.uuid4()}")
    with DataPlane(settings, plane=msgspec.structs.replace(PATIENT, close_timeout_ms=20_000)) as plane:
        plane.outcome("e", subject="s", metric="m")
        assert not plane.flush(timeout=4)
        said = f"missing topics: {settings.topic}; run `backplane apply`"
        assert plane.health().message == f"kafka: {said}"
        create_topics(kafka.bootstrap, [str(settings.topic)])
        assert plane.flush(timeout=40)
        assert plane.health().healthy
        assert caplog.text.count(said) == 1
    assert len(read_all(kafka.bootstrap, [str(settings.topic)])) == 1


def test_an_old_complaint_is_no_reason_for_a_new_silence(kafka: KafkaCluster) -> None:
    """One bootstrap server of two is away, which is over as soon as the other has taken an event."""
    name = f"there-{uuid.uuid4()}"
    create_topics(kafka.bootstrap, [name])
    brokers = (f"127.0.0.1:{free_port()}", kafka.bootstrap)
    settings = Kafka(brokers=brokers, topic_prefix=f"missing-{uuid.uuid4()}-", topics={EventType.OUTCOME: name})
    backplane = KafkaBackplane(settings)
    records = {record.event_type: record for record in sample_records(5)}
    while backplane._complaints.latest is None:  # a new client asks one of the two, whichever it likes
        backplane.close(0)
        backplane.start()
        assert backplane._producer is not None
        backplane._producer.poll(0.2)
    assert backplane.send([records[EventType.OUTCOME]]) == [Verdict.ACKNOWLEDGED]
    with pytest.raises(UnavailableError, match="missing topics"):
        backplane.send([records[EventType.EXPOSURE]])
    backplane.close(1)


def test_too_large_an_event_is_rejected(kafka: KafkaCluster, caplog: pytest.LogCaptureFixture) -> None:
    """It never fits, so it must not hold up the others."""
    settings = settings_with_topics(kafka, additional_config={"message.max.bytes": 2000})
    with DataPlane(settings, plane=PATIENT) as plane:
        plane.outcome("e", subject="s" * 5000, metric="m")
        plane.outcome("e", subject="s", metric="m")
        assert plane.flush(20)
        assert (plane.ledger().total.acknowledged, plane.ledger().total.dropped) == (1, 1)
    assert "rejected an event" in caplog.text


def test_events_refused_for_their_company_are_sent_alone(kafka: KafkaCluster) -> None:
    """A topic that takes less than the client's batches refuses whole requests; only what is too large itself is lost."""
    topic = f"small-{uuid.uuid4()}"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1, config={"max.message.bytes": "20000"})])[topic].result(20)
    names = [f"e{number}" for number in range(60)]
    with DataPlane(Kafka(brokers=kafka.bootstrap, topic=topic, compression_type="none"), plane=PATIENT) as plane:
        for name in names:
            plane.outcome(name, subject="s" * 1000, metric="m")
        plane.outcome("too large", subject="s" * 30_000, metric="m")
        assert plane.flush(30)
        assert (plane.ledger().total.acknowledged, plane.ledger().total.dropped) == (60, 1)
    payloads = [msgspec.json.decode(one.value() or b"")["payload"] for one in read_all(kafka.bootstrap, [topic])]
    assert [payload["experimentName"] for payload in payloads] == names


def test_a_header_is_not_cut_off(kafka: KafkaCluster) -> None:
    """At a NUL."""
    settings = settings_with_topics(kafka)
    with DataPlane(settings, plane=PATIENT) as plane:
        plane.publish(Outcome("e", subject="s", metric="m"), correlation="a\0b")
    (message,) = read_all(kafka.bootstrap, [settings.topic_for(EventType.OUTCOME)])
    assert ("correlation-id", b"a\0b") in (message.headers() or [])


def test_health_tells_the_cause_once() -> None:
    """In the words of the client."""
    port = free_port()
    health = DataPlane(Kafka(brokers=(f"127.0.0.1:{port}",))).health(timeout=5)
    assert health.message.endswith("failed: Connection refused")
    assert health.message.count("refused") == 1


def check_nobody_answers(port: int, caplog: pytest.LogCaptureFixture) -> None:
    plane = DataPlane(Kafka(brokers=(f"127.0.0.1:{port}",)), plane=Plane(flush_interval_ms=10))
    started = time.monotonic()
    assert plane.outcome("e", subject="s", metric="m") == "queued"
    assert time.monotonic() - started < 0.5
    started = time.monotonic()
    health = plane.health(timeout=2)
    assert time.monotonic() - started < 2.5
    assert not health.healthy
    assert f"no answer from 127.0.0.1:{port}" in health.message
    assert not plane.flush(timeout=2.5)
    assert plane.ledger().total.spooled == 1
    started = time.monotonic()
    plane.close()
    assert time.monotonic() - started < 2
    assert plane.ledger().total.spooled == 1
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) <= 3


def test_broker_down(caplog: pytest.LogCaptureFixture) -> None:
    """Events wait; health explains within its time; close does not."""
    check_nobody_answers(free_port(), caplog)


def test_a_port_that_is_not_kafka(caplog: pytest.LogCaptureFixture) -> None:
    """It accepts, says something else, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        check_nobody_answers(server.getsockname()[1], caplog)
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_settings_that_the_client_refuses_are_said() -> None:
    """As health and as the reason why events wait; a password among them is not."""
    settings = Kafka(brokers=("127.0.0.1:1",), additional_config={"no.such.thing": 1, "sasl.password": "s3cret"})
    plane = DataPlane(settings, plane=Plane(flush_interval_ms=1, close_timeout_ms=10))
    plane.outcome("e", subject="s", metric="m")
    plane.flush(timeout=0.3)
    health = plane.health(timeout=1)
    plane.close()
    assert 'No such configuration property: "no.such.thing"' in str(health)
    assert "s3cret" not in str(health)


def test_a_broker_that_comes_back(kafka: KafkaCluster) -> None:
    """What was published meanwhile arrives once, in order."""
    settings = settings_with_topics(kafka)
    with DataPlane(settings, plane=msgspec.structs.replace(PATIENT, close_timeout_ms=30_000)) as plane:
        plane.outcome("before", subject="s", metric="m")
        assert plane.flush(20)
        kafka.stop_broker(1)
        try:
            for number in range(50):
                plane.outcome(f"e{number}", subject="s", metric="m")
            assert not plane.flush(timeout=3)
            assert plane.ledger().total.spooled == 50
        finally:
            kafka.start_broker(1)
        assert plane.flush(timeout=60)
        assert plane.ledger().total.acknowledged == 51
    payloads = [msgspec.json.decode(one.payload) for one in stored(settings)]
    assert [one["experimentName"] for one in payloads] == ["before", *(f"e{number}" for number in range(50))]
