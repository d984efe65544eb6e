"""Kafka on a real broker: create, see what somebody changed by hand, mend it, and say why it cannot be reached."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Mapping

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)

from backplane_compiler.apply import ApplyOptions
from backplane_compiler.apply_report import Event, StepStarted
from backplane_compiler.infra.kafka import KEYED
from backplane_compiler.infra.state import Property, Resource, Value
from backplane_compiler.plan import Create, plan_text, summary
from backplane_compiler.providers.api import ProviderError
from backplane_compiler.providers.kafka_connection import admin_config
from backplane_compiler.providers.registry import open_provider
from backplane_runtime.settings import Kafka, KafkaSecurity
from backplane_runtime.settings.kafka_client import connection_config
from tests.compiler.providers.live import KINDS, Live
from tests.servers import KafkaCluster

WEEK = 604_800_000


@pytest.fixture
def live(kafka: KafkaCluster) -> Live:
    return Live("kafka", Kafka(brokers=("${env:BROKER_OF_TEST}",)), {"BROKER_OF_TEST": kafka.bootstrap})


@pytest.fixture
def prefix() -> str:
    return f"p{uuid.uuid4().hex[:8]}."


def topic(name: str, values: Mapping[str, Value] | None = None, *, keyed: bool = True) -> Resource:
    wanted: dict[str, Value] = {
        "partitions": 2,
        "replicationFactor": 1,
        "retention.ms": WEEK,
        "cleanup.policy": ("delete",),
        "min.insync.replicas": 1,
        **(values or {}),
    }
    return Resource(
        address=f"kafka.topic.{name}",
        kind="kafka.topic",
        name=name,
        properties={key: Property(value) for key, value in wanted.items()},
        traits=frozenset({KEYED} if keyed else ()),
    )


def admin(kafka: KafkaCluster) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.bootstrap})


def set_config(kafka: KafkaCluster, name: str, key: str, value: str) -> None:
    entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
    client = admin(kafka)  # held: a client that nobody holds is torn down under its own requests
    for future in client.incremental_alter_configs([resource]).values():
        future.result(10)


def add_partitions(kafka: KafkaCluster, name: str, count: int) -> None:
    client = admin(kafka)
    for future in client.create_partitions([NewPartitions(name, count)]).values():
        future.result(10)


def test_after_apply_the_plan_is_empty(live: Live, kafka: KafkaCluster, prefix: str) -> None:
    wanted = [
        topic(prefix + "plain"),
        topic(prefix + "every-type", {
            "partitions": 5,
            "retention.ms": -1,
            "retention.bytes": 1 << 40,
            "cleanup.policy": ("compact", "delete"),
            "min.cleanable.dirty.ratio": 0.25,
            "unclean.leader.election.enable": True,
            "compression.type": "zstd",
        }),
    ]  # fmt: skip
    plan = live.plan(wanted)
    assert summary(plan) == "2 to create"
    assert live.apply(plan).succeeded
    again = live.plan(wanted)
    assert again.is_empty, plan_text(again, KINDS)
    assert again.targets[0].description.endswith(", 1 broker")
    assert live.apply(plan).succeeded  # the same plan once more: everything is done already


def test_drift_is_seen_and_mended(live: Live, kafka: KafkaCluster, prefix: str) -> None:
    """Somebody changes retention and another config by hand, and sets one that the document does not mention."""
    name = prefix + "drift"
    wanted = [topic(name, {"max.message.bytes": 1 << 20})]
    live.apply(live.plan(wanted))
    set_config(kafka, name, "retention.ms", "3600000")
    set_config(kafka, name, "max.message.bytes", "2097152")
    set_config(kafka, name, "flush.messages", "7")
    assert live.drift(wanted) == [
        f"kafka.topic.{name}: max.message.bytes is 2 MiB, the document says 1 MiB",
        f"kafka.topic.{name}: retention.ms is 1h, the document says 7d",
    ]
    plan = live.plan(wanted)
    assert summary(plan) == "1 to update"
    assert [(each.name, each.value) for each in plan.targets[0].unmanaged] == [("flush.messages", 7)]
    assert live.apply(plan).succeeded
    again = live.plan(wanted)
    assert again.is_empty
    assert [each.name for each in again.targets[0].unmanaged] == ["flush.messages"]


def test_a_default_of_the_broker_is_no_drift(live: Live, kafka: KafkaCluster, prefix: str) -> None:
    """A topic that somebody made without configs has what the document wants as the broker's defaults."""
    name = prefix + "defaults"
    bare = Resource(
        address=f"kafka.topic.{name}",
        kind="kafka.topic",
        name=name,
        properties={"partitions": Property(2), "replicationFactor": Property(1)},
    )
    live.apply(live.plan([bare]))
    plan = live.plan([topic(name)])
    assert plan.is_empty
    assert plan.targets[0].unmanaged == ()


