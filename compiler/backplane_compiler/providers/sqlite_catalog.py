"""An SQLite table as its catalog describes it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from backplane_compiler.infra.state import Value
from backplane_compiler.providers.sql_tables import FoundTable, Place
from backplane_runtime.event_table import Column, Constraint, EventTable, Index

# Names and strings, which may hold any word; what is left are keywords (sqlite.org/lang_keywords.html).
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]""")
_AUTOINCREMENT = re.compile(r"\bautoincrement\b", re.IGNORECASE)
_WHERE = re.compile(r"\)\s*WHERE\s+(.+)\Z", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class SqliteCatalog:
    """The catalog of one file.

    SQLite does not tell names apart that differ in case only, so neither does this. Conditions (`CHECK`) and foreign keys
    are not in the catalog's form and are not read.
    """

    connection: sqlite3.Connection

    def table(self, place: Place) -> FoundTable | None:
        """Return the table or view of that name, under the name as it was asked for; None where there is none."""
        row = self.connection.execute(
            "SELECT name, type, sql FROM sqlite_master WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE",
            [place[1]],
        ).fetchone()
        if row is None:
            return None
        name, kind, sql = row
        listed = self.connection.execute(
            'SELECT name, "unique", origin, partial FROM pragma_index_list(?) ORDER BY name', [name]
        ).fetchall()
        made = [(index, unique, partial) for index, unique, origin, partial in listed if origin == "c"]
        columns = self.connection.execute(
            'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_xinfo(?) ORDER BY cid', [name]
        ).fetchall()
        numbered = _AUTOINCREMENT.search(_QUOTED.sub("", sql)) is not None
        table = EventTable(
            dialect="sqlite",
            schema=None,
            name=place[1],
            columns=tuple(
                Column(name=column, type=type_, nullable=not not_null, identity=bool(key) and numbered, default=default)
                for column, type_, not_null, default, key in columns
            ),
            constraints=(
                *_primary_key([(key, column) for column, _, _, _, key in columns if key]),
                *_unique(self.connection, [index for index, _, origin, _ in listed if origin == "u"]),
            ),
            indexes=tuple(_index(self.connection, index, partial) for index, _, partial in made),
        )
        unique = {index for index, is_unique, _ in made if is_unique}
        return FoundTable(
            table=table,
            notes={"relation": "view"} if kind == "view" else {},
            index_notes={index.name: _unique_note(index) for index in table.indexes if index.name in unique},
        )

    def taken(self, place: Place, names: Sequence[str]) -> Mapping[str, str]:
        """Return those of *names* that anything in the file has: tables, views and indexes share their names."""
        del place
        rows = self.connection.execute("SELECT name, type, tbl_name FROM sqlite_master").fetchall()
        owners = {name.lower(): f"index of {table}" if kind == "index" else kind for name, kind, table in rows}
        return {name: owners[name.lower()] for name in names if name.lower() in owners}


def _unique_note(index: Index) -> Mapping[str, Value]:
    return {"columns": f"unique ({', '.join(index.columns)})"}


def _primary_key(columns: list[tuple[int, str]]) -> Iterator[Constraint]:
    if columns:
        yield Constraint(name="", kind="primaryKey", columns=tuple(column for _, column in sorted(columns)))


def _unique(connection: sqlite3.Connection, indexes: list[str]) -> Iterator[Constraint]:
    # The catalog keeps the name of the index that SQLite made, not that of the constraint.
    for index in indexes:
        yield Constraint(name="", kind="unique", columns=_index_columns(connection, index))


def _index(connection: sqlite3.Connection, name: str, partial: int) -> Index:
    where = None
    if partial:
        (sql,) = connection.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'index' AND name = ?", [name]
        ).fetchone()
        found = _WHERE.search(sql)
        where = found[1] if found else "?"
    return Index(name=name, columns=_index_columns(connection, name), where=where)


def _index_columns(connection: sqlite3.Connection, name: str) -> tuple[str, ...]:
    rows = connection.execute('SELECT name, "desc", coll FROM pragma_index_xinfo(?) WHERE "key" ORDER BY seqno', [name])
    return tuple(_index_column(*row) for row in rows)


def _index_column(name: str | None, descending: int, collation: str) -> str:
    # Another collation than the default takes ids for equal that are not.
    collated = "" if collation == "BINARY" else f" COLLATE {collation}"
    return f"{name or '(an expression)'}{collated}{' DESC' if descending else ''}"
