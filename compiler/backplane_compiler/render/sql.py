"""Artifacts of a database: a script that creates the event table and its indexes where they are missing.

PostgreSQL and SQLite get the very statements that the runtime runs for `autoMigrate`. SQL Server has no `IF NOT EXISTS` for
tables, so its script is a template of our own, in the shape that survives clients which go on after an error: one batch,
one transaction, guard and statement together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from backplane_compiler.infra.sql import INDEX, TABLE, definition
from backplane_compiler.infra.state import Target
from backplane_compiler.render.artifact import Artifact
from backplane_compiler.render.quoting import sql_name, tsql_name
from backplane_compiler.render.templates import render_template
from backplane_runtime.event_table import EventTable, Index, create_statements

# They exist in every database, and a writer need not be allowed to create any.
_OWN_SCHEMAS = frozenset({"dbo", "public"})


def render_sql(target: Target, folder: str) -> Iterator[Artifact]:
    """Yield `schema.sql` of *target* in *folder*."""
    dialect, tables = target.server.family, [*_tables(target)]
    schemas = sorted({table.schema for table in tables if table.schema} - _OWN_SCHEMAS)
    values = {"label": target.server.label, "schemas": schemas}
    if dialect == "sqlserver":
        text = render_template("sql/sqlserver/schema.sql.j2", tables=[_tsql(table) for table in tables], **values)
    else:
        _refuse_unquotable(tables)
        statements = [statement for table in tables for statement in create_statements(table)]
        text = render_template(f"sql/{dialect}/schema.sql.j2", statements=statements, **values)
    yield Artifact(path=f"{folder}/schema.sql", text=text)


def _tables(target: Target) -> Iterator[EventTable]:
    indexes: dict[str, list[Index]] = {}
    for resource in target.desired.resources:
        if resource.kind == INDEX:
            indexes.setdefault(resource.depends_on[0], []).extend(definition(resource).indexes)
    for resource in target.desired.resources:
        if resource.kind == TABLE:
            yield replace(definition(resource), indexes=tuple(indexes.get(resource.address, ())))


def _refuse_unquotable(tables: list[EventTable]) -> None:
    """Let `sql_name` refuse what `create_statements` would quote: it is the runtime's, and trusts its settings."""
    for table in tables:
        sql_name(table.name)
        sql_name(table.schema or table.name)


def _tsql(table: EventTable) -> dict[str, object]:
    """Return what the template needs of *table*; its parts of statements are complete and quoted."""
    name = f"{tsql_name(table.schema or 'dbo')}.{tsql_name(table.name)}"
    lines = [*_tsql_columns(table), *_tsql_constraints(table)]
    body = ",\n    ".join(lines)
    return {
        "name": name,
        "create": f"CREATE TABLE {name} (\n    {body}\n);",
        "indexes": [{"name": index.name, "create": _tsql_index(name, index)} for index in table.indexes],
    }


def _tsql_columns(table: EventTable) -> Iterator[str]:
    for column in table.columns:
        words = [tsql_name(column.name), column.type]
        words += ["IDENTITY(1,1)"] if column.identity else []
        words.append("NULL" if column.nullable else "NOT NULL")
        if column.default and column.default_name:
            words.append(f"CONSTRAINT {tsql_name(column.default_name)} DEFAULT {column.default}")
        yield " ".join(words)


def _tsql_constraints(table: EventTable) -> Iterator[str]:
    for constraint in table.constraints:
        columns = ", ".join(map(tsql_name, constraint.columns))
        kinds = {
            "primaryKey": f"PRIMARY KEY CLUSTERED ({columns})",
            "unique": f"UNIQUE NONCLUSTERED ({columns})",
            "check": f"CHECK ({constraint.check})",
        }
        yield f"CONSTRAINT {tsql_name(constraint.name)} {kinds[constraint.kind]}"


def _tsql_index(table: str, index: Index) -> str:
    columns = ", ".join(_tsql_index_column(column) for column in index.columns)
    where = f" WHERE {_tsql_where(index.where)}" if index.where else ""
    return f"CREATE NONCLUSTERED INDEX {tsql_name(index.name)} ON {table} ({columns}){where};"


def _tsql_index_column(column: str) -> str:
    name, _, direction = column.partition(" ")
    return f"{tsql_name(name)} {direction or 'ASC'}"


def _tsql_where(condition: str) -> str:
    column, _, rest = condition.partition(" ")
    return f"{tsql_name(column)} {rest}"
