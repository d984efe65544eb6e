"""A PostgreSQL table as its catalog describes it (PostgreSQL documentation, chapter "System Catalogs")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import psycopg

from backplane_compiler.infra.state import Value
from backplane_compiler.providers.sql_tables import FoundTable, Place
from backplane_runtime.event_table import Column, Constraint, EventTable, Index

# Not only tables: whatever else has the name, `CREATE TABLE IF NOT EXISTS` passes over it in silence.
_TABLE = """
SELECT c.oid, c.relkind::text, c.relpersistence::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s
"""
# Relations of one schema share their names, indexes with them.
_TAKEN = """
SELECT c.relname, c.relkind::text, t.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
WHERE n.nspname = %s AND c.relname = ANY(%s) ORDER BY c.relname
"""
_RELATIONS: Mapping[str, str] = MappingProxyType(
    {
        "r": "table",
        "p": "partitioned table",
        "v": "view",
        "m": "materialized view",
        "f": "foreign table",
        "S": "sequence",
        "i": "index",
        "I": "partitioned index",
        "c": "composite type",
    }
)
_COLUMNS = """
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, a.attidentity = 'a',
       pg_catalog.pg_get_expr(d.adbin, d.adrelid)
FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
# From PostgreSQL 18 the catalog also lists NOT NULL, which columns say.
_CONSTRAINTS = """
SELECT c.conname, c.contype::text, c.condeferrable, pg_catalog.pg_get_expr(c.conbin, c.conrelid),
       pg_catalog.pg_get_constraintdef(c.oid),
       ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(c.conkey) WITH ORDINALITY AS k(number, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number ORDER BY k.place)
FROM pg_catalog.pg_constraint c WHERE c.conrelid = %s AND c.contype IN ('p', 'u', 'c', 'f', 'x') ORDER BY c.conname
"""
# Bit 0 of `indoption` is DESC, bit 1 NULLS FIRST, which belongs to DESC; 0 in `indkey` is an expression.
_INDEXES = """
SELECT c.relname, i.indisunique, m.amname, i.indisvalid, pg_catalog.pg_get_expr(i.indpred, i.indrelid),
       ARRAY(SELECT COALESCE(a.attname::text, '(an expression)') ||
                    CASE WHEN i.indoption[k.place] & 1 = 1 THEN ' DESC' ELSE '' END ||
                    CASE i.indoption[k.place] WHEN 1 THEN ' NULLS LAST' WHEN 2 THEN ' NULLS FIRST' ELSE '' END
             FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) AS k(place)
             LEFT JOIN pg_catalog.pg_attribute a
               ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.place] AND a.attnum > 0
             ORDER BY k.place)
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_am m ON m.oid = c.relam
WHERE i.indrelid = %s
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
ORDER BY c.relname
"""


class _ConstraintRow(NamedTuple):
    """A row of `_CONSTRAINTS`."""

    name: str
    kind: str
    deferrable: bool
    condition: str | None
    text: str
    columns: list[str]

    def constraint(self) -> Constraint | None:
        """Return the constraint; None for one that an event table has no word for."""
        # A key that is checked late is no arbiter for `ON CONFLICT`, which the runtime inserts with.
        if self.kind not in {"p", "u", "c"} or self.deferrable:
            return None
        if self.kind == "c":
            return Constraint(name=self.name, kind="check", check=self.condition)
        kind: Literal["primaryKey", "unique"] = "primaryKey" if self.kind == "p" else "unique"
        return Constraint(name=self.name, kind=kind, columns=tuple(self.columns))


class _IndexRow(NamedTuple):
    """A row of `_INDEXES`."""

    name: str
    unique: bool
    method: str
    valid: bool
    where: str | None
    columns: list[str]

    def notes(self) -> Iterator[tuple[str, Value]]:
        """Yield what an `Index` has no word for."""
        words = ["unique"] * self.unique + [self.method] * (self.method != "btree")
        if words:
            yield "columns", f"{' '.join(words)} ({', '.join(self.columns)})"
        if not self.valid:
            yield "rows", "none (the index is invalid: its build failed, or is under way)"


@dataclass(frozen=True, slots=True)
class PostgreSqlCatalog:
    """The catalog as one session sees it."""

    cursor: psycopg.Cursor[Any]

    def table(self, place: Place) -> FoundTable | None:
        """Return what has the table's name at *place*, with its indexes; None where nothing has."""
        schema, name = place
        row = self.cursor.execute(_TABLE, [schema, name]).fetchone()
        if row is None:
            return None
        oid, relation, persistence = row
        columns = self.cursor.execute(_COLUMNS, [oid]).fetchall()
        constraints = [_ConstraintRow(*each) for each in self.cursor.execute(_CONSTRAINTS, [oid]).fetchall()]
        indexes = [_IndexRow(*each) for each in self.cursor.execute(_INDEXES, [oid]).fetchall()]
        table = EventTable(
            dialect="postgresql",
            schema=schema,
            name=name,
            columns=tuple(
                Column(name=column, type=type_, nullable=nullable, identity=identity, default=default)
                for column, type_, nullable, identity, default in columns
            ),
            constraints=tuple(made for each in constraints if (made := each.constraint()) is not None),
            indexes=tuple(Index(name=each.name, columns=tuple(each.columns), where=each.where) for each in indexes),
        )
        further = {f"constraint {each.name}": each.text for each in constraints if each.constraint() is None}
        return FoundTable(
            table=table,
            notes={**further, **dict(_table_notes(relation, persistence))},
            index_notes={each.name: dict(each.notes()) for each in indexes},
        )

    def taken(self, place: Place, names: Sequence[str]) -> Mapping[str, str]:
        """Return those of *names* that relations of the table's schema have, and which."""
        rows = self.cursor.execute(_TAKEN, [place[0], [*names]]).fetchall()
        return {
            name: f"{_RELATIONS.get(kind, kind)} of {table}" if table else _RELATIONS.get(kind, kind)
            for name, kind, table in rows
        }


def _table_notes(relation: str, persistence: str) -> Iterator[tuple[str, Value]]:
    if relation != "r":
        yield "relation", _RELATIONS.get(relation, relation)
    if persistence == "u":
        yield "persistence", "unlogged"  # emptied by a crash of the server
