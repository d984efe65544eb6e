"""SQLite: two publishers, a missing table, what a row holds."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from backplane_runtime import DataPlane, Outcome
from backplane_runtime.backplanes.api import Rejected, UnavailableError, Verdict
from backplane_runtime.backplanes.sqlite import SqliteBackplane
from backplane_runtime.settings import Plane, Sqlite
from backplane_runtime.testing import sample_records

pytestmark = pytest.mark.runtime_only

PUBLISHER = """
import sys
from backplane_runtime import DataPlane
from backplane_runtime.settings import Plane, Sqlite
plane = DataPlane(Sqlite(path=sys.argv[1]), plane=Plane(batch_size=7, close_timeout_ms=20_000))
for number in range(1000):
    plane.outcome(f"{sys.argv[2]}-{number}", subject="s", metric="m")
plane.close()
print(plane.ledger().total.acknowledged)
"""


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as connection:
        yield connection


def test_two_publishers_on_one_file(tmp_path: Path) -> None:
    """Both succeed and nothing is lost, each in its own order."""
    path = tmp_path / "events.db"
    command = [sys.executable, "-c", PUBLISHER, str(path)]
    publishers = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in "ab"]
    assert [publisher.communicate(timeout=60)[0] for publisher in publishers] == ["1000\n", "1000\n"]
    with opened(path) as connection:
        names = [
            json.loads(row[0])["experimentName"]
            for row in connection.execute("SELECT PayloadJson FROM ExperimentEvents ORDER BY Id")
        ]
    for name in "ab":
        assert [one for one in names if one.startswith(name)] == [f"{name}-{number}" for number in range(1000)]


def test_a_row_holds_what_the_envelope_says(tmp_path: Path) -> None:
    """All columns; the timestamp as text that sorts."""
    path = tmp_path / "events.db"
    with DataPlane(Sqlite(path=str(path))) as plane:
        event = Outcome("e", subject="s", metric="m", timestamp="2026-01-31T10:00:00Z")
        plane.publish(event, correlation="r-1", metadata={"a": 1})
    with opened(path) as connection:
        connection.row_factory = sqlite3.Row
        (row,) = connection.execute("SELECT * FROM ExperimentEvents").fetchall()
    assert row["Timestamp"] == "2026-01-31T10:00:00.000000Z"
    assert (row["EventType"], row["SchemaVersion"]) == ("Outcome", "1.0.0")
    assert (row["CorrelationId"], row["MetadataJson"]) == ("r-1", '{"a":1}')
    assert json.loads(row["PayloadJson"])["metric"] == "m"
    assert row["CreatedAt"]


def test_an_acknowledged_event_is_on_the_disk(tmp_path: Path) -> None:
    """A power loss cannot be had in a test: what SQLite promises for this setting is taken at its word."""
    backplane = SqliteBackplane(Sqlite(path=str(tmp_path / "events.db")))
    backplane.start()
    assert backplane._connection is not None
    assert backplane._connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    backplane.close(0)


def test_a_missing_table_keeps_events_waiting(tmp_path: Path) -> None:
    """Health says what to do; when it is done, the events arrive."""
    path = tmp_path / "events.db"
    with opened(path) as connection:
        connection.execute("CREATE TABLE other (x)")
    with DataPlane(Sqlite(path=str(path), auto_migrate=False), plane=Plane(close_timeout_ms=10_000)) as plane:
        plane.outcome("e", subject="s", metric="m")
        assert not plane.flush(timeout=0.3)
        assert plane.health().message.endswith(
            "no table `ExperimentEvents`; run `backplane apply`, or set `autoMigrate: true`"
        )
        assert plane.ledger().total.spooled == 1
        DataPlane(Sqlite(path=str(path))).outcome("other", subject="s", metric="m")
        assert plane.flush(timeout=15)
        assert plane.health().healthy


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    """With the path."""
    plane = DataPlane(Sqlite(path=str(tmp_path / "none" / "events.db"), auto_migrate=False))
    assert str(tmp_path) in plane.health().message
    assert not plane.health().healthy


def test_a_missing_variable_is_said_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference is resolved when it is used."""
    monkeypatch.delenv("EVENTS_FOLDER", raising=False)
    with DataPlane(Sqlite(path="${env:EVENTS_FOLDER}/events.db"), plane=Plane(close_timeout_ms=10_000)) as plane:
        plane.outcome("e", subject="s", metric="m")
        assert not plane.flush(timeout=0.2)
        assert "`EVENTS_FOLDER` is not set" in plane.health().message
        monkeypatch.setenv("EVENTS_FOLDER", str(tmp_path))
        assert plane.flush(timeout=15)
    assert (tmp_path / "events.db").exists()


