"""A forked child starts anew: the parent's events are the parent's, the child's are delivered by the child."""

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from backplane_runtime import DataPlane
from backplane_runtime.contract.limits import exit_code, forked, in_child
from backplane_runtime.settings import Plane, Settings, Sqlite
from tests.servers import KafkaCluster

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

# Long enough that nothing goes by itself: what is published before the fork is in memory at the fork.
SLOW = Plane(flush_interval_ms=60_000, close_timeout_ms=20_000)


def publish_around_a_fork(settings: Settings) -> None:
    plane = DataPlane(settings, plane=SLOW)
    plane.outcome("sent before", subject="s", metric="m")
    assert plane.flush(30)
    for number in range(20):
        plane.outcome(f"parent {number}", subject="s", metric="m")

    def work() -> None:
        assert plane.ledger().total.published == 0
        for number in range(20):
            plane.outcome(f"child {number}", subject="s", metric="m")
        assert plane.flush(30)
        assert plane.ledger().total.acknowledged == 20
        plane.close()

    assert in_child(work) == 0
    assert plane.flush(30)
    assert plane.ledger().total.acknowledged == 21
    plane.close()


EXPECTED = Counter(["sent before", *(f"{who} {number}" for who in ("parent", "child") for number in range(20))])


@pytest.mark.runtime_only
def test_sqlite(tmp_path: Path) -> None:
    """Each event exactly once."""
    path = tmp_path / "events.db"
    publish_around_a_fork(Sqlite(path=str(path), enable_idempotency=False))
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT PayloadJson FROM ExperimentEvents").fetchall()
    assert Counter(json.loads(payload)["experimentName"] for (payload,) in rows) == EXPECTED


def test_postgresql(postgresql_url: str) -> None:
    """The child does not say good-bye on the parent's connection."""
    psycopg = pytest.importorskip("psycopg")
    from backplane_runtime.settings import PostgreSql  # noqa: PLC0415 - beside its use

    publish_around_a_fork(PostgreSql(url=postgresql_url, auto_migrate=True, enable_idempotency=False))
    with psycopg.connect(postgresql_url) as connection:
        rows = connection.execute("SELECT payload_json FROM experiment_events").fetchall()
    assert Counter(json.loads(payload)["experimentName"] for (payload,) in rows) == EXPECTED


PROGRAM = """
import os, sys
from backplane_runtime import DataPlane
from backplane_runtime.settings import Kafka, Plane, PostgreSql, Sqlite

plane = DataPlane(eval(sys.argv[1]), plane=Plane(flush_interval_ms=60_000, close_timeout_ms=20_000))
plane.outcome("sent before", subject="s", metric="m")
assert plane.flush(30)
plane.outcome("parent", subject="s", metric="m")
child = os.fork()
if child == 0:
    plane.outcome("child", subject="s", metric="m")
    sys.exit()  # as a program ends: the exit hook sends what is left, then the interpreter is taken down
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert plane.flush(30)
assert plane.ledger().total.acknowledged == 2
plane.close()
"""


def run_program(settings: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, settings]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.runtime_only
def test_a_child_that_ends_as_a_program_ends(tmp_path: Path) -> None:
    """It sends what it has, and does not hang on what it inherited."""
    path = tmp_path / "events.db"
    run_program(f"Sqlite(path={str(path)!r})")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM ExperimentEvents").fetchone() == (3,)


def test_a_postgresql_child_that_ends(postgresql_url: str) -> None:
    """It does not end the parent's connection."""
    psycopg = pytest.importorskip("psycopg")
    run_program(f"PostgreSql(url={postgresql_url!r}, auto_migrate=True)")
    with psycopg.connect(postgresql_url) as connection:
        assert connection.execute("SELECT count(*) FROM experiment_events").fetchall() == [(3,)]


def test_a_kafka_child_that_ends(kafka: KafkaCluster) -> None:
    """It does not wait for threads that it does not have."""
    pytest.importorskip("confluent_kafka")
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - an extra
    from confluent_kafka.cimpl import NewTopic  # noqa: PLC0415 - an extra

    topic = f"fork-{os.urandom(6).hex()}"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)
    run_program(f"Kafka(brokers={kafka.bootstrap!r}, topic={topic!r})")


@pytest.mark.runtime_only
def test_a_closed_data_plane_stays_closed(tmp_path: Path) -> None:
    """In the child too."""
    plane = DataPlane(Sqlite(path=str(tmp_path / "events.db")))
    plane.close()

    def work() -> None:
        assert plane.outcome("e", subject="s", metric="m") == "dropped"

    assert in_child(work) == 0


MULTIPROCESSING = """
import multiprocessing, sys
from backplane_runtime import DataPlane
from backplane_runtime.settings import Plane, Sqlite

SLOW = Plane(flush_interval_ms=60_000, close_timeout_ms=20_000)

def own(path):
    DataPlane(Sqlite(path=path), plane=SLOW).outcome("own", subject="s", metric="m")

def inherited():
    plane.outcome("inherited", subject="s", metric="m")

if __name__ == "__main__":
    plane = DataPlane(Sqlite(path=sys.argv[1]), plane=SLOW)
    plane.outcome("parent", subject="s", metric="m")
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=inherited)]
    children += [multiprocessing.get_context(method).Process(target=own, args=(sys.argv[1],)) for method in sys.argv[2:]]
    for child in children:
        child.start()
        child.join()
        assert child.exitcode == 0
"""


@pytest.mark.runtime_only
def test_children_of_multiprocessing_send_what_they_have(tmp_path: Path) -> None:
    """They end by `os._exit`, without the interpreter's exit hooks, however they were started."""
    path, program = tmp_path / "events.db", tmp_path / "program.py"
    program.write_text(MULTIPROCESSING)
    command = [sys.executable, "-W", "ignore", str(program), str(path), "fork", "forkserver", "spawn"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    with closing(sqlite3.connect(path)) as connection:
        payloads = connection.execute("SELECT PayloadJson FROM ExperimentEvents").fetchall()
    names = Counter(json.loads(payload)["experimentName"] for (payload,) in payloads)
    assert names == {"parent": 1, "inherited": 1, "own": 3}


@pytest.mark.runtime_only
def test_an_sqlite_file_that_the_parent_closes_while_a_child_writes_to_it(tmp_path: Path) -> None:
    """What the child was told is stored is stored: its connection has locks of its own.

    SQLite keeps its locks by file and process. In a child that inherits an open connection it takes the parent's for its own,
    and the parent, which sees none of the child's, removes the log that the child writes to (sqlite.org/howtocorrupt.html,
    2.6).
    """
    path = tmp_path / "events.db"
    plane = DataPlane(Sqlite(path=str(path)), plane=SLOW)
    plane.outcome("parent", subject="s", metric="m")
    assert plane.flush(30)
    begun, begin = os.pipe()
    closed, close = os.pipe()

    def work() -> None:
        plane.outcome("child", subject="s", metric="m")
        assert plane.flush(30)
        os.write(begin, b"!")
        os.read(closed, 1)
        plane.outcome("child", subject="s", metric="m")
        assert plane.flush(30)
        assert plane.ledger().total.acknowledged == 2

    child = forked(work)
    os.read(begun, 1)
    plane.close()
    os.write(close, b"!")
    assert exit_code(child) == 0
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM ExperimentEvents").fetchone() == (3,)
