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


DDL = create_statements(event_table("postgresql", OPTIONS))
TIMESTAMP_INDEX = "ix_experiment_events_timestamp"


@pytest.mark.parametrize(
    ("ddl", "relation"),
    [
        ("CREATE VIEW experiment_events AS SELECT 1 AS x", "view"),
        ("CREATE MATERIALIZED VIEW experiment_events AS SELECT 1 AS x", "materialized view"),
        ("CREATE SEQUENCE experiment_events", "sequence"),
        ("CREATE TABLE experiment_events (id bigint) PARTITION BY RANGE (id)", "partitioned table"),
    ],
)
def test_what_is_no_table_and_has_its_name_is_seen_and_blocked(
    live: Live, postgresql_url: str, ddl: str, relation: str
) -> None:
    """`CREATE TABLE IF NOT EXISTS` would pass over it in silence, so a plan that creates would never become empty."""
    execute(postgresql_url, ddl)
    plan = live.plan(wanted())
    assert plan.is_blocked
    assert ("relation", relation) in [(each.name, each.value) for each in plan.targets[0].unmanaged]


@pytest.mark.parametrize(
    ("ddl", "owner"),
    [
        (f"CREATE INDEX {TIMESTAMP_INDEX} ON other (x)", "index of other"),
        (f"CREATE TABLE {TIMESTAMP_INDEX} (x int)", "table"),
    ],
)
def test_an_index_name_that_is_taken_is_seen_and_blocked(live: Live, postgresql_url: str, ddl: str, owner: str) -> None:
    execute(postgresql_url, "CREATE TABLE other (x int)", ddl)
    assert live.plan(wanted()).is_blocked
    (line,) = (line for line in live.drift(wanted()) if "does not exist" not in line)
    assert line.endswith(f": columns is (this name has {owner}), the document says timestamp")


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ("INDEX {} ON experiment_events USING brin (timestamp)", "columns is brin (timestamp)"),
        ("INDEX {} ON experiment_events (timestamp NULLS FIRST)", "columns is timestamp NULLS FIRST"),
        ("INDEX {} ON experiment_events (timestamp DESC)", "columns is timestamp DESC"),
        ("UNIQUE INDEX {} ON experiment_events (timestamp)", "columns is unique (timestamp)"),
    ],
)
def test_an_index_of_our_name_that_is_another_is_seen(
    live: Live, postgresql_url: str, definition: str, said: str
) -> None:
    """A unique one above all: it would refuse the second event of a moment."""
    execute(postgresql_url, *DDL, f"DROP INDEX {TIMESTAMP_INDEX}", f"CREATE {definition.format(TIMESTAMP_INDEX)}")
    assert live.drift(wanted()) == [
        f"postgresql.index.public.experiment_events.{TIMESTAMP_INDEX}: {said}, the document says timestamp"
    ]


def test_an_index_that_is_invalid_is_seen_and_blocked(live: Live, postgresql_url: str) -> None:
    execute(postgresql_url, *DDL, f"DROP INDEX {TIMESTAMP_INDEX}")
    execute(postgresql_url, "INSERT INTO experiment_events (event_id, timestamp, event_type, schema_version, payload_json)"
            " SELECT g::text, now(), '', '', '' FROM generate_series(1, 2) g")  # fmt: skip
    with pytest.raises(psycopg.errors.DivisionByZero):
        execute(postgresql_url, f"CREATE INDEX CONCURRENTLY {TIMESTAMP_INDEX} ON experiment_events ((1 / (id - 1)))")
    assert live.plan(wanted()).is_blocked
    assert any("rows is none (the index is invalid" in line for line in live.drift(wanted()))


def test_other_words_for_the_same_columns_are_no_difference(live: Live, postgresql_url: str) -> None:
    table = DDL[0].replace("text NOT NULL", "varchar NOT NULL").replace("timestamptz", "timestamptz(6)")
    execute(postgresql_url, table.replace("now()", "CURRENT_TIMESTAMP"), *DDL[1:])
    assert live.plan(wanted()).is_empty


def test_what_a_table_has_beside_the_document_is_shown_and_left_alone(live: Live, postgresql_url: str) -> None:
    execute(
        postgresql_url,
        DDL[0].replace("CREATE TABLE", "CREATE UNLOGGED TABLE"),
        *DDL[1:],
        "ALTER TABLE experiment_events ADD CONSTRAINT one EXCLUDE (event_type WITH =)",
    )
    plan = live.plan(wanted())
    assert plan.is_empty
    assert [(each.name, each.value) for each in plan.targets[0].unmanaged] == [
        ("constraint one", "EXCLUDE USING btree (event_type WITH =)"),
        ("persistence", "unlogged"),
    ]


def test_a_key_that_is_checked_late_is_not_the_one_that_inserting_needs(live: Live, postgresql_url: str) -> None:
    execute(postgresql_url, DDL[0].replace('UNIQUE ("event_id")', 'UNIQUE ("event_id") DEFERRABLE'), *DDL[1:])
    assert live.plan(wanted()).is_blocked


def test_two_backplanes_on_one_database_may_have_two_schemas(live: Live) -> None:
    """They are one target, with the settings of the first; the schema of the second was never created."""
    both = [*wanted(TableOptions(schema="a", name="e")), *wanted(TableOptions(schema="b", name="e"))]
    assert live.apply(live.plan(both)).succeeded
    assert live.plan(both).is_empty


def test_how_a_database_spells_names_is_no_difference(
    live: Live, postgresql: PostgreSQLServer, postgresql_url: str
) -> None:
    postgresql.execute(f"ALTER DATABASE {urlsplit(postgresql_url).path[1:]} SET quote_all_identifiers = on")
    assert live.apply(live.plan(wanted())).succeeded
    assert live.plan(wanted()).is_empty


def test_the_encoding_that_a_database_prefers_is_none_of_ours(
    live: Live, postgresql: PostgreSQLServer, postgresql_url: str
) -> None:
    postgresql.execute(f"ALTER DATABASE {urlsplit(postgresql_url).path[1:]} SET client_encoding = 'SQL_ASCII'")
    assert live.apply(live.plan(wanted())).succeeded
    assert live.plan(wanted()).is_empty


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
    assert "No such file or directory" in refusal(at("postgresql://u:secret-pw@/d?host=/no-such-folder"))
    assert "cannot be used" in refusal(at("postgresql://u:secret-pw@127.0.0.1:1/d?connect_timeout=long"))


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


@pytest.mark.parametrize(
    "password", ["pa#ss-one", "pa/ss-one", "pa@ss-one", "pa:ss-one", "pa%zz-one", "pa?x=y-one", "pa\ud800ss-one"]
)
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
