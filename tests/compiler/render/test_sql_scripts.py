"""The scripts of the databases that are here, run; of SQL Server, read."""

import re
import sqlite3
from typing import Any

import psycopg
import pytest

from backplane_compiler.infra.sql import index_resources, table_resource
from backplane_compiler.render import render_artifacts
from backplane_runtime.event_table import (
    Column,
    Constraint,
    EventTable,
    Index,
    TableOptions,
    create_statements,
    event_table,
)
from tests.compiler.models import backplane, targets

NASTY = "a\"b]c'; DROP TABLE t; -- $(touch x)\n{%"


def script(*backplanes: Any) -> str:
    """Return the one script that *backplanes* compile to."""
    (artifact,) = render_artifacts(targets(*backplanes))
    return artifact.text


def sqlite_catalog(*scripts: str) -> list[Any]:
    """Return what SQLite says is there after *scripts* have run."""
    connection = sqlite3.connect(":memory:")
    for each in scripts:
        connection.executescript(each)
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()
    connection.close()
    return rows


@pytest.mark.parametrize("name", ["ExperimentEvents", NASTY])
def test_sqlite_is_left_as_auto_migrate_leaves_it_and_a_second_run_changes_nothing(name: str) -> None:
    text = script(backplane("sqlite", {"tableName": name}))
    table = event_table("sqlite", TableOptions(schema=None, name=name))
    migrated = sqlite_catalog(";".join(create_statements(table)))
    assert sqlite_catalog(text) == sqlite_catalog(text, text) == migrated
    assert ("table", name) in {row[:2] for row in migrated}


def test_two_tables_of_one_database_are_one_script() -> None:
    two = script(
        backplane("sqlite", {"tableName": "One"}), backplane("sqlite", {"tableName": "Two"}, {"indexes": "minimal"})
    )
    names = {row[1] for row in sqlite_catalog(two)}
    assert {"One", "Two", "IX_One_Timestamp"} <= names
    assert "IX_Two_Timestamp" not in names


def test_postgresql_is_left_as_auto_migrate_leaves_it_and_a_second_run_changes_nothing(postgresql_url: str) -> None:
    name, schema = 'odd "name"', "o'ps"
    text = script(backplane("postgresql", {"url": "postgresql://h/db", "schema": schema, "tableName": name}))
    table = event_table("postgresql", TableOptions(schema=schema, name=name))
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(text.encode())
        connection.execute(text.encode())
        found = read_postgresql(connection, schema, name)
        connection.execute('DROP SCHEMA "o\'ps" CASCADE; CREATE SCHEMA "o\'ps"')
        for statement in create_statements(table):
            connection.execute(statement.encode())
        migrated = read_postgresql(connection, schema, name)
    assert found == migrated
    # What a catalog says is, in canonical text, what the document asks for.
    assert table_resource(found) == table_resource(table)
    wanted = {index.address: index for index in index_resources(table)}
    assert {index.address: index for index in index_resources(found)} == wanted


def read_postgresql(connection: "psycopg.Connection[Any]", schema: str, name: str) -> EventTable:
    """Return the table as PostgreSQL's catalog has it."""
    place = connection.execute(
        "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s AND relname = %s",
        (schema, name),
    ).fetchone()
    columns = connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull, attidentity <> '', pg_get_expr(adbin, adrelid)"
        " FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
        " WHERE attrelid = %s AND attnum > 0 ORDER BY attnum",
        place,
    )
    constraints = connection.execute(
        "SELECT conname, contype::text, (SELECT array_agg(attname::text) FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY(conkey))"
        " FROM pg_constraint WHERE conrelid = %s AND contype IN ('p', 'u') ORDER BY contype",
        place,
    )
    indexes = connection.execute(
        "SELECT c.relname, (SELECT string_agg(pg_get_indexdef(indexrelid, k, true) || CASE WHEN indoption[k - 1] & 1 = 1"
        " THEN ' DESC' ELSE '' END, ',' ORDER BY k) FROM generate_series(1, indnkeyatts) k), pg_get_expr(indpred, indrelid)"
        " FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = %s AND NOT indisunique ORDER BY 1",
        place,
    )
    return EventTable(
        dialect="postgresql",
        schema=schema,
        name=name,
        columns=tuple(
            Column(name=row[0], type=row[1], nullable=row[2], identity=row[3], default=row[4]) for row in columns
        ),
        constraints=tuple(
            Constraint(name=row[0], kind="primaryKey" if row[1] == "p" else "unique", columns=tuple(row[2]))
            for row in constraints
        ),
        indexes=tuple(
            Index(name=row[0], columns=tuple(row[1].replace('"', "").split(",")), where=row[2]) for row in indexes
        ),
    )


def test_sql_server_has_one_guard_for_each_statement_and_a_name_for_each_constraint() -> None:
    text = script(backplane("sqlServer", {"connectionString": "Server=db", "schema": "o'p]s"}))
    made = re.findall(r"IF (\w+)[^\n]*\n        EXEC \(N'CREATE (\w+)", text)
    assert made == [("SCHEMA_ID", "SCHEMA"), ("OBJECT_ID", "TABLE"), *[("NOT", "NONCLUSTERED")] * 3]
    assert not re.search(r"^\s*GO\s*$", text, re.MULTILINE)
    assert "SET XACT_ABORT ON" in text
    assert "IF NOT EXISTS (SELECT 1 FROM sys.indexes" in text
    for kind in ("PRIMARY KEY", "UNIQUE", "DEFAULT"):
        assert len(re.findall(rf"CONSTRAINT \[\w+\] {kind}", text)) == text.count(f" {kind} ") == 1
    # The name inside of a statement that is itself a string.
    assert "EXEC (N'CREATE SCHEMA [o''p]]s];');" in text
    assert "NTEXT" not in text.upper()


@pytest.mark.parametrize("name", ["a\nGO\n", "$(x)", "a\0b"])
def test_names_that_no_script_can_carry_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        script(backplane("sqlServer", {"connectionString": "Server=db", "tableName": name}))
    if "\0" in name:
        with pytest.raises(ValueError, match="cannot be"):
            script(backplane("sqlite", {"tableName": name}))