def test_partitions_go_up_only_and_only_with_a_word(live: Live, kafka: KafkaCluster, prefix: str) -> None:
    name = prefix + "partitions"
    live.apply(live.plan([topic(name)]))
    wanted = [topic(name, {"partitions": 6, "retention.ms": WEEK + 1})]
    assert live.plan(wanted).is_blocked
    plan = live.plan(wanted, f"ordering:kafka.topic.{name}")
    assert live.apply(plan).succeeded
    assert live.plan(wanted).is_empty
    assert live.plan([topic(name)], f"data-loss:kafka.topic.{name}").is_blocked
    assert live.drift([topic(name, {"retention.ms": WEEK + 1})]) == [
        f"kafka.topic.{name}: partitions is 6, the document says 2"
    ]
    assert not live.plan([topic(name, {"partitions": 7, "retention.ms": WEEK + 1}, keyed=False)]).is_blocked


def test_a_half_done_update_is_finished_by_the_same_plan(live: Live, kafka: KafkaCluster, prefix: str) -> None:
    """As after SIGKILL between the two calls that one step makes."""
    name = prefix + "half"
    live.apply(live.plan([topic(name)]))
    wanted = [topic(name, {"partitions": 4, "retention.ms": WEEK + 1}, keyed=False)]
    plan = live.plan(wanted)
    add_partitions(kafka, name, 4)
    wait_for_partitions(kafka, name, 4)
    assert live.apply(plan).succeeded
    assert live.plan(wanted).is_empty


def wait_for_partitions(kafka: KafkaCluster, name: str, count: int) -> None:
    deadline = time.monotonic() + 10
    while len(admin(kafka).list_topics(name, timeout=5).topics[name].partitions) != count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_replication_is_measured_and_never_changed(live: Live, prefix: str) -> None:
    name = prefix + "replicas"
    live.apply(live.plan([topic(name)]))
    wanted = [topic(name, {"replicationFactor": 3})]
    assert live.drift(wanted) == [f"kafka.topic.{name}: replicationFactor is 1, the document says 3"]
    assert live.plan(wanted).is_blocked


def test_a_partial_failure_names_the_topic(live: Live, prefix: str) -> None:
    good, bad, worse = prefix + "good", prefix + "bad", prefix + "worse"
    wanted = [topic(good), topic(bad, {"replicationFactor": 5}), topic(worse, {"retention.ms": -7})]
    report = live.apply(live.plan(wanted))
    reasons = {result.address.rpartition(".")[2]: result.reason for result in report.results}
    assert reasons["good"] is None
    assert f"topic `{bad}`: " in str(reasons["bad"])
    assert "INVALID_REPLICATION_FACTOR" in str(reasons["bad"])
    assert "INVALID_CONFIG" in str(reasons["worse"])
    assert live.plan([topic(good)]).is_empty


