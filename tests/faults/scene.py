"""What a row is played with: a folder of its own, the servers that it asked for, and how much there is to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.faults.judgement import Outcome
from tests.faults.sinks import SqliteSink
from tests.faults.stage import Stage
from tests.servers import KafkaCluster, PostgreSQLServer

Server = Literal["", "postgresql", "kafka", "kafka_cluster"]


@dataclass(frozen=True)
class Scene:
    """See the module. A row in its short form is one of the tests."""

    folder: Path
    is_short: bool
    cluster: KafkaCluster | None = None
    database: PostgreSQLServer | None = None
    minutes: float = 10.0

    def sized(self, short: int, full: int) -> int:
        """Return the number that fits."""
        return short if self.is_short else full

    def sqlite(self, size: int) -> Stage:
        """Return a stage for *size* events with an SQLite file as sink, which is there."""
        sink = SqliteSink(self.folder / "sink")
        sink.open()
        return Stage(self.folder, sink, size)

    def sqlite_away(self, size: int) -> tuple[Stage, SqliteSink]:
        """Return the same with a sink that is away until it is opened."""
        sink = SqliteSink(self.folder / "sink")
        return Stage(self.folder, sink, size), sink

    @property
    def kafka(self) -> KafkaCluster:
        """The cluster that the row asked for."""
        if self.cluster is None:
            raise LookupError("the row did not ask for Kafka")
        return self.cluster

    @property
    def postgresql(self) -> PostgreSQLServer:
        """The server that the row asked for."""
        if self.database is None:
            raise LookupError("the row did not ask for PostgreSQL")
        return self.database


@dataclass(frozen=True)
class Row:
    """One row of the matrix.

    `needs` is the server that must run; `mounts`: a file system is mounted where only the program sees it; `is_asked_for`
    keeps the row out of a run that names none.
    """

    name: str
    play: Callable[[Scene], Outcome]
    needs: Server = ""
    mounts: bool = False
    is_asked_for: bool = False
