"""PostgreSQL: create, see what somebody changed, and say in one line why it cannot be reached."""

from __future__ import annotations

import socket
import threading
import time
from urllib.parse import quote, urlsplit

import psycopg
import pytest

from backplane_compiler.infra.state import Resource
from backplane_compiler.plan import plan_text, summary
from backplane_compiler.providers.api import ProviderError
from backplane_runtime.event_table import TableOptions, create_statements, event_table
from backplane_runtime.settings import PostgreSql
from tests.compiler.providers.live import KINDS, Live, event_tables
from tests.servers import PostgreSQLServer

OPTIONS = TableOptions(schema="public", name="experiment_events")


@pytest.fixture
def live(postgresql_url: str) -> Live:
    return at(postgresql_url)


def at(url: str, schema: str = "public") -> Live:
    password = urlsplit(url).password or "none"
    return Live("postgresql", PostgreSql(url=url.replace(password, "${env:PW}"), schema=schema), {"PW": password})


def wanted(options: TableOptions = OPTIONS) -> list[Resource]:
    return event_tables("postgresql", options)


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        TableOptions(schema="public", name='ev "q" Ö; %s', idempotent=False),
        TableOptions(schema="public", name="order", indexes="minimal"),
        TableOptions(schema='An "odd" schema', name="Events"),
    ],
)
def test_after_apply_the_plan_is_empty(postgresql_url: str, options: TableOptions) -> None:
    live = at(postgresql_url, options.schema or "")
    plan = live.plan(wanted(options))
    assert summary(plan) == f"{len(wanted(options))} to create"
    assert ("is not there yet" in plan_text(plan, KINDS)) == (options.schema != "public")
    assert live.apply(plan).succeeded
    again = live.plan(wanted(options))
    assert again.is_empty, plan_text(again, KINDS)
    assert again.targets[0].unmanaged == ()
    assert "PostgreSQL" in again.targets[0].description
    assert "is not there yet" not in again.targets[0].description


def test_what_the_runtime_creates_is_what_is_wanted(live: Live, postgresql_url: str) -> None:
    execute(postgresql_url, *create_statements(event_table("postgresql", OPTIONS)))
    assert live.plan(wanted()).is_empty


def test_changes_by_hand_are_seen_and_what_can_be_mended_is(live: Live, postgresql_url: str) -> None:
    live.apply(live.plan(wanted()))
    execute(postgresql_url, "DROP INDEX ix_experiment_events_timestamp")
    assert live.drift(wanted()) == [
        "postgresql.index.public.experiment_events.ix_experiment_events_timestamp: does not exist"
    ]
    assert live.apply(live.plan(wanted())).succeeded
    assert live.plan(wanted()).is_empty


def test_changed_columns_and_constraints_are_seen_and_blocked(live: Live, postgresql_url: str) -> None:
    live.apply(live.plan(wanted()))
    execute(
        postgresql_url,
        "ALTER TABLE experiment_events DROP COLUMN metadata_json, ADD COLUMN extra jsonb DEFAULT '{}',"
        " ALTER COLUMN event_type TYPE varchar(50), ALTER COLUMN payload_json DROP NOT NULL,"
        " ALTER COLUMN created_at DROP DEFAULT, DROP CONSTRAINT experiment_events_uq_event_id",
        "DROP INDEX ix_experiment_events_event_type_timestamp",
        "CREATE INDEX ix_experiment_events_event_type_timestamp ON experiment_events (lower(event_type) DESC, timestamp)",
    )
    lines = live.drift(wanted())
    (index,) = (line for line in lines if "index" in line)
    assert index.endswith(": columns is (an expression) DESC, timestamp, the document says event_type, timestamp DESC")
    said = [line.partition(": ")[2] for line in lines if "table" in line.partition(": ")[0]]
    assert said == [
        "column created_at is timestamp with time zone null, the document says timestamp with time zone null default now()",
        "column event_type is character varying(50) not null, the document says text not null",
        "column metadata_json is (none), the document says text null",
        "column payload_json is text null, the document says text not null",
        "constraint experiment_events_uq_event_id is (none), the document says unique (event_id)",
    ]
    plan = live.plan(wanted())
    assert plan.is_blocked
    assert [each.name for each in plan.targets[0].unmanaged] == ["column extra"]