def test_a_batch_is_a_transaction(tmp_path: Path) -> None:
    """If one event cannot be stored now, none is; all are when it can."""
    path = tmp_path / "events.db"
    with DataPlane(Sqlite(path=str(path)), plane=Plane(close_timeout_ms=10_000)) as plane:
        plane.outcome("first", subject="s", metric="m")
        assert plane.flush()
        with opened(path) as connection:
            connection.execute(
                "CREATE TRIGGER t BEFORE INSERT ON ExperimentEvents WHEN NEW.PayloadJson LIKE '%second%' "
                "BEGIN SELECT RAISE(ABORT, 'not now'); END"
            )
            plane.outcome("before", subject="s", metric="m")
            plane.outcome("second", subject="s", metric="m")
            assert not plane.flush(timeout=0.3)
            assert connection.execute("SELECT count(*) FROM ExperimentEvents").fetchone() == (1,)
            connection.execute("DROP TRIGGER t")
            assert plane.flush(timeout=15)
            assert connection.execute("SELECT count(*) FROM ExperimentEvents").fetchone() == (3,)


def test_what_is_stored_before_a_fault_is_not_handed_over_again(tmp_path: Path) -> None:
    """Where one event that is poison has each stored alone, and another one cannot be stored now."""
    path = tmp_path / "events.db"
    backplane, records = SqliteBackplane(Sqlite(path=str(path), enable_idempotency=False)), sample_records(4)
    backplane.start()
    assert backplane._connection is not None
    records[1] = msgspec.structs.replace(records[1], correlation_id="x" * 10_000)
    backplane._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 9_000)
    with opened(path) as connection:
        connection.execute(
            "CREATE TRIGGER t BEFORE INSERT ON ExperimentEvents WHEN NEW.PayloadJson LIKE '%experiment-2%' "
            "BEGIN SELECT RAISE(ABORT, 'not now'); END"
        )
        first, poison, *left = backplane.send(records)
        assert first is Verdict.ACKNOWLEDGED
        assert isinstance(poison, Rejected)
        assert left == [Verdict.RETRY] * 2
        with pytest.raises(UnavailableError, match="not now"):
            backplane.send(records[2:])
        connection.execute("DROP TRIGGER t")
        assert backplane.send(records[2:]) == [Verdict.ACKNOWLEDGED] * 2
        found = connection.execute("SELECT EventId FROM ExperimentEvents ORDER BY Id").fetchall()
    backplane.close(0)
    assert found == [(records[index].event_id,) for index in (0, 2, 3)]


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_taken_away(tmp_path: Path, replaced: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """SQLite goes on writing to what has no name any more; what is acknowledged is in the file that has it."""
    path = tmp_path / "events.db"
    with DataPlane(Sqlite(path=str(path)), plane=Plane(flush_interval_ms=10)) as plane:
        plane.outcome("before", subject="s", metric="m")
        assert plane.flush()
        path.unlink()
        if replaced:
            with opened(path) as connection:
                connection.execute("CREATE TABLE other (x)")
        plane.outcome("after", subject="s", metric="m")
        assert plane.flush()
    with opened(path) as connection:
        assert connection.execute("SELECT count(*) FROM ExperimentEvents").fetchone() == (1,)


def test_a_repeat_without_idempotency_meets_a_table_with_it(tmp_path: Path) -> None:
    """It is a duplicate, not a reason to wait for ever."""
    path, records = str(tmp_path / "events.db"), sample_records(3)
    for idempotent in (True, False):
        backplane = SqliteBackplane(Sqlite(path=path, enable_idempotency=idempotent))
        assert backplane.send(records) == [Verdict.ACKNOWLEDGED if idempotent else Verdict.DUPLICATE] * 3
        backplane.close(0)


def test_a_folder_that_is_not_there_is_not_well(tmp_path: Path) -> None:
    """The first event would make the file, and cannot make the folder."""
    plane = DataPlane(Sqlite(path=str(tmp_path / "folder" / "events.db")))
    answer = plane.health()
    assert (answer.healthy, answer.message) == (
        False,
        f"sqlite: there is no directory {tmp_path / 'folder'}; make it first",
    )
    plane.close()


def test_a_name_that_no_file_can_have_is_said_in_words(tmp_path: Path) -> None:
    """A health check says what the system said, and not what Python calls it."""
    plane = DataPlane(Sqlite(path=str(tmp_path / ("x" * 300))))
    assert "File name too long" in plane.health().message
