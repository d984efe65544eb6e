"""Whole documents against real servers: the plan of the interface page, promise 6 for any document, one server of two down."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backplane_compiler.infra.tables import KINDS
from backplane_compiler.live import apply_plan, make_plan
from backplane_compiler.pipeline import Compilation, compile_file
from backplane_compiler.plan import parse_acknowledgement, plan_from_bytes, plan_text, plan_to_bytes
from backplane_compiler.providers.api import ProviderError
from tests.servers import KafkaCluster, PostgreSQLServer

DAY = 86_400_000
LIVE = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
    database=None,
)


def compiled(folder: Path, backplane: dict[str, Any]) -> Compilation:
    path = folder / "backplane.json"
    path.write_text(json.dumps({"dataPlane": {"backplane": backplane}}), encoding="utf-8")
    compilation = compile_file(path)
    assert compilation.frozen is not None, compilation.diagnostics
    return compilation


def create(cluster: KafkaCluster, topics: Iterable[NewTopic]) -> None:
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    futures = admin.create_topics(list(topics), request_timeout=20)
    for future in futures.values():
        future.result(30)
    cluster.wait_until_all_list(futures.keys())


def new_topic(name: str, partitions: int, retention: int) -> NewTopic:
    config = {"retention.ms": str(retention), "min.insync.replicas": "2", "cleanup.policy": "delete"}
    return NewTopic(name, num_partitions=partitions, replication_factor=3, config=config)


def test_the_plan_of_the_interface_page(kafka_cluster: KafkaCluster, tmp_path: Path) -> None:
    """The very example: one topic to create, one that keeps for longer, one whose keys would move."""
    prefix = f"i{uuid.uuid4().hex[:8]}."
    create(kafka_cluster, [
        new_topic(prefix + "experiment-outcomes", 12, 7 * DAY),
        new_topic(prefix + "experiment-errors", 6, 30 * DAY),
        new_topic(prefix + "experiment-assignments", 12, 30 * DAY),
        new_topic(prefix + "experiment-analysis-signals", 12, 30 * DAY),
    ])  # fmt: skip
    document = {
        "type": "kafka",
        "options": {"brokers": kafka_cluster.bootstrap.split(","), "topicPrefix": prefix},
        "provisioning": {
            "partitions": 12,
            "replicationFactor": 3,
            "retention": "30d",
            "topics": {"exposure": {"partitions": 24}},
        },
    }
    plan = make_plan(compiled(tmp_path, document))
    label, identity = plan.targets[0].server.label, plan.targets[0].identity
    assert (
        plan_text(plan, KINDS)
        == f"""\
kafka {label} (cluster {identity}, 3 brokers)

  ! kafka.topic.{prefix}experiment-errors
      partitions                6 -> 12
      events here carry keys: a key moves to another partition, so order per key breaks once
      allow it: --allow ordering:kafka.topic.{prefix}experiment-errors
  + kafka.topic.{prefix}experiment-exposures
      partitions                24
      replicationFactor         3
      min.insync.replicas       2
      retention.ms              30d
      cleanup.policy            delete
  ~ kafka.topic.{prefix}experiment-outcomes
      retention.ms              7d -> 30d

1 to create, 1 to update, 1 blocked
"""
    )
    allow = parse_acknowledgement(f"ordering:kafka.topic.{prefix}experiment-errors")
    assert apply_plan(plan.with_allowed([allow])).succeeded
    assert make_plan(compiled(tmp_path, document)).is_empty


CONFIGS: dict[str, st.SearchStrategy[Any]] = {
    "compression.type": st.sampled_from(["producer", "zstd", "lz4", "uncompressed"]),
    "max.message.bytes": st.sampled_from([1_048_588, "2097152", 1000]),
    "min.cleanable.dirty.ratio": st.sampled_from([0.5, 0.25, 1, "0.10"]),
    "flush.ms": st.sampled_from([1, 9223372036854775807, "60000"]),
    "preallocate": st.sampled_from([True, False, "true"]),
    "unclean.leader.election.enable": st.booleans(),
    "message.timestamp.type": st.sampled_from(["CreateTime", "LogAppendTime"]),
    "retention.bytes": st.sampled_from([-1, 1 << 40]),
}
CHOSEN_CONFIGS = st.fixed_dictionaries({}, optional=CONFIGS)
RETENTION = st.sampled_from(["7d", "36h", "90m", "unlimited", "1d"])
PROVISIONING = st.fixed_dictionaries(
    {"partitions": st.integers(1, 5), "replicationFactor": st.just(1)},
    optional={
        "retention": RETENTION,
        "config": CHOSEN_CONFIGS,
        "topics": st.dictionaries(
            st.sampled_from(["exposure", "outcome", "error"]),
            st.fixed_dictionaries(
                {}, optional={"partitions": st.integers(1, 7), "retention": RETENTION, "config": CHOSEN_CONFIGS}
            ),
        ),
    },
)


def plan_is_empty_after_apply(compilation: Compilation) -> None:
    """Everything that can be acknowledged is; the plan goes through its file."""
    plan = make_plan(compilation)
    everything = [
        (obstacle.needs, step.address) for step in plan.steps() for obstacle in step.obstacles if obstacle.needs
    ]
    report = apply_plan(
        plan_from_bytes(plan_to_bytes(plan.with_allowed(everything))),
        secrets=compilation.model.secrets,  # type: ignore[union-attr]
    )
    assert report.succeeded, report
    again = make_plan(compilation)
    assert again.is_empty, plan_text(again, KINDS)


@pytest.mark.timeout(180)
@LIVE
@given(PROVISIONING)
def test_right_after_apply_the_plan_of_any_kafka_document_is_empty(
    kafka: KafkaCluster, tmp_path: Path, provisioning: dict[str, Any]
) -> None:
    options = {"brokers": [kafka.bootstrap], "topicPrefix": f"h{uuid.uuid4().hex[:8]}."}
    plan_is_empty_after_apply(compiled(tmp_path, {"type": "kafka", "options": options, "provisioning": provisioning}))


NAMES = st.text("abzABZ_09 \"'.%;äß€$-", min_size=1, max_size=20).filter(lambda name: len(name.encode()) < 30)


@pytest.mark.timeout(180)
@LIVE
@given(
    st.fixed_dictionaries({"tableName": NAMES}, optional={"schema": NAMES, "enableIdempotency": st.booleans()}),
    st.sampled_from(["minimal", "default", "analytics"]),
)
def test_right_after_apply_the_plan_of_any_postgresql_document_is_empty(
    postgresql: PostgreSQLServer, tmp_path: Path, options: dict[str, Any], indexes: str
) -> None:
    with postgresql.fresh_database() as url:
        plan_is_empty_after_apply(
            compiled(
                tmp_path,
                {"type": "postgresql", "options": {"url": url, **options}, "provisioning": {"indexes": indexes}},
            )
        )


def test_where_one_of_two_servers_is_down_nothing_is_touched(tmp_path: Path) -> None:
    """The line names the server that is down, and the other one stays as it was."""
    database = tmp_path / "events.db"
    members = [
        {"name": "near", "type": "sqlite", "options": {"path": str(database), "autoMigrate": False}},
        {"name": "far", "type": "postgresql", "options": {"url": "postgresql://u:hunter2@127.0.0.1:1/d"}},
    ]
    compilation = compiled(tmp_path, {"type": "composite", "options": {"backplanes": members}})
    with pytest.raises(ProviderError, match=r"postgresql 127\.0\.0\.1:1: Connection refused"):
        make_plan(compilation)
    assert not database.exists()
