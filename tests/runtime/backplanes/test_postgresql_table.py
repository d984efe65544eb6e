"""PostgreSQL, a real server: a table ahead of us or behind, what one may do with it, and a server that goes."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

psycopg = pytest.importorskip("psycopg")

from psycopg import conninfo  # noqa: E402 - needs the client

from backplane_runtime.backplanes.api import Rejected, UnavailableError, Verdict  # noqa: E402
from backplane_runtime.backplanes.postgresql import GRACE_SECONDS, PostgreSqlBackplane  # noqa: E402
from backplane_runtime.envelope import Context, Record, encode_record  # noqa: E402
from backplane_runtime.events import Outcome  # noqa: E402
from backplane_runtime.settings import PostgreSql  # noqa: E402
from backplane_runtime.testing import sample_records  # noqa: E402
from tests.runtime.backplanes.processes import run_at_once  # noqa: E402
from tests.servers import PostgreSQLServer  # noqa: E402

TABLE = 'table "public"."experiment_events"'
ALTER = "ALTER TABLE experiment_events"


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        found: list[tuple[Any, ...]] = connection.execute(query).fetchall()
        return found


@contextmanager
def opened(url: str, **options: Any) -> Iterator[PostgreSqlBackplane]:
    backplane = PostgreSqlBackplane(PostgreSql(url=url, **options))
    try:
        yield backplane
    finally:
        backplane.close(1)


def make_table(url: str) -> None:
    with opened(url, auto_migrate=True) as backplane:
        backplane.start()


def refusal(url: str, **options: Any) -> str:
    """Return what health says, after seeing that it is unhealthy and that `start` and `send` say the same."""
    with opened(url, **options) as backplane:
        health = backplane.health(5)
        with pytest.raises(UnavailableError) as at_start:
            backplane.start()
        with pytest.raises(UnavailableError) as at_send:
            backplane.send(sample_records(3))
    assert not health.healthy
    assert str(at_start.value) == str(at_send.value) == health.message
    return health.message


@pytest.mark.parametrize(
    "change", ["ADD region text", "ADD region text NOT NULL DEFAULT 'eu'", "ALTER id DROP IDENTITY"]
)
def test_a_table_that_is_ahead_works(postgresql_url: str, change: str) -> None:
    """Columns that we do not know, and that need nothing of us, are information."""
    make_table(postgresql_url)
    if "IDENTITY" in change:
        change = f"{change}, ALTER id SET DEFAULT 1, DROP CONSTRAINT experiment_events_pk"
    execute(postgresql_url, f"{ALTER} {change}")
    ahead = "region" in change
    with opened(postgresql_url) as backplane:
        health = backplane.health(5)
        assert backplane.send(sample_records(3)) == [Verdict.ACKNOWLEDGED] * 3
    assert health.healthy
    assert ("ahead of this version: unknown columns region" in health.message) is ahead
    assert health.details == ({"unknownColumns": ["region"]} if ahead else {})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "ADD region text NOT NULL",
            "column `region` is NOT NULL without a default, and this version does not fill it",
        ),
        ("DROP metadata_json", "no column `metadata_json` (text): run `backplane apply`"),
        ("RENAME payload_json TO payload", "no column `payload_json` (text): run `backplane apply`"),
        ("ALTER payload_json TYPE jsonb USING payload_json::jsonb", "column `payload_json` is jsonb and not text"),
        ('ALTER "timestamp" TYPE timestamp', "column `timestamp` is timestamp without time zone and not timestamptz"),
        ("ALTER event_id TYPE varchar(20)", "column `event_id` is character varying(20) and not text"),
        ("ALTER payload_json TYPE varchar(9000)", "column `payload_json` is character varying(9000) and not text"),
        ("ALTER correlation_id SET NOT NULL", "column `correlation_id` is NOT NULL, and not every event has one"),
        (
            "DROP CONSTRAINT experiment_events_uq_event_id",
            "no unique index on `event_id` alone: run `backplane apply`, or set `enableIdempotency: false`",
        ),
        (
            "DROP CONSTRAINT experiment_events_uq_event_id, ADD UNIQUE (event_id, event_type)",
            "no unique index on `event_id` alone",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_said(postgresql_url: str, change: str, said: str) -> None:
    """With the column and what to do, before the first event and as the reason why it waits."""
    make_table(postgresql_url)
    execute(postgresql_url, f"{ALTER} {change}")
    assert refusal(postgresql_url).startswith(f"{TABLE}: {said}")


def test_all_that_does_not_fit_is_said_at_once(postgresql_url: str) -> None:
    """Nobody mends a table one message after another."""
    make_table(postgresql_url)
    execute(postgresql_url, f"{ALTER} DROP metadata_json, DROP correlation_id, ADD region text NOT NULL")
    said = refusal(postgresql_url)
    assert all(name in said for name in ("metadata_json", "correlation_id", "region"))


def test_a_table_that_changes_while_it_is_written_to(postgresql_url: str) -> None:
    """The reason of the very batch that fails is the column, and when it is mended the next one is stored."""
    make_table(postgresql_url)
    with opened(postgresql_url) as backplane:
        assert backplane.send(sample_records(2)) == [Verdict.ACKNOWLEDGED] * 2
        execute(postgresql_url, f"{ALTER} ADD region text NOT NULL DEFAULT 'eu'")
        execute(postgresql_url, f"{ALTER} ALTER region DROP DEFAULT")
        with pytest.raises(UnavailableError, match="column `region` is NOT NULL"):
            backplane.send(sample_records(2))
        execute(postgresql_url, f"{ALTER} DROP region")
        assert backplane.send(sample_records(2)) == [Verdict.ACKNOWLEDGED] * 2


def test_a_hand_made_table_that_fits(postgresql_url: str) -> None:
    """Other types that take the same, a domain, a partition: none of it is our business."""
    execute(
        postgresql_url,
        """
        CREATE DOMAIN words AS text;
        CREATE TABLE experiment_events (
            event_id varchar(100) UNIQUE, "timestamp" timestamptz, event_type varchar(50), schema_version varchar,
            payload_json words, correlation_id text, metadata_json text)
        """,
    )
    with opened(postgresql_url) as backplane:
        assert backplane.health(5).healthy
        assert backplane.send(sample_records(3)) == [Verdict.ACKNOWLEDGED] * 3


@contextmanager
def writer(postgresql: PostgreSQLServer, url: str) -> Iterator[str]:
    """Yield the address for a user who may do nothing yet."""
    name = f"writer_{os.urandom(4).hex()}"
    postgresql.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'writers-word'")
    try:
        yield conninfo.make_conninfo(url, user=name, password="writers-word")
    finally:
        execute(url, f"DROP OWNED BY {name}")
        postgresql.execute(f"DROP ROLE {name}")


def test_missing_permissions_are_named(postgresql: PostgreSQLServer, postgresql_url: str) -> None:
    """One after the other is granted; with the last, and no other, events are stored."""
    make_table(postgresql_url)
    execute(postgresql_url, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
    with writer(postgresql, postgresql_url) as url:
        user = conninfo.conninfo_to_dict(url)["user"]
        assert refusal(url) == f"{TABLE}: may not use its schema: GRANT USAGE ON SCHEMA to this user"
        execute(postgresql_url, f"GRANT USAGE ON SCHEMA public TO {user}")
        assert "may not insert into it: GRANT INSERT to this user; may not read `event_id`" in refusal(url)
        execute(postgresql_url, f"GRANT INSERT ON experiment_events TO {user}")
        assert refusal(url) == f"{TABLE}: may not read `event_id`: GRANT SELECT to this user"
        execute(postgresql_url, f"GRANT SELECT (event_id) ON experiment_events TO {user}")
        for auto_migrate in (False, True):  # who finds a table need not be able to make one
            with opened(url, auto_migrate=auto_migrate) as backplane:
                assert backplane.health(5).healthy
                assert backplane.send(sample_records(3)) == [Verdict.ACKNOWLEDGED] * 3


MIGRATOR = """
import sys
from backplane_runtime.backplanes.postgresql import PostgreSqlBackplane
from backplane_runtime.settings import PostgreSql
from backplane_runtime.testing import sample_records
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    backplane = PostgreSqlBackplane(PostgreSql(url=sys.argv[1], auto_migrate=True, table_name=f"t{number}"))
    backplane.start()
    assert len(backplane.send(sample_records(2))) == 2
    backplane.close(1)
