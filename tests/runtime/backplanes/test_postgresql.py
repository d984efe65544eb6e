"""PostgreSQL, a real server: the contract, lost connections, secrets."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

psycopg = pytest.importorskip("psycopg")

from psycopg.conninfo import conninfo_to_dict  # noqa: E402 - needs the client

from backplane_runtime import DataPlane, Outcome  # noqa: E402
from backplane_runtime.backplanes.api import UnavailableError, Verdict  # noqa: E402
from backplane_runtime.backplanes.postgresql import PostgreSqlBackplane  # noqa: E402
from backplane_runtime.settings import Plane, PostgreSql  # noqa: E402
from backplane_runtime.testing import (  # noqa: E402
    ContractOptions,
    StoredEvent,
    check_backplane_contract,
    sample_records,
)
from tests.servers import PostgreSQLServer  # noqa: E402

PATIENT = Plane(close_timeout_ms=10_000, flush_interval_ms=20)
QUICK = Plane(close_timeout_ms=100, flush_interval_ms=20)


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        found: list[tuple[Any, ...]] = connection.execute(query).fetchall()
        return found


def stored(url: str) -> Iterator[StoredEvent]:
    for event_id, kind, payload in rows(
        url, "SELECT event_id, event_type, payload_json FROM experiment_events ORDER BY id"
    ):
        yield StoredEvent(event_id, kind, payload.encode())


@pytest.mark.parametrize("idempotent", [True, False])
def test_contract(postgresql: PostgreSQLServer, postgresql_url: str, idempotent: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """As every backplane; its server crashes once."""
    settings = PostgreSql(url=postgresql_url, auto_migrate=True, enable_idempotency=idempotent)
    backplane = PostgreSqlBackplane(settings)
    backplane.start()  # makes the table, which is read before the first event
    backplane.close(1)
    name = conninfo_to_dict(postgresql_url)["dbname"]
    with psycopg.connect(
        postgresql_url
    ) as connection:  # the test server itself acknowledges what is in its memory only
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = on")

    @contextmanager
    def crashed() -> Iterator[None]:
        postgresql.crash()
        yield
        postgresql.start_again()

    options = ContractOptions(outage=crashed)
    assert (
        check_backplane_contract(lambda: PostgreSqlBackplane(settings), lambda: stored(postgresql_url), options) == ()
    )


@pytest.mark.parametrize("name", ['100% "events"', "100%s", "%(a)s%%b"])
def test_odd_names_are_quoted(postgresql_url: str, name: str) -> None:
    """A percent sign and a quote in a table's name are a name, also where they look like a parameter."""
    settings = PostgreSql(url=postgresql_url, auto_migrate=True, table_name=name)
    with DataPlane(settings, plane=PATIENT) as plane:
        plane.outcome("e", subject="s", metric="m")
        assert plane.flush(), plane.health()
    quoted = name.replace('"', '""')
    assert rows(postgresql_url, f'SELECT count(*) FROM "{quoted}"') == [(1,)]  # noqa: S608 - quoted


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_events_are_utf_8_whatever_the_database_prefers(postgresql_url: str, encoding: str) -> None:
    """Nothing blocks the queue because a client's text cannot be said in an old encoding, and nothing counts as a repeat."""
    name = conninfo_to_dict(postgresql_url)["dbname"]
    with psycopg.connect(postgresql_url) as connection:
        connection.execute(f"ALTER DATABASE {name} SET client_encoding = '{encoding}'")
    with DataPlane(PostgreSql(url=postgresql_url, auto_migrate=True), plane=PATIENT) as plane:
        plane.outcome("größe", subject="€ 🙂", metric="m")
        assert plane.flush(), plane.health()
        counts = plane.ledger().by_backplane["postgresql"]
    assert (counts.acknowledged, counts.duplicates) == (1, 0)
    with psycopg.connect(postgresql_url, client_encoding="UTF8") as connection:
        found = connection.execute("SELECT payload_json FROM experiment_events").fetchone()
    assert found is not None
    assert json.loads(found[0])["subjectId"] == "€ 🙂"


