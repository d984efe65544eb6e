"""Every row of the fault matrix in its short form: no promise is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.matrix import ROWS
from tests.faults.namespaces import can_mount
from tests.faults.scene import Row, Scene, Server
from tests.servers import KafkaCluster, PostgreSQLServer

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the matrix looks into Linux's /proc")


def _rows(needs: Server) -> pytest.MarkDecorator:
    chosen = [row for row in ROWS if row.needs == needs]
    return pytest.mark.parametrize("row", chosen, ids=[row.name for row in chosen])


@_rows("")
def test_a_machine(row: Row, tmp_path: Path) -> None:
    """Faults of programs, disks and clocks."""
    if row.mounts and not can_mount():
        pytest.skip("needs a mount namespace: root, or user namespaces")
    _holds(row, Scene(tmp_path, is_short=True))


@_rows("postgresql")
def test_a_database(row: Row, tmp_path: Path, postgresql: PostgreSQLServer) -> None:
    """Faults on the way to PostgreSQL."""
    pytest.importorskip("psycopg")
    _holds(row, Scene(tmp_path, is_short=True, database=postgresql))


@_rows("kafka")
def test_a_broker(row: Row, tmp_path: Path, kafka: KafkaCluster) -> None:
    """Faults of one Kafka broker."""
    pytest.importorskip("confluent_kafka")
    _holds(row, Scene(tmp_path, is_short=True, cluster=kafka))


@_rows("kafka_cluster")
def test_a_cluster(row: Row, tmp_path: Path, kafka_cluster: KafkaCluster) -> None:
    """Faults of one of three Kafka brokers."""
    pytest.importorskip("confluent_kafka")
    _holds(row, Scene(tmp_path, is_short=True, cluster=kafka_cluster))


def _holds(row: Row, scene: Scene) -> None:
    outcome = row.play(scene)
    assert not outcome.problems, outcome