def test_an_ordinary_user_may_plan_and_is_told_what_it_may_not(
    postgresql: PostgreSQLServer, postgresql_url: str
) -> None:
    user = "reader_" + urlsplit(postgresql_url).path.removeprefix("/")
    postgresql.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'reader-secret'")
    try:
        parts = urlsplit(postgresql_url)
        live = at(f"postgresql://{user}:reader-secret@{parts.hostname}:{parts.port}{parts.path}")
        plan = live.plan(wanted())
        assert plan.targets[0].identity == at(postgresql_url).plan(wanted()).targets[0].identity
        report = live.apply(plan)
        assert "permission denied for schema public" in str(report.results[0].reason)
    finally:
        postgresql.execute(f"DROP ROLE {user}")


def test_nothing_is_half_done_when_a_statement_fails(live: Live, postgresql_url: str) -> None:
    execute(postgresql_url, "CREATE TABLE ix_experiment_events_timestamp (x int)")
    report = live.apply(live.plan(wanted()))
    assert not report.succeeded
    assert any("something of this name exists" in str(result.reason) for result in report.results)


def test_a_lock_is_waited_for_and_then_said(live: Live, postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backplane_compiler.providers.postgresql._LOCK_MILLISECONDS", 300)
    live.apply(live.plan(wanted()))
    execute(postgresql_url, "DROP INDEX ix_experiment_events_timestamp")
    plan = live.plan(wanted())
    with psycopg.connect(postgresql_url) as other:
        other.execute("LOCK TABLE experiment_events IN ROW EXCLUSIVE MODE")
        report = live.apply(plan)
    assert "lock timeout" in str(report.results[0].reason)
    assert live.apply(plan).succeeded


def refusal(live: Live) -> str:
    started = time.monotonic()
    with pytest.raises(ProviderError) as caught:
        live.plan(wanted())
    assert time.monotonic() - started < 10
    said = f"{caught.value} {caught.value.hint}"
    assert "\n" not in said
    error: BaseException | None = caught.value
    while error is not None:
        assert not [value for value in live.environment.values() if value in str(error)]
        error = error.__cause__ if error.__suppress_context__ else error.__context__
    return said


def test_a_wrong_password_and_a_wrong_database(postgresql_url: str) -> None:
    parts = urlsplit(postgresql_url)
    where = f"{parts.hostname}:{parts.port}"
    assert "password authentication failed" in refusal(at(f"postgresql://{parts.username}:wrong-one@{where}/postgres"))
    assert 'database "nope" does not exist' in refusal(at(postgresql_url.replace(parts.path, "/nope")))


def test_nobody_there() -> None:
    assert "Connection refused" in refusal(at("postgresql://u:secret-pw@127.0.0.1:1/d"))
    assert "cannot be resolved" in refusal(at("postgresql://u:secret-pw@no-such-host.invalid/d"))


def test_a_port_that_is_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer() -> None:
        connection, _ = web.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.recv(1000)

    with socket.create_server(("127.0.0.1", 0)) as web:
        thread = threading.Thread(target=answer)
        thread.start()
        url = f"postgresql://u:secret-pw@127.0.0.1:{web.getsockname()[1]}/d?gssencmode=disable"
        assert "received invalid response" in refusal(at(url))
        thread.join()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setattr("backplane_compiler.providers.postgresql._CONNECT_SECONDS", 2)
        assert "no answer within" in refusal(at(f"postgresql://u:secret-pw@127.0.0.1:{mute.getsockname()[1]}/d"))


@pytest.mark.parametrize("password", ["pa#ss-one", "pa/ss-one", "pa@ss-one", "pa:ss-one", "pa%zz-one", "pa?x=y-one"])
def test_a_password_that_breaks_the_url_is_not_shown(password: str) -> None:
    live = Live("postgresql", PostgreSql(url="postgresql://u:${env:PW}@127.0.0.1:1/d"), {"PW": password})
    with pytest.raises(ProviderError) as caught:
        live.plan(wanted())
    for part in ("ss-one", "zz-one", "y-one"):
        assert part not in f"{caught.value} {caught.value.hint}"


def test_an_escaped_password_is_fine(postgresql: PostgreSQLServer, postgresql_url: str) -> None:
    user = "odd_" + urlsplit(postgresql_url).path.removeprefix("/")
    postgresql.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'a@b:c/d#e%'")
    try:
        parts = urlsplit(postgresql_url)
        url = f"postgresql://{user}:${{env:PW}}@{parts.hostname}:{parts.port}{parts.path}"
        live = Live("postgresql", PostgreSql(url=url), {"PW": quote("a@b:c/d#e%", safe="")})
        assert not live.plan(wanted()).is_empty
    finally:
        postgresql.execute(f"DROP ROLE {user}")
