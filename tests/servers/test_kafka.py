"""The Kafka that tests get is a real one, and can lose brokers and get them back."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.servers import KafkaCluster
from tests.servers.kafka_protocol import listed_topics


def _admin(cluster: KafkaCluster) -> AdminClient:
    return AdminClient({"bootstrap.servers": cluster.bootstrap})


def test_one_broker_answers_a_client(kafka: KafkaCluster) -> None:
    """An independent client sees one broker."""
    assert set(_admin(kafka).list_topics(timeout=10).brokers) == {1}


def test_unknown_topics_are_not_created(kafka: KafkaCluster) -> None:
    """A typing error in a topic's name is an error, as on any broker worth testing against."""
    outcomes: list[KafkaError | None] = []
    # Without the second setting the client hopes for half a minute that the topic will appear.
    settings = {"bootstrap.servers": kafka.bootstrap, "topic.metadata.propagation.max.ms": 1}
    producer = Producer(settings)
    producer.produce("no-such-topic", b"x", on_delivery=lambda error, _: outcomes.append(error))
    producer.flush(20)
    assert [error and error.name() for error in outcomes] == ["UNKNOWN_TOPIC_OR_PART"]
    assert "no-such-topic" not in _admin(kafka).list_topics(timeout=10).topics


def test_one_broker_refuses_two_replicas(kafka: KafkaCluster) -> None:
    """Replication is checked against the brokers that there are."""
    admin = _admin(kafka)
    future = admin.create_topics([NewTopic("replicated", 1, 2)])["replicated"]
    with pytest.raises(KafkaException, match="INVALID_REPLICATION_FACTOR"):
        future.result(10)


def test_three_brokers_in_three_racks(kafka_cluster: KafkaCluster) -> None:
    """Every broker lists all three, each in a rack of its own."""
    for node in kafka_cluster.nodes:
        assert [(each.id, each.rack) for each in kafka_cluster.listed_by(node.port)] == [
            (1, "r1"),
            (2, "r2"),
            (3, "r3"),
        ]
    assert set(_admin(kafka_cluster).list_topics(timeout=10).brokers) == {1, 2, 3}


def test_all_brokers_list_a_topic(kafka_cluster: KafkaCluster) -> None:
    """Waiting for all brokers ends when each lists the topic, and lists what a client lists."""
    admin = _admin(kafka_cluster)
    admin.create_topics([NewTopic("seen-by-all", 3, 2)])["seen-by-all"].result(10)
    kafka_cluster.wait_until_all_list({"seen-by-all"})
    listed = [listed_topics(node.port) for node in kafka_cluster.nodes]
    assert listed == [admin.list_topics(timeout=10).topics.keys()] * 3


@pytest.mark.parametrize("kill", [False, True])
def test_a_broker_goes_and_comes_back(kafka_cluster: KafkaCluster, *, kill: bool) -> None:
    """A stopped broker is listed by nobody; started again, by all, on its old address."""
    before = kafka_cluster.bootstrap
    kafka_cluster.stop_broker(2, kill=kill)
    try:
        assert kafka_cluster.running_brokers == {1, 3}
        assert {each.id for each in kafka_cluster.listed_by(kafka_cluster.nodes[0].port)} == {1, 3}
    finally:
        kafka_cluster.start_broker(2)
    assert kafka_cluster.running_brokers == {1, 2, 3}
    assert kafka_cluster.bootstrap == before


def test_the_tools_run_as_scripts_call_them(kafka: KafkaCluster) -> None:
    """A script with Kafka's tools on PATH creates a topic, changes it and reads it back, and hears no noise."""
    run = _runner(kafka.tools())
    address = ("--bootstrap-server", kafka.bootstrap)
    run(
        "kafka-topics.sh",
        *address,
        "--create",
        "--topic",
        "by-tool",
        "--partitions",
        "2",
        "--config",
        "retention.ms=1000",
    )
    topic = ("--entity-type", "topics", "--entity-name", "by-tool")
    run("kafka-configs.sh", *address, "--alter", *topic, "--add-config", "retention.ms=2000")
    done = run("kafka-configs.sh", *address, "--describe", *topic)
    assert "retention.ms=2000" in done.stdout
    assert done.stderr == ""


def _runner(tools: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    environment = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}

    def run(*command: str) -> "subprocess.CompletedProcess[str]":
        # Through `env`, because Python looks a program up in its own PATH.
        return subprocess.run(
            ["env", *command], env=environment, capture_output=True, text=True, check=True, timeout=60
        )

    return run
