"""A PostgreSQL table as its catalog describes it (PostgreSQL documentation, chapter "System Catalogs")."""

from __future__ import annotations

from typing import Any

import psycopg

from backplane_runtime.event_table import Column, Constraint, EventTable, Index

_TABLE = """
SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p')
"""
_COLUMNS = """
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, a.attidentity = 'a',
       pg_catalog.pg_get_expr(d.adbin, d.adrelid)
FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
# Primary keys, unique constraints and conditions; from PostgreSQL 18 the catalog also lists NOT NULL, which columns say.
_CONSTRAINTS = """
SELECT c.conname, c.contype::text, pg_catalog.pg_get_expr(c.conbin, c.conrelid),
       ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(c.conkey) WITH ORDINALITY AS k(number, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number ORDER BY k.place)
FROM pg_catalog.pg_constraint c WHERE c.conrelid = %s AND c.contype IN ('p', 'u', 'c') ORDER BY c.conname
"""
# Bit 0 of `indoption` is DESC; 0 in `indkey` is an expression.
_INDEXES = """
SELECT c.relname, i.indisunique, pg_catalog.pg_get_expr(i.indpred, i.indrelid),
       ARRAY(SELECT COALESCE(a.attname::text, '(an expression)') ||
                    CASE WHEN i.indoption[k.place] & 1 = 1 THEN ' DESC' ELSE '' END
             FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) AS k(place)
             LEFT JOIN pg_catalog.pg_attribute a
               ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.place] AND a.attnum > 0
             ORDER BY k.place)
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = %s AND i.indisvalid
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
ORDER BY c.relname
"""


def read_table(cursor: psycopg.Cursor[Any], place: tuple[str | None, str]) -> tuple[EventTable, frozenset[str]] | None:
    """Return the table at *place* with its indexes, and the names of the unique ones; None where there is none.

    An index that the server has marked as invalid, after a build that failed, is as good as none and is left out.
    """
    schema, name = place
    row = cursor.execute(_TABLE, [schema, name]).fetchone()
    if row is None:
        return None
    indexes = cursor.execute(_INDEXES, row).fetchall()
    table = EventTable(
        dialect="postgresql",
        schema=schema,
        name=name,
        columns=tuple(
            Column(name=column, type=type_, nullable=nullable, identity=identity, default=default)
            for column, type_, nullable, identity, default in cursor.execute(_COLUMNS, row).fetchall()
        ),
        constraints=tuple(_constraint(*found) for found in cursor.execute(_CONSTRAINTS, row).fetchall()),
        indexes=tuple(Index(name=index, columns=tuple(columns), where=where) for index, _, where, columns in indexes),
    )
    return table, frozenset(index for index, unique, _, _ in indexes if unique)


def _constraint(name: str, kind: str, condition: str | None, columns: list[str]) -> Constraint:
    match kind:
        case "p":
            return Constraint(name=name, kind="primaryKey", columns=tuple(columns))
        case "u":
            return Constraint(name=name, kind="unique", columns=tuple(columns))
        case _:
            return Constraint(name=name, kind="check", check=condition)
