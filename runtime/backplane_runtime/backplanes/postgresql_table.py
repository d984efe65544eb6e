"""The event table as PostgreSQL's catalogue describes it, and what this user may do with it."""

from __future__ import annotations

import re
from typing import Any

import psycopg

from backplane_runtime.backplanes.rows import COLUMNS
from backplane_runtime.backplanes.table_check import FoundColumn, FoundTable, TableCheck
from backplane_runtime.event_table import EventTable, column_name

# A domain counts as what it is made of. Every user may read the catalogue, whatever else is forbidden.
_COLUMNS = """
SELECT a.attname,
       pg_catalog.format_type(CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END,
                              CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE a.atttypmod END),
       NOT a.attnotnull, a.atthasdef OR a.attidentity <> '',
       pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
       pg_catalog.has_column_privilege(c.oid, a.attnum, 'INSERT'),
       pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT'),
       EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid
               AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum AND i.indpred IS NULL)
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
 WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'f')
 ORDER BY a.attnum
"""
_LIMITED = re.compile(r"character varying\((\d+)\)\Z")
# How long our values get; payload and metadata have no bound, so a column for them must have none.
_WIDTHS = {"EventId": 36, "EventType": 14, "SchemaVersion": 5, "CorrelationId": 100}


def table_check(table: EventTable) -> TableCheck:
    """Return the check of *table*."""
    return TableCheck(table=table, takes=_takes)


def find_table(connection: psycopg.Connection, table: EventTable) -> FoundTable | None:
    """Return *table* as it is there, or nothing if it is not.

    Raises:
        psycopg.Error: if the server cannot be asked.
    """
    rows = connection.execute(_COLUMNS, (table.schema, table.name)).fetchall()
    if not rows:
        return None
    event_id = column_name("postgresql", "EventId")
    return FoundTable(
        columns=tuple(FoundColumn(name=row[0], type=row[1], is_nullable=row[2], is_filled=row[3]) for row in rows),
        has_unique_id=any(row[0] == event_id and row[7] for row in rows),
        denied=tuple(_denied(rows, event_id)),
    )


def _denied(rows: list[tuple[Any, ...]], event_id: str) -> list[str]:
    ours = {column_name("postgresql", logical) for logical in COLUMNS}
    if not rows[0][4]:
        return ["use its schema: GRANT USAGE ON SCHEMA to this user"]
    denied = []
    if not all(row[5] for row in rows if row[0] in ours):
        denied.append("insert into it: GRANT INSERT to this user")
    if not all(row[6] for row in rows if row[0] == event_id):  # for ON CONFLICT, and for RETURNING
        denied.append(f"read `{event_id}`: GRANT SELECT to this user")
    return denied


def _takes(logical: str, type_: str) -> bool:
    if logical == "Timestamp":
        return type_ == "timestamp with time zone"
    if limited := _LIMITED.match(type_):
        return logical in _WIDTHS and int(limited[1]) >= _WIDTHS[logical]
    return type_ in ("text", "character varying", "citext")
