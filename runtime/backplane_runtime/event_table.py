"""The event table: one meaning, in three dialects.

The runtime inserts into it and creates it where `autoMigrate` is on; the compiler lowers the same definition to resources,
artifacts and plans. SQL Server has the names and types of the specification; SQLite keeps the names; PostgreSQL uses its own
convention of lower-case names. Every constraint has a name, so that it can be changed later without looking it up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Dialect = Literal["sqlserver", "postgresql", "sqlite"]
IndexProfile = Literal["minimal", "default", "analytics"]

EVENT_ID_LENGTH = 100  # the specification: nvarchar(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: `type` and `default` are SQL of its dialect, `identity` numbers rows by insertion."""

    name: str
    type: str
    nullable: bool = False
    identity: bool = False
    default: str | None = None
    default_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A named constraint: `columns` for a key, `check` for a condition."""

    name: str
    kind: Literal["primaryKey", "unique", "check"]
    columns: tuple[str, ...] = ()
    check: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A secondary index; a column may end in ` DESC`, and `where` makes it partial (SQL Server: filtered)."""

    name: str
    columns: tuple[str, ...]
    where: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTable:
    """The whole table in one dialect."""

    dialect: Dialect
    schema: str | None
    name: str
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...]
    indexes: tuple[Index, ...]


# Logical column -> (SQL Server, PostgreSQL, SQLite). SQL Server: the specification, section "Database Schema"; the
# binary collation keeps ids apart that differ in case only, which the server's default collation would treat as equal.
_TYPES: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "Id": ("bigint", "bigint", "INTEGER"),
        "EventId": (f"nvarchar({EVENT_ID_LENGTH}) COLLATE Latin1_General_100_BIN2", "text", "TEXT"),
        "Timestamp": ("datetimeoffset", "timestamptz", "TEXT"),
        "EventType": ("nvarchar(50)", "text", "TEXT"),
        "SchemaVersion": ("nvarchar(20)", "text", "TEXT"),
        "PayloadJson": ("nvarchar(max)", "text", "TEXT"),
        "CorrelationId": ("nvarchar(100)", "text", "TEXT"),
        "MetadataJson": ("nvarchar(max)", "text", "TEXT"),
        "CreatedAt": ("datetimeoffset", "timestamptz", "TEXT"),
    }
)
_NULLABLE = frozenset({"CorrelationId", "MetadataJson"})
_NOW: Mapping[Dialect, str] = MappingProxyType(
    {
        "sqlserver": "SYSDATETIMEOFFSET()",
        "postgresql": "now()",
        "sqlite": "(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))",
    }
)
_DIALECTS: tuple[Dialect, ...] = ("sqlserver", "postgresql", "sqlite")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOptions:
    """What a document may choose about the table; the rest is fixed."""

    schema: str | None
    name: str
    idempotent: bool = True
    indexes: IndexProfile = "default"


def column_name(dialect: Dialect, logical: str) -> str:
    """Return the name of the *logical* column (`EventId`) in *dialect* (`event_id` in PostgreSQL)."""
    if dialect != "postgresql":
        return logical
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in logical).lstrip("_")


def event_table(dialect: Dialect, options: TableOptions) -> EventTable:
    """Return the event table of *dialect* as *options* ask for it."""
    return EventTable(
        dialect=dialect,
        schema=options.schema,
        name=options.name,
        columns=tuple(_column(dialect, logical, options.name) for logical in _TYPES),
        constraints=tuple(_constraints(dialect, options)),
        indexes=tuple(_indexes(dialect, options)),
    )


def create_statements(table: EventTable) -> tuple[str, ...]:
    """Return the statements that create *table* and its indexes where they are missing; PostgreSQL and SQLite only."""
    if table.dialect == "sqlserver":
        raise ValueError("SQL Server has no `IF NOT EXISTS` for tables; its script is an artifact of the compiler")
    parts = [_column_sql(column, table.dialect) for column in table.columns]
    parts += [_constraint_sql(constraint) for constraint in table.constraints if not _is_rowid_key(table, constraint)]
    body = ",\n    ".join(parts)
    return (
        f"CREATE TABLE IF NOT EXISTS {qualified_name(table)} (\n    {body}\n)",
        *(_index_sql(table, index) for index in table.indexes),
    )