print("done")
"""


def test_processes_that_migrate_at_once(postgresql_url: str) -> None:
    """All start at the first attempt, table after table, and all rows are there."""
    run_at_once(4, MIGRATOR, postgresql_url)
    for number in range(20):
        assert rows(postgresql_url, f"SELECT count(*) FROM t{number}") == [(8,)]  # noqa: S608 - a number


def test_a_reason_quotes_no_data(postgresql_url: str) -> None:
    """Not in the verdict of an event that cannot be stored, nor in the reason of one that cannot be stored now."""
    make_table(postgresql_url)
    event = Outcome("e", subject="pr1vate", metric="m")
    with opened(postgresql_url) as backplane:
        (verdict,) = backplane.send([encode_record(event, event, Context("pr1vate\0"))])
        assert verdict == Rejected("DataError: a value that PostgreSQL cannot store")
        execute(postgresql_url, f"{ALTER} ADD CONSTRAINT quiet CHECK (payload_json NOT LIKE '%pr1vate%')")
        with pytest.raises(UnavailableError) as caught:
            backplane.send([encode_record(event, event)])
    assert "quiet" in str(caught.value)
    assert "pr1vate" not in str(caught.value)


def numbered(first: int, last: int) -> list[Record]:
    events = [Outcome(f"e{number}", subject="s", metric="m") for number in range(first, last)]
    return [encode_record(event, event) for event in events]


def test_what_is_stored_before_a_fault_is_not_handed_over_again(postgresql_url: str) -> None:
    """Where one event that is poison has each stored alone, and another one cannot be stored now."""
    make_table(postgresql_url)
    event = Outcome("e1", subject="s", metric="m")
    records = [*numbered(0, 1), encode_record(event, event, Context("\0")), *numbered(2, 4)]
    execute(postgresql_url, f"{ALTER} ADD CONSTRAINT quiet CHECK (payload_json NOT LIKE '%e2%')")
    with opened(postgresql_url, enable_idempotency=False) as backplane:
        first, poison, *left = backplane.send(records)
        assert first is Verdict.ACKNOWLEDGED
        assert isinstance(poison, Rejected)
        assert left == [Verdict.RETRY] * 2
        with pytest.raises(UnavailableError, match="quiet"):
            backplane.send(records[2:])
        execute(postgresql_url, f"{ALTER} DROP CONSTRAINT quiet")
        assert backplane.send(records[2:]) == [Verdict.ACKNOWLEDGED] * 2
    found = rows(postgresql_url, "SELECT event_id FROM experiment_events ORDER BY id")
    assert found == [(records[index].event_id,) for index in (0, 2, 3)]


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), RuntimeError("can't start new thread")])
def test_a_process_that_has_no_room_for_a_watch_waits(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Of files or threads: no event is to blame, and none is given up for it."""

    def fail(*_: object) -> int:
        raise error

    make_table(postgresql_url)
    with opened(postgresql_url) as backplane:
        backplane.start()
        with monkeypatch.context() as patched:
            patched.setattr(*((os, "dup", fail) if isinstance(error, OSError) else (threading.Thread, "start", fail)))
            with pytest.raises(UnavailableError, match=str(error.args[-1])):
                backplane.send(numbered(0, 2))
        assert backplane.send(numbered(0, 2)) == [Verdict.ACKNOWLEDGED] * 2


