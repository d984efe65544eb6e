from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backplane_compiler.infra.kafka import KAFKA_TOPIC
from backplane_compiler.infra.kafka_configs import BYTES, MILLISECONDS, config_text, parse_config_value
from backplane_compiler.infra.kinds import Change, Unit
from backplane_runtime.events import EventType
from tests.compiler.models import backplane, resources, targets, values

BROKERS = {"brokers": ["b:9092", "a:9092"]}


def test_a_topic_for_each_event_type_with_defaults_written_out() -> None:
    found = resources(backplane("kafka", BROKERS))
    assert sorted(found) == [
        "kafka.topic.experiment-analysis-signals",
        "kafka.topic.experiment-assignments",
        "kafka.topic.experiment-errors",
        "kafka.topic.experiment-exposures",
        "kafka.topic.experiment-outcomes",
    ]
    assert values(found["kafka.topic.experiment-errors"]) == {
        "partitions": 12,
        "replicationFactor": 3,
        "cleanup.policy": ("delete",),
        "min.insync.replicas": 2,
        "retention.ms": 7 * 86_400_000,
    }


def test_only_types_that_the_backplane_takes_get_a_topic() -> None:
    found = resources(backplane("kafka", BROKERS, events=(EventType.ERROR,)))
    assert [*found] == ["kafka.topic.experiment-errors"]
    assert targets(backplane("kafka", BROKERS, events=())) == ()


@pytest.mark.parametrize(("replicas", "expected"), [(1, 1), (2, 1), (3, 2), (5, 2)])
def test_min_insync_replicas_follows_the_number_of_copies(replicas: int, expected: int) -> None:
    found = resources(backplane("kafka", BROKERS, {"replicationFactor": replicas}))
    assert {values(topic)["min.insync.replicas"] for topic in found.values()} == {expected}


def test_overrides_by_event_type_win() -> None:
    wanted = {
        "retention": "30d",
        "config": {"max.message.bytes": "2000000"},
        "topics": {
            "exposure": {"partitions": 24, "config": {"cleanup.policy": "delete, compact"}},
            "error": {"retention": "unlimited", "replicationFactor": 1},
        },
    }
    found = resources(backplane("kafka", BROKERS, wanted))
    exposures = values(found["kafka.topic.experiment-exposures"])
    assert (exposures["partitions"], exposures["cleanup.policy"]) == (24, ("compact", "delete"))
    assert (exposures["retention.ms"], exposures["max.message.bytes"]) == (30 * 86_400_000, 2_000_000)
    errors = values(found["kafka.topic.experiment-errors"])
    assert (errors["retention.ms"], errors["replicationFactor"], errors["min.insync.replicas"]) == (-1, 1, 1)


def test_types_that_share_a_topic_get_the_largest_of_what_they_ask_for() -> None:
    wanted = {
        "topics": {
            "exposure": {"partitions": 24, "retention": "1d", "config": {"segment.ms": 1000}},
            "error": {"retention": "90d", "partitions": 6, "config": {"segment.ms": 2000, "flush.ms": 5}},
        }
    }
    found = resources(backplane("kafka", {**BROKERS, "topic": "all"}, wanted))
    (topic,) = found.values()
    one = values(topic)
    assert (one["partitions"], one["retention.ms"], one["segment.ms"], one["flush.ms"]) == (
        24,
        90 * 86_400_000,
        1000,
        5,
    )


@pytest.mark.parametrize(
    ("partition_by", "traits"), [("subjectId", {"keyed"}), ("experimentKey", {"keyed"}), ("roundRobin", set())]
)
def test_a_topic_is_keyed_unless_records_go_round(partition_by: str, traits: set[str]) -> None:
    found = resources(backplane("kafka", {**BROKERS, "partitionBy": partition_by}))
    assert {topic.traits for topic in found.values()} == {frozenset(traits)}


def test_the_cluster_does_not_depend_on_the_order_of_its_brokers() -> None:
    (one,) = targets(backplane("kafka", BROKERS), backplane("kafka", {"brokers": ["a:9092", "b:9092"]}))
    assert (one.server.family, one.server.label) == ("kafka", "a:9092,b:9092")


def test_the_table_knows_what_a_change_risks() -> None:
    partitions, retention = KAFKA_TOPIC.rule("partitions"), KAFKA_TOPIC.rule("retention.ms")
    assert (partitions.change, partitions.increase_risk, partitions.increase_risk_trait) == (
        Change.INCREASE_ONLY,
        "ordering",
        "keyed",
    )
    assert (retention.unit, retention.decrease_risk, retention.change) == (
        Unit.MILLISECONDS,
        "data-loss",
        Change.IN_PLACE,
    )
    assert KAFKA_TOPIC.rule("replicationFactor").change is Change.NOT_YET
    assert KAFKA_TOPIC.rule("compression.type").change is Change.IN_PLACE


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("retention.ms", "604800000", 604_800_000),
        ("cleanup.policy", "delete,compact", ("compact", "delete")),
        ("cleanup.policy", "", ()),
        ("preallocate", "false", False),
        ("min.cleanable.dirty.ratio", "0.5", 0.5),
        ("compression.type", "producer", "producer"),
        ("retention.ms", "soon", "soon"),
        ("preallocate", "perhaps", "perhaps"),
        ("not.known", "12", "12"),
    ],
)
def test_what_a_broker_writes_becomes_typed(name: str, text: str, value: Any) -> None:
    parsed = parse_config_value(name, text)
    assert (parsed, type(parsed)) == (value, type(value))


@given(st.sampled_from(sorted(BYTES | MILLISECONDS)), st.integers(-1, 2**63 - 1))
def test_a_number_comes_back_from_its_text(name: str, number: int) -> None:
    assert parse_config_value(name, config_text(number)) == number


def test_the_order_of_the_table_is_the_same_in_every_process() -> None:
    """The text of a plan has this order; it followed a set's, which each process makes anew."""
    names = [*KAFKA_TOPIC.properties]
    fixed = [
        "partitions",
        "replicationFactor",
        "min.insync.replicas",
        "retention.ms",
        "retention.bytes",
        "cleanup.policy",
    ]
    assert names[:6] == fixed
    assert names[6:] == [*sorted(MILLISECONDS - {"retention.ms"}), *sorted(BYTES - {"retention.bytes"})]
