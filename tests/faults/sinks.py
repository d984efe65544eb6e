"""Where events arrive, and how a row reads afterwards what is there."""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tests.servers import KafkaCluster

_EXPERIMENT = re.compile(r'"experimentName":"([^"]*)"')
_SUBJECT = re.compile(r'"subjectId":"(\d+)"')


class Arrival(NamedTuple):
    """One event at the sink."""

    experiment: str
    number: int
    event_id: str


class Sink(Protocol):
    """A backplane's type and options as a document has them, and what arrived."""

    kind: str
    options: dict[str, Any]
    tells_repeats: bool
    """It refuses an event that it has: nothing may be there twice."""

    def arrivals(self) -> Iterator[Arrival]:
        """Yield what is there; events of one experiment in the order in which they arrived."""


class SqliteSink:
    """A table in a file, in a folder that is made by `open`: until then it is a sink that is away."""

    kind = "sqlite"
    tells_repeats = True

    def __init__(self, folder: Path) -> None:
        self.path = folder / "events.db"
        self.options: dict[str, Any] = {"path": str(self.path)}

    def open(self) -> None:
        """Let the sink be there."""
        self.path.parent.mkdir(exist_ok=True)

    def arrivals(self) -> Iterator[Arrival]:
        """Yield the rows in the order of their key."""
        if not self.path.exists():
            return
        with closing(sqlite3.connect(self.path)) as connection:
            for event_id, payload in connection.execute(
                "SELECT EventId, PayloadJson FROM ExperimentEvents ORDER BY Id"
            ):
                yield _arrival(event_id, payload)


class PostgreSqlSink:
    """A table in a database at *url*; programs reach it at *through*, which may be a proxy."""

    kind = "postgresql"
    tells_repeats = True

    def __init__(self, url: str, through: str | None = None) -> None:
        self._url = url
        self.options: dict[str, Any] = {"url": through or url, "autoMigrate": True}

    def arrivals(self) -> Iterator[Arrival]:
        """Yield the rows in the order of their key."""
        import psycopg  # noqa: PLC0415 - an extra

        with psycopg.connect(self._url) as connection, connection.cursor(name="arrivals") as cursor:
            cursor.itersize = 10_000
            if connection.execute("SELECT to_regclass('experiment_events')").fetchone() == (None,):
                return
            cursor.execute("SELECT event_id, payload_json FROM experiment_events ORDER BY id")
            for event_id, payload in cursor:
                yield _arrival(event_id, payload)


class KafkaSink:
    """A topic of its own in *cluster*."""

    kind = "kafka"
    tells_repeats = False

    def __init__(self, cluster: KafkaCluster, *, replicas: int = 1, options: dict[str, Any] | None = None) -> None:
        from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - an extra
        from confluent_kafka.cimpl import NewTopic  # noqa: PLC0415 - an extra

        self.topic = f"faults-{secrets.token_hex(6)}"
        self._cluster = cluster
        self.options: dict[str, Any] = {"brokers": cluster.bootstrap, "topic": self.topic} | (options or {})
        quorum = {"min.insync.replicas": str(max(1, replicas - 1))}
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        admin.create_topics([NewTopic(self.topic, 3, replicas, config=quorum)])[self.topic].result(30)
        cluster.wait_until_all_list({self.topic})

    def leader(self) -> int:
        """Return the broker that leads the first partition."""
        from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - an extra

        listed = AdminClient({"bootstrap.servers": self._cluster.bootstrap}).list_topics(self.topic, timeout=20)
        return int(listed.topics[self.topic].partitions[0].leader)

    def arrivals(self) -> Iterator[Arrival]:
        """Yield all records, one partition after the other."""
        from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415 - an extra

        config = {"bootstrap.servers": self._cluster.bootstrap, "group.id": "nobody", "enable.auto.commit": False}
        consumer = Consumer(config)
        with closing(consumer):
            for partition in range(3):
                begin, end = consumer.get_watermark_offsets(TopicPartition(self.topic, partition), timeout=30)
                consumer.assign([TopicPartition(self.topic, partition, begin)])
                while begin < end:
                    for message in consumer.consume(min(1000, end - begin), timeout=30):  # waits for all of them
                        error = message.error()
                        if error is not None:
                            raise RuntimeError(error.str())
                        begin = int(message.offset() or 0) + 1
                        event_id = dict(message.headers() or ())["event-id"]
                        yield _arrival(str(event_id), (message.value() or b"").decode())


def _arrival(event_id: str, text: str) -> Arrival:
    experiment, subject = _EXPERIMENT.search(text), _SUBJECT.search(text)
    if experiment is None or subject is None:
        raise ValueError(f"no event of the publisher: {text}")
    return Arrival(experiment[1], int(subject[1]), event_id)
