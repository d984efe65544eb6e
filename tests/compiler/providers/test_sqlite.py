"""SQLite: create, see what somebody changed, and refuse what cannot be read."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from backplane_compiler.apply import PlanBlockedError, StalePlanError
from backplane_compiler.infra.state import InfraState, Resource, Server, Target
from backplane_compiler.plan import PlanOptions, plan_text, summary
from backplane_compiler.providers.api import ProviderError
from backplane_compiler.providers.observe import observe_and_plan
from backplane_runtime.event_table import IndexProfile, TableOptions, create_statements, event_table
from backplane_runtime.settings import Sqlite
from tests.compiler.providers.live import KINDS, Live, event_tables

NAMES = ["ExperimentEvents", 'a "b" c', "Größe; DROP TABLE x", "order"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events ?#%41.db"


@pytest.fixture
def live(path: Path) -> Live:
    return Live("sqlite", Sqlite(path="${env:DB_PATH}"), {"DB_PATH": str(path)})


def wanted(
    name: str = "ExperimentEvents", *, idempotent: bool = True, indexes: IndexProfile = "default"
) -> list[Resource]:
    return event_tables("sqlite", TableOptions(schema=None, name=name, idempotent=idempotent, indexes=indexes))


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("idempotent", [True, False])
@pytest.mark.parametrize("indexes", ["default", "minimal"])
def test_after_apply_the_plan_is_empty(live: Live, name: str, idempotent: bool, indexes: IndexProfile) -> None:  # noqa: FBT001
    resources = wanted(name, idempotent=idempotent, indexes=indexes)
    plan = live.plan(resources)
    assert summary(plan) == f"{len(resources)} to create"
    assert live.apply(plan).succeeded
    assert live.plan(resources).is_empty
    assert live.plan(resources).targets[0].unmanaged == ()


def test_planning_makes_no_file(live: Live, path: Path) -> None:
    assert not live.plan(wanted()).is_empty
    assert not path.exists()


def test_what_the_runtime_creates_is_what_is_wanted(live: Live, path: Path) -> None:
    execute(path, *create_statements(event_table("sqlite", TableOptions(schema=None, name="ExperimentEvents"))))
    assert live.plan(wanted()).is_empty


def test_a_missing_index_is_created(live: Live, path: Path) -> None:
    live.apply(live.plan(wanted()))
    execute(path, 'DROP INDEX "IX_ExperimentEvents_CorrelationId"')
    assert live.drift(wanted()) == ["sqlite.index.ExperimentEvents.IX_ExperimentEvents_CorrelationId: does not exist"]
    plan = live.plan(wanted())
    assert summary(plan) == "1 to create"
    assert live.apply(plan).succeeded
    assert live.plan(wanted()).is_empty


def test_an_index_that_differs_is_seen_and_blocked(live: Live, path: Path) -> None:
    live.apply(live.plan(wanted()))
    execute(
        path,
        'DROP INDEX "IX_ExperimentEvents_CorrelationId"',
        'CREATE UNIQUE INDEX "IX_ExperimentEvents_CorrelationId" ON ExperimentEvents (CorrelationId DESC)',
    )
    plan = live.plan(wanted())
    assert plan.is_blocked
    assert [line.partition(": ")[2] for line in live.drift(wanted())] == [
        "columns is unique (CorrelationId DESC), the document says CorrelationId",
        "rows is all rows, the document says where CorrelationId IS NOT NULL",
    ]


def test_a_changed_table_is_seen_and_blocked_with_the_reason(live: Live, path: Path) -> None:
    """A column that is missing, one of another type, one without NOT NULL, no unique event id, and one column more."""
    execute(
        path,
        'CREATE TABLE "ExperimentEvents" (Id INTEGER PRIMARY KEY AUTOINCREMENT, EventId TEXT NOT NULL, Timestamp INTEGER NOT NULL,'
        " EventType TEXT NOT NULL, SchemaVersion TEXT, PayloadJson TEXT NOT NULL, MetadataJson TEXT,"
        " CreatedAt TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), Extra BLOB)",
    )
    plan = live.plan(wanted())
    assert live.drift(wanted(indexes="minimal")) == [
        f"sqlite.table.ExperimentEvents: {line}"
        for line in [
            "column CorrelationId is (none), the document says text null",
            "column SchemaVersion is text null, the document says text not null",
            "column Timestamp is integer not null, the document says text not null",
            "constraint unique (EventId) is (none), the document says unique (EventId)",
        ]
    ]
    assert "changed by a migration" in plan_text(plan, KINDS)
    assert [each.name for each in plan.targets[0].unmanaged] == ["column Extra"]
    with pytest.raises(PlanBlockedError):
        live.apply(plan)


def test_a_table_that_appears_between_plan_and_apply_is_refused(live: Live, path: Path) -> None:
    plan = live.plan(wanted())
    execute(path, 'CREATE TABLE "ExperimentEvents" (Id INTEGER)')
    with pytest.raises(StalePlanError, match="did not exist when the plan was made"):
        live.apply(plan)


@pytest.mark.parametrize(
    ("ddl", "owner"),
    [
        ('CREATE INDEX "ix_experimentevents_TIMESTAMP" ON other (x)', "index of other"),
        ('CREATE TABLE "IX_ExperimentEvents_Timestamp" (x)', "table"),
        ('CREATE VIEW "IX_ExperimentEvents_Timestamp" AS SELECT 1', "view"),
    ],
)
def test_a_name_that_is_taken_by_something_else_is_seen_and_blocked(
    live: Live, path: Path, ddl: str, owner: str
) -> None:
    """In SQLite everything shares one space of names, so `IF NOT EXISTS` is silent where another table has this one."""
    execute(path, "CREATE TABLE other (x)", ddl)
    assert live.plan(wanted()).is_blocked
    assert [line.partition(": ")[2] for line in live.drift(wanted()) if "does not exist" not in line] == [
        f"columns is (this name has {owner}), the document says Timestamp"
    ]


def test_a_view_of_the_tables_name_is_seen_and_blocked(live: Live, path: Path) -> None:
    execute(path, 'CREATE VIEW "ExperimentEvents" AS SELECT 1 AS x')
    plan = live.plan(wanted(indexes="minimal"))
    assert plan.is_blocked
    assert ("relation", "view") in [(each.name, each.value) for each in plan.targets[0].unmanaged]


def test_another_collation_takes_ids_for_equal_that_are_not(live: Live, path: Path) -> None:
    ddl = create_statements(event_table("sqlite", TableOptions(schema=None, name="ExperimentEvents")))
    execute(path, ddl[0].replace('"EventId" TEXT', '"EventId" TEXT COLLATE NOCASE'), *ddl[1:])
    assert [line.partition(": ")[2] for line in live.drift(wanted())] == [
        "constraint unique (EventId) is (none), the document says unique (EventId)"
    ]


@pytest.mark.parametrize(
    ("content", "said"), [(b"this is not a database, but long enough to be one" * 9, "is not an SQLite database")]
)
def test_a_file_that_is_no_database(live: Live, path: Path, content: bytes, said: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ProviderError, match=said):
        live.plan(wanted())
    assert path.read_bytes() == content


def test_a_folder_and_a_missing_folder(path: Path) -> None:
    path.mkdir()
    with pytest.raises(ProviderError, match="it is a folder"):
        Live("sqlite", Sqlite(path=str(path))).plan(wanted())
    nowhere = Live("sqlite", Sqlite(path=str(path / "no" / "events.db")))
    report = nowhere.apply(nowhere.plan(wanted()))
    assert "its folder does not exist" in str(report.results[0].reason)


def test_a_path_that_no_database_can_have_is_said(tmp_path: Path) -> None:
    """Each of these ended in a traceback of the standard library, and the pipe in waiting for ever."""
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    os.mkfifo(tmp_path / "pipe")
    for name, said in [
        ("a\0b", "no file can have this name"),
        ("x" * 300, "File name too long"),
        ("circle", "Too many levels of symbolic links"),
        ("pipe", "it is a device, a pipe or a socket"),
    ]:
        with pytest.raises(ProviderError) as caught:
            Live("sqlite", Sqlite(path="${env:DB_PATH}"), {"DB_PATH": str(tmp_path / name)}).plan(wanted())
        assert str(caught.value) == f"sqlite ${{env:DB_PATH}}: cannot be opened: {said}"


@pytest.mark.parametrize("name", ["a?b.db", "a#b.db", "a%41b.db", "a b.db", "ä€😀.db"])
def test_a_path_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    live = Live("sqlite", Sqlite(path=name))
    assert live.apply(live.plan(wanted())).succeeded
    assert live.plan(wanted()).is_empty
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_locked_database(live: Live, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backplane_compiler.providers.sqlite._BUSY_SECONDS", 0.1)
    execute(path, "CREATE TABLE other (x)")
    plan = live.plan(wanted())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ProviderError, match=r"\$\{env:DB_PATH\}: is locked by another program"):
            live.plan(wanted())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        report = live.apply(plan)
        assert "is locked by another program" in str(report.results[0].reason)
    assert live.apply(plan).succeeded


def test_another_file_is_another_system(live: Live, tmp_path: Path) -> None:
    plan = live.plan(wanted())
    elsewhere = Live("sqlite", live.settings, {"DB_PATH": str(tmp_path / "production.db")})
    with pytest.raises(StalePlanError, match="is another system"):
        elsewhere.apply(plan)


def test_one_file_by_two_names_is_not_planned_in_two_ways(tmp_path: Path) -> None:
    """Only the live system tells that they are one; one of the two would undo the other at every `apply`."""

    def target(path: str, resources: list[Resource]) -> Target:
        server = Server(family="sqlite", label=path)
        return Target(server=server, type="sqlite", settings=Sqlite(path=path), desired=InfraState.of(resources))

    known, options = {"DB": str(tmp_path / "a.db")}, PlanOptions(kinds=KINDS)
    first = target(known["DB"], wanted())
    assert len(observe_and_plan([first, target("${env:DB}", wanted())], known, options).targets) == 2
    with pytest.raises(ProviderError, match=r"`sqlite\.table\.ExperimentEvents` is wanted there in two ways"):
        observe_and_plan([first, target("${env:DB}", wanted(idempotent=False))], known, options)