def test_nul_in_a_payload_is_stored_and_in_a_column_is_poison(
    postgresql_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """JSON escapes it; a correlation id with it cannot be stored, and does not take others with it."""
    with DataPlane(PostgreSql(url=postgresql_url, auto_migrate=True), plane=PATIENT) as plane:
        plane.publish(Outcome("a", subject="\0", metric="m"))
        plane.publish(Outcome("b", subject="s", metric="m"), correlation="\0")
        plane.publish(Outcome("c", subject="s", metric="m"))
        assert plane.flush()
        assert (plane.ledger().total.acknowledged, plane.ledger().total.dropped) == (2, 1)
    payloads = [
        json.loads(payload)
        for (payload,) in rows(postgresql_url, "SELECT payload_json FROM experiment_events ORDER BY id")
    ]
    assert [(one["experimentName"], one["subjectId"]) for one in payloads] == [("a", "\0"), ("c", "s")]
    assert "cannot store" in caplog.text


def test_what_no_index_can_hold_is_poison(postgresql_url: str) -> None:
    """A correlation id has an index; one of 20,000 random letters does not hold up the others for ever."""
    with DataPlane(PostgreSql(url=postgresql_url, auto_migrate=True), plane=PATIENT) as plane:
        plane.publish(Outcome("a", subject="s", metric="m"), correlation=secrets.token_urlsafe(20_000))
        plane.publish(Outcome("b", subject="s", metric="m"))
        assert plane.flush()
        assert (plane.ledger().total.acknowledged, plane.ledger().total.dropped) == (1, 1)


def test_a_repeat_without_idempotency_meets_a_table_with_it(postgresql_url: str) -> None:
    """It is a duplicate, not a reason to wait for ever; a clash of other columns is no duplicate."""
    records = sample_records(3)
    for idempotent in (True, False):
        settings = PostgreSql(url=postgresql_url, auto_migrate=True, enable_idempotency=idempotent)
        backplane = PostgreSqlBackplane(settings)
        backplane.start()
        expected = Verdict.ACKNOWLEDGED if idempotent else Verdict.DUPLICATE
        assert backplane.send(records) == [expected] * 3
        if not idempotent:
            with psycopg.connect(postgresql_url) as connection:
                connection.execute("ALTER TABLE experiment_events ALTER id RESTART WITH 1")
            with pytest.raises(UnavailableError, match="unique"):
                backplane.send(sample_records(1))
        backplane.close(0)


def test_the_address_wins(postgresql_url: str) -> None:
    """What it says about the connection is not overruled."""
    settings = PostgreSql(url=f"{postgresql_url}?application_name=mine&connect_timeout=3", auto_migrate=True)
    backplane = PostgreSqlBackplane(settings)
    backplane.start()
    assert backplane._connection is not None
    given = backplane._connection.info.get_parameters()
    backplane.close(0)
    assert (given["application_name"], given["connect_timeout"]) == ("mine", "3")


def test_an_event_that_the_server_quotes_is_not_logged(postgresql_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """The detail of a server's message holds the whole row."""
    with DataPlane(PostgreSql(url=postgresql_url, auto_migrate=True), plane=QUICK) as plane:
        plane.outcome("a", subject="s", metric="m")
        assert plane.flush()
        with psycopg.connect(postgresql_url) as connection:
            connection.execute("ALTER TABLE experiment_events ADD CHECK (payload_json NOT LIKE '%private%')")
        plane.outcome("b", subject="private", metric="m")
        assert not plane.flush(0.5)
        assert "check constraint" in str(plane.health())
        assert "private" not in str(plane.health()) + caplog.text


def test_a_killed_connection_is_mended_without_duplicates(postgresql_url: str) -> None:
    """What was sent again is there once."""
    with DataPlane(PostgreSql(url=postgresql_url, auto_migrate=True), plane=PATIENT) as plane:
        for number in range(10):
            plane.outcome(f"e{number}", subject="s", metric="m")
        assert plane.flush()
        killed = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'experiment-backplane'"
        )
        assert rows(postgresql_url, killed) == [(True,)]
        for number in range(10, 20):
            plane.outcome(f"e{number}", subject="s", metric="m")
        assert plane.flush(timeout=15)
        assert plane.ledger().total.acknowledged == 20
    names = [
        json.loads(payload)["experimentName"]
        for (payload,) in rows(postgresql_url, "SELECT payload_json FROM experiment_events ORDER BY id")
    ]
    assert names == [f"e{number}" for number in range(20)]


def test_a_connection_killed_in_the_middle_of_a_batch(postgresql_url: str) -> None:
    """The batch waits for a lock when its connection dies; it is stored once, by the next one."""
    with DataPlane(PostgreSql(url=postgresql_url, auto_migrate=True), plane=PATIENT) as plane:
        plane.outcome("first", subject="s", metric="m")
        assert plane.flush()
        with psycopg.connect(postgresql_url) as connection:
            connection.execute("LOCK TABLE experiment_events")
            for number in range(5):
                plane.outcome(f"e{number}", subject="s", metric="m")
            assert not plane.flush(timeout=0.3)
            waiting = "application_name = 'experiment-backplane' AND wait_event_type = 'Lock'"
            killed = rows(postgresql_url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {waiting}")  # noqa: S608
            assert killed == [(True,)]
        assert plane.flush(timeout=15)
    assert rows(postgresql_url, "SELECT count(*), count(DISTINCT event_id) FROM experiment_events") == [(6, 6)]


def test_a_batch_that_was_committed_unseen_is_not_stored_twice(postgresql_url: str) -> None:
    """The connection may be lost after the commit and before its answer."""
    settings = PostgreSql(url=postgresql_url, auto_migrate=True)
    first, second = PostgreSqlBackplane(settings), PostgreSqlBackplane(settings)
    records = sample_records(10)
    first.send(records)
    assert {verdict.name for verdict in second.send(records) if not isinstance(verdict, str)} == {"DUPLICATE"}  # type: ignore[union-attr]  # a verdict
    assert len(list(stored(postgresql_url))) == 10
    first.close(1)
    second.close(1)


def test_a_missing_table_is_said(postgresql_url: str) -> None:
    """And events wait."""
    plane = DataPlane(PostgreSql(url=postgresql_url), plane=PATIENT)
    plane.outcome("e", subject="s", metric="m")
    assert not plane.flush(timeout=0.5)
    health = plane.health()
    assert (
        health.message
        == 'postgresql: no table "public"."experiment_events"; run `backplane apply`, or set `autoMigrate: true`'
    )
    assert health.backplanes["postgresql"].details["lastError"] in health.message
    DataPlane(PostgreSql(url=postgresql_url, auto_migrate=True), plane=PATIENT).outcome(
        "other", subject="s", metric="m"
    )
    assert plane.flush(timeout=15)
    plane.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:s3cret-word@127.0.0.1:1/db",
        "host=127.0.0.1 port=1 password=s3cret-word",
        "s3cret-word",
        "postgresql://user:s3cret-word@127.0.0.1:notaport/db",
        "postgresql://user:s3cret-word@[::1/db",
    ],
)
def test_no_secret_is_said(url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in health, not in the log; whether the address is understood or not."""
    monkeypatch.setenv("EVENTS_URL", url)
    caplog.set_level("DEBUG")
    plane = DataPlane(PostgreSql(url="${env:EVENTS_URL}"), plane=Plane(flush_interval_ms=1, close_timeout_ms=100))
    plane.outcome("e", subject="s", metric="m")
    plane.flush(timeout=0.5)
    health = plane.health()
    plane.close()
    assert not health.healthy
    assert "s3cret-word" not in f"{health} {caplog.text}"
    assert "takes no events" in caplog.text