def test_a_server_that_crashes_in_the_middle(postgresql: PostgreSQLServer, postgresql_url: str) -> None:
    """Three times, and starts again: all that was acknowledged is there, once and in order, by one backplane."""
    name = conninfo.conninfo_to_dict(postgresql_url)["dbname"]
    # The test server acknowledges what is in its memory only; this database does not.
    execute(postgresql_url, f"ALTER DATABASE {name} SET synchronous_commit = on")
    make_table(postgresql_url)
    records, acknowledged, done = numbered(0, 3000), [], threading.Event()

    def publish() -> None:
        with opened(postgresql_url) as backplane:
            for start in range(0, len(records), 10):
                part = records[start : start + 10]
                acknowledged.extend(stored_at_last(backplane, part))
        done.set()

    thread = threading.Thread(target=publish)
    thread.start()
    for crash in range(3):
        wait_until(lambda reached=500 * (crash + 1): len(acknowledged) >= reached)
        postgresql.crash()
        postgresql.start_again()
    thread.join(60)
    assert done.is_set()
    found = [event_id for (event_id,) in rows(postgresql_url, "SELECT event_id FROM experiment_events ORDER BY id")]
    assert found == [record.event_id for record in records]
    assert set(acknowledged) <= {Verdict.ACKNOWLEDGED, Verdict.DUPLICATE}


def stored_at_last(backplane: PostgreSqlBackplane, records: list[Record]) -> list[Any]:
    deadline = time.monotonic() + 60
    while True:
        try:
            return list(backplane.send(records))
        except UnavailableError:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def backend_pids(url: str) -> list[int]:
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'experiment-backplane'"
    return [pid for (pid,) in rows(url, query)]


def test_a_server_that_stands_still(postgresql_url: str) -> None:
    """`send` gives up after its time, though nobody closes the connection; then it goes on, and nothing is twice."""
    make_table(postgresql_url)
    with opened(postgresql_url, command_timeout_seconds=1) as backplane:
        assert backplane.send(numbered(0, 3)) == [Verdict.ACKNOWLEDGED] * 3
        (pid,) = backend_pids(postgresql_url)
        records = numbered(3, 6)
        os.kill(pid, signal.SIGSTOP)
        try:
            started = time.monotonic()
            with pytest.raises(UnavailableError, match=r"gave no answer within 3\.0 s"):
                backplane.send(records)
            assert time.monotonic() - started < 1 + GRACE_SECONDS + 1
        finally:
            os.kill(pid, signal.SIGCONT)
        assert stored_at_last(backplane, records) in ([Verdict.ACKNOWLEDGED] * 3, [Verdict.DUPLICATE] * 3)
    assert rows(postgresql_url, "SELECT count(*), count(DISTINCT event_id) FROM experiment_events") == [(6, 6)]


def test_published_twice_crashed_and_replayed_is_one_row(postgresql_url: str) -> None:
    """By the constraint, for the ids that the events have; each repeat is counted as one."""
    make_table(postgresql_url)
    records = numbered(0, 20)
    verdicts = []
    for part in (records[:10], records, records):
        with opened(postgresql_url) as backplane:
            verdicts.append(list(backplane.send(part)))
    new, old = Verdict.ACKNOWLEDGED, Verdict.DUPLICATE
    assert verdicts == [[new] * 10, [old] * 10 + [new] * 10, [old] * 20]
    assert rows(postgresql_url, "SELECT count(*) FROM experiment_events") == [(20,)]
