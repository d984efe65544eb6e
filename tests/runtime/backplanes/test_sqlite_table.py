"""SQLite: a table ahead of us or behind, a file that is read-only, processes that make it at once."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from backplane_runtime.backplanes.api import BackplaneHealth, UnavailableError, Verdict
from backplane_runtime.backplanes.sqlite import SqliteBackplane
from backplane_runtime.settings import Sqlite
from backplane_runtime.testing import sample_records
from tests.runtime.backplanes.processes import run_at_once

pytestmark = pytest.mark.runtime_only

COLUMNS = {
    "EventId": "TEXT NOT NULL UNIQUE",
    "Timestamp": "TEXT NOT NULL",
    "EventType": "TEXT NOT NULL",
    "SchemaVersion": "TEXT NOT NULL",
    "PayloadJson": "TEXT NOT NULL",
    "CorrelationId": "TEXT",
    "MetadataJson": "TEXT",
}


def make_table(path: Path, columns: dict[str, str], options: str = "") -> None:
    body = ", ".join(f"{name} {type_}" for name, type_ in columns.items())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE ExperimentEvents ({body}) {options}")


@contextmanager
def opened(path: Path, **options: Any) -> Iterator[SqliteBackplane]:
    backplane = SqliteBackplane(Sqlite(path=str(path), **options))
    try:
        yield backplane
    finally:
        backplane.close(1)


@pytest.mark.parametrize(
    ("more", "options"),
    [
        ({"Region": "TEXT", "Weight": "REAL NOT NULL DEFAULT 1"}, ""),
        ({"Region": "TEXT", "Weight": "REAL AS (1.0) STORED"}, ""),
        ({"Region": "TEXT", "Weight": "ANY"}, "STRICT"),
    ],
)
def test_a_table_that_is_ahead_works(tmp_path: Path, more: dict[str, str], options: str) -> None:
    """Columns that we do not know, and that need nothing of us, are information."""
    path = tmp_path / "events.db"
    make_table(path, COLUMNS | more, options)
    with opened(path) as backplane:
        health = backplane.health(5)
        assert backplane.send(sample_records(3)) == [Verdict.ACKNOWLEDGED] * 3
    assert (health.healthy, health.details["unknownColumns"]) == (True, ["Region", "Weight"])
    assert health.message.endswith("(ahead of this version: unknown columns Region, Weight)")


@pytest.mark.parametrize(
    "columns",
    [
        {name.lower(): type_ for name, type_ in COLUMNS.items()},
        COLUMNS | {"EventId": "VARCHAR(36) PRIMARY KEY", "Timestamp": "DATETIME"},
        {"Id": "INTEGER PRIMARY KEY"} | dict.fromkeys(COLUMNS, "") | {"EventId": "UNIQUE"},
    ],
)
def test_a_hand_made_table_that_fits(tmp_path: Path, columns: dict[str, str]) -> None:
    """Other types that keep text as it is, and names in another case."""
    path = tmp_path / "events.db"
    make_table(path, columns)
    with opened(path) as backplane:
        assert backplane.health(5).healthy
        records = sample_records(3)
        assert backplane.send(records) == [Verdict.ACKNOWLEDGED] * 3
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT EventId, Timestamp, PayloadJson FROM ExperimentEvents ORDER BY rowid")
        assert found.fetchall() == [(one.event_id, one.timestamp, one.payload.decode()) for one in records]


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        (COLUMNS | {"Region": "TEXT NOT NULL"}, "", "column `Region` is NOT NULL without a default"),
        (
            {**COLUMNS, "MetadataJson": "TEXT NOT NULL"},
            "",
            "column `MetadataJson` is NOT NULL, and not every event has one",
        ),
        ({**COLUMNS, "PayloadJson": "REAL"}, "", "column `PayloadJson` is REAL and not TEXT: change its type"),
        ({**COLUMNS, "EventId": "INTEGER UNIQUE"}, "", "column `EventId` is INTEGER and not TEXT"),
        ({**COLUMNS, "PayloadJson": "BLOB"}, "STRICT", "column `PayloadJson` is STRICT BLOB and not TEXT"),
        ({**COLUMNS, "EventId": "TEXT"}, "", "no unique index on `EventId` alone: run `backplane apply`, or"),
        (dict(list(COLUMNS.items())[:-1]), "", "no column `MetadataJson` (TEXT): run `backplane apply`"),
    ],
)
def test_a_table_that_does_not_fit_is_said(tmp_path: Path, columns: dict[str, str], options: str, said: str) -> None:
    """With the column and what to do, before the first event and as the reason why it waits."""
    path = tmp_path / "events.db"
    make_table(path, columns, options)
    with opened(path, auto_migrate="no unique" not in said) as backplane:
        health = backplane.health(5)
        with pytest.raises(UnavailableError) as at_start:
            backplane.start()
        with pytest.raises(UnavailableError) as at_send:
            backplane.send(sample_records(3))
    assert not health.healthy
    assert health.message == str(at_start.value) == str(at_send.value)
    assert health.message.startswith(f"{path}: table `ExperimentEvents`: {said}")


def test_a_partial_index_tells_nothing_apart(tmp_path: Path) -> None:
    """SQLite does not take it for ON CONFLICT, so neither do we."""
    path = tmp_path / "events.db"
    make_table(path, {**COLUMNS, "EventId": "TEXT"})
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE UNIQUE INDEX u ON ExperimentEvents (EventId) WHERE EventType = 'Outcome'")
    with opened(path) as backplane:
        assert "no unique index" in backplane.health(5).message
    with opened(path, enable_idempotency=False) as backplane:
        assert backplane.health(5).healthy
        assert backplane.send(sample_records(1)) == [Verdict.ACKNOWLEDGED]


def test_a_table_that_changes_while_it_is_written_to(tmp_path: Path) -> None:
    """The reason of the very batch that fails is the column, and when it is mended the next one is stored."""
    path = tmp_path / "events.db"
    with opened(path) as backplane:
        backplane.send(sample_records(1))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("ALTER TABLE ExperimentEvents RENAME PayloadJson TO Payload")
            with pytest.raises(UnavailableError, match="no column `PayloadJson`"):
                backplane.send(sample_records(1))
            connection.execute("ALTER TABLE ExperimentEvents RENAME Payload TO PayloadJson")
        assert backplane.send(sample_records(1)) == [Verdict.ACKNOWLEDGED]


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that other users reach, too."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def as_nobody(work: Any) -> str:
    """Return what *work* returns in a forked child of a user for whom permissions hold."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            os.write(write, work().encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