def test_a_topic_that_exists_with_another_shape_is_no_success(
    live: Live, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backplane_compiler.providers.kafka._SECONDS_TO_SHOW", 0.2)
    name = prefix + "shape"
    live.apply(live.plan([topic(name)]))
    provider = open_provider("kafka", live.settings, live.environment)
    assert provider.apply([Create(topic(name))]) == {}
    failed = provider.apply([Create(topic(name, {"partitions": 3}))])
    assert "partitions is 2, not 3" in str(failed[f"kafka.topic.{name}"])
    provider.close()
    provider.close()


def test_a_hundred_topics(live: Live, prefix: str) -> None:
    wanted = [topic(f"{prefix}{number}") for number in range(100)]
    assert live.apply(live.plan(wanted)).succeeded
    assert live.plan(wanted).is_empty


def test_what_the_client_library_refuses_is_one_failed_step(live: Live, prefix: str) -> None:
    """A plan file may hold more than a document compiles to; librdkafka's Python half raises `ValueError` for it."""
    report = live.apply(live.plan([topic(prefix + "good"), topic(prefix + "huge", {"partitions": 100_001})]))
    assert [result.reason for result in report.results] == [
        None,
        f"topic `{prefix}huge`: the client creates at most 100000 partitions at once",
    ]


def test_an_error_moves_no_terminal(live: Live, prefix: str) -> None:
    with pytest.raises(ProviderError, match=r"e\\x1b\[2J`"):
        live.plan([topic(f"{prefix}e\x1b[2J")])


# A stopped broker is fenced at once, a killed one after 9 seconds; until then it is waited for.
@pytest.mark.timeout(180)
def test_a_plan_is_empty_whichever_broker_answers(kafka_cluster: KafkaCluster, prefix: str) -> None:
    """Each broker follows the controller at its own pace: `apply` waits for all, also while one is down."""
    brokers = kafka_cluster.bootstrap.split(",")
    every = Live("kafka", Kafka(brokers=tuple(brokers)))
    shape = {"replicationFactor": 3, "min.insync.replicas": 2}

    def rounds(name: str, running: list[str]) -> None:
        for number in range(3):
            wanted = [topic(f"{prefix}{name}.{number}.{at}", shape) for at in range(10)]
            report = every.apply(every.plan(wanted))
            assert report.succeeded, report
            for broker in running:
                assert Live("kafka", Kafka(brokers=(broker,))).plan(wanted).is_empty

    rounds("three", brokers)
    kafka_cluster.stop_broker(2, kill=True)
    try:
        rounds("two", [brokers[0], brokers[2]])
    finally:
        kafka_cluster.start_broker(2)


def test_apply_goes_on_when_a_broker_goes_away(kafka_cluster: KafkaCluster, prefix: str) -> None:
    """What was under way may fail, in one line; the same plan once more brings the rest."""
    live = Live("kafka", Kafka(brokers=tuple(kafka_cluster.bootstrap.split(","))))
    wanted = [topic(f"{prefix}{number}", {"replicationFactor": 2}) for number in range(120)]
    plan = live.plan(wanted)
    killer = threading.Thread(target=kafka_cluster.stop_broker, args=(1,), kwargs={"kill": True})

    def kill_in_the_first_call(event: Event) -> None:
        if isinstance(event, StepStarted) and killer.ident is None:
            killer.start()

    try:
        report = live.apply(plan, ApplyOptions(on_event=kill_in_the_first_call))
        killer.join()
        assert not [result for result in report.results if result.reason and "\n" in result.reason]
        again = live.apply(plan)
        assert again.succeeded, again
    finally:
        killer.join()
        kafka_cluster.start_broker(1)
    assert live.plan(wanted).is_empty


def refusal(settings: Kafka, capfd: pytest.CaptureFixture[str]) -> str:
    started = time.monotonic()
    with pytest.raises(ProviderError) as caught:
        Live("kafka", settings).plan([topic("x")])
    assert time.monotonic() - started < 10
    assert capfd.readouterr().err == ""
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nobody_there(capfd: pytest.CaptureFixture[str]) -> None:
    assert "cannot connect: Connection refused" in refusal(Kafka(brokers=("127.0.0.1:1",)), capfd)
    assert "cannot connect: " in refusal(Kafka(brokers=("no-such-host.invalid:9092",)), capfd)
    assert "the port is not a number" in refusal(Kafka(brokers=("127.0.0.1:kafka",)), capfd)
    assert "the port is not a number" in refusal(Kafka(brokers=("127.0.0.1:99999",)), capfd)
    # Without a port the client takes 9092; whoever listens there on this machine is not meant.
    assert "cannot connect: Name" in refusal(Kafka(brokers=("no-such-host.invalid",)), capfd)


def test_a_port_that_is_something_else(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        settings = Kafka(brokers=(f"127.0.0.1:{mute.getsockname()[1]}",))
        assert "does not answer as Kafka" in refusal(settings, capfd)


def test_a_port_that_speaks_another_protocol(capfd: pytest.CaptureFixture[str]) -> None:
    def answer() -> None:
        while True:
            try:
                connection, _ = web.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(1)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as web:
        thread = threading.Thread(target=answer)
        thread.start()
        settings = Kafka(brokers=(f"127.0.0.1:{web.getsockname()[1]}",))
        assert "does not answer as Kafka" in refusal(settings, capfd)
        web.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_tls_where_the_broker_has_none(kafka: KafkaCluster, capfd: pytest.CaptureFixture[str]) -> None:
    said = refusal(Kafka(brokers=(kafka.bootstrap,), security=KafkaSecurity(protocol="ssl")), capfd)
    # The client says `SSL handshake failed:` before it, or not, as the moments fall.
    assert "SSL connection closed by peer" in said, said


def test_a_broker_that_does_not_want_this_user(kafka: KafkaCluster, capfd: pytest.CaptureFixture[str]) -> None:
    security = KafkaSecurity(protocol="saslPlaintext", mechanism="PLAIN", username="u", password="hush")
    said = refusal(Kafka(brokers=(kafka.bootstrap,), security=security), capfd)
    assert said.startswith(f"kafka {kafka.bootstrap}: the broker refuses the credentials: SASL PLAIN")
    assert "hush" not in said


def test_the_administrator_connects_as_the_runtime_does() -> None:
    """`additionalConfig` is last and wins for both: what works for publishing works for planning."""
    settings = Kafka(
        brokers=("${env:B}", "b:2"),
        security=KafkaSecurity(protocol="saslSsl", mechanism="SCRAM-SHA-512", username="u", password="${env:PW}"),
        additional_config={"socket.keepalive.enable": True, "security.protocol": "sasl_plaintext"},
    )
    clear = Kafka(
        brokers=("a:1", "b:2"),
        security=KafkaSecurity(protocol="saslSsl", mechanism="SCRAM-SHA-512", username="u", password="p"),
        additional_config={"socket.keepalive.enable": True, "security.protocol": "sasl_plaintext"},
    )
    assert admin_config(settings, {"PW": "p", "B": "a:1"}) == connection_config(clear)


def test_a_reference_to_nothing_is_said_without_what_stands_there() -> None:
    security = KafkaSecurity(protocol="saslSsl", mechanism="PLAIN", username="u", password="${env:PW}")
    with pytest.raises(ProviderError, match="kafka a:1: a reference stands for a value that its option does not allow"):
        open_provider("kafka", Kafka(brokers=("a:1",), security=security), {"PW": ""})
    with pytest.raises(ProviderError, match="kafka a:1: the environment variable `PW` is not set"):
        open_provider("kafka", Kafka(brokers=("a:1",), security=security), {})


def test_a_setting_that_the_client_refuses() -> None:
    with pytest.raises(ProviderError, match="kafka a:1: "):
        open_provider("kafka", Kafka(brokers=("a:1",), additional_config={"ssl.nonsense": "x"}), {})