def qualified_name(table: EventTable) -> str:
    """Return the quoted name of *table*, with its schema where it has one."""
    return f"{quoted(table.schema)}.{quoted(table.name)}" if table.schema else quoted(table.name)


def quoted(identifier: str) -> str:
    """Return *identifier* in double quotes, as standard SQL has it; a quote inside is doubled."""
    return '"' + identifier.replace('"', '""') + '"'


def _column(dialect: Dialect, logical: str, table: str) -> Column:
    created = logical == "CreatedAt"
    return Column(
        name=column_name(dialect, logical),
        type=_TYPES[logical][_DIALECTS.index(dialect)],
        # The specification writes CreatedAt without NOT NULL; it has a default, and we keep it as written.
        nullable=logical in _NULLABLE or created,
        identity=logical == "Id",
        default=_NOW[dialect] if created else None,
        default_name=f"DF_{table}_CreatedAt" if created and dialect == "sqlserver" else None,
    )


def _constraints(dialect: Dialect, options: TableOptions) -> list[Constraint]:
    def named(kind: str) -> str:
        return f"{options.name}_{kind.lower()}" if dialect == "postgresql" else f"{kind}_{options.name}"

    keys = [Constraint(name=named("PK"), kind="primaryKey", columns=(column_name(dialect, "Id"),))]
    if options.idempotent:
        event_id = column_name(dialect, "EventId")
        keys.append(Constraint(name=f"{named('UQ')}_{event_id}", kind="unique", columns=(event_id,)))
    return keys


def _indexes(dialect: Dialect, options: TableOptions) -> list[Index]:
    if options.indexes == "minimal":
        return []
    event_type, timestamp = column_name(dialect, "EventType"), column_name(dialect, "Timestamp")
    correlation = column_name(dialect, "CorrelationId")
    name = f"ix_{options.name}" if dialect == "postgresql" else f"IX_{options.name}"
    return [
        Index(name=f"{name}_{event_type}_{timestamp}", columns=(event_type, f"{timestamp} DESC")),
        Index(name=f"{name}_{timestamp}", columns=(timestamp,)),
        Index(name=f"{name}_{correlation}", columns=(correlation,), where=f"{correlation} IS NOT NULL"),
    ]


def _is_rowid_key(table: EventTable, constraint: Constraint) -> bool:
    # SQLite: only `INTEGER PRIMARY KEY` written at the column is the rowid itself (sqlite.org/lang_createtable.html).
    return table.dialect == "sqlite" and constraint.kind == "primaryKey"


def _column_sql(column: Column, dialect: Dialect) -> str:
    words = [quoted(column.name), column.type]
    if column.identity:
        words.append("PRIMARY KEY AUTOINCREMENT" if dialect == "sqlite" else "GENERATED ALWAYS AS IDENTITY")
    if not column.nullable and not column.identity:
        words.append("NOT NULL")
    if column.default is not None:
        words.append(f"DEFAULT {column.default}")
    return " ".join(words)


def _constraint_sql(constraint: Constraint) -> str:
    if constraint.kind == "check":
        return f"CONSTRAINT {quoted(constraint.name)} CHECK ({constraint.check})"
    kind = "PRIMARY KEY" if constraint.kind == "primaryKey" else "UNIQUE"
    return f"CONSTRAINT {quoted(constraint.name)} {kind} ({', '.join(map(quoted, constraint.columns))})"


def _index_sql(table: EventTable, index: Index) -> str:
    columns = ", ".join(_index_column(column) for column in index.columns)
    where = f" WHERE {_where(index.where)}" if index.where else ""
    return f"CREATE INDEX IF NOT EXISTS {quoted(index.name)} ON {qualified_name(table)} ({columns}){where}"


def _index_column(column: str) -> str:
    name, _, direction = column.partition(" ")
    return f"{quoted(name)} {direction}" if direction else quoted(name)


def _where(condition: str) -> str:
    column, _, rest = condition.partition(" ")
    return f"{quoted(column)} {rest}"