def health_and_send(path: Path) -> str:
    backplane = SqliteBackplane(Sqlite(path=str(path)))
    health: BackplaneHealth = backplane.health(2)
    try:
        backplane.send(sample_records(1))
    except UnavailableError as error:
        return f"{health.healthy} {health.message}\n{error}"
    return f"{health.healthy} {health.message}\nstored"


@pytest.mark.filterwarnings("ignore:.*use of fork\\(\\) may lead to deadlocks:DeprecationWarning")
def test_a_read_only_file_is_not_well(public_folder: Path) -> None:
    """Reading it works, so only an attempt to write tells; a folder in which no file can be made is told too."""
    path = public_folder / "events.db"
    with opened(path) as backplane:
        backplane.start()
    path.chmod(0o666)
    assert as_nobody(lambda: health_and_send(path)).startswith("True")
    path.chmod(0o444)
    said = as_nobody(lambda: health_and_send(path)).splitlines()
    advice = "attempt to write a readonly database: make the file and its folder writable by this user"
    assert said == [f"False {path}: {advice}", f"{path}: {advice}"]
    public_folder.chmod(0o755)
    other = public_folder / "other.db"
    said = as_nobody(lambda: health_and_send(other)).splitlines()
    assert said[0] == f"False {other} cannot be made: {public_folder} is not writable by this user"
    assert said[1].startswith(f"{other}: unable to open database file")


def test_another_writer_is_waited_for(tmp_path: Path) -> None:
    """For the time that health has, and it says why it gave up."""
    path = tmp_path / "events.db"
    with opened(path) as backplane:
        backplane.start()
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            assert backplane.health(0.2).message == f"{path}: database is locked: another process is writing for long"
        assert backplane.health(0.2).healthy


MIGRATOR = """
import sys
from backplane_runtime.backplanes.sqlite import SqliteBackplane
from backplane_runtime.settings import Sqlite
from backplane_runtime.testing import sample_records
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    backplane = SqliteBackplane(Sqlite(path=f"{sys.argv[1]}/{number}.db"))
    backplane.start()
    assert len(backplane.send(sample_records(2))) == 2
    backplane.close(1)
print("done")
"""


def test_processes_that_migrate_at_once(tmp_path: Path) -> None:
    """All start at the first attempt, file after file; all rows are there, and the files are written ahead of."""
    run_at_once(4, MIGRATOR, str(tmp_path))
    for number in range(20):
        with closing(sqlite3.connect(tmp_path / f"{number}.db")) as connection:
            assert connection.execute("SELECT count(*) FROM ExperimentEvents").fetchone() == (8,)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_published_twice_crashed_and_replayed_is_one_row(tmp_path: Path) -> None:
    """By the constraint, for the ids that the events have; each repeat is counted as one."""
    path, records, verdicts = tmp_path / "events.db", sample_records(20), []
    for part in (records[:10], records, records):
        with opened(path) as backplane:
            verdicts.append(list(backplane.send(part)))
    new, old = Verdict.ACKNOWLEDGED, Verdict.DUPLICATE
    assert verdicts == [[new] * 10, [old] * 10 + [new] * 10, [old] * 20]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM ExperimentEvents").fetchone() == (20,)
