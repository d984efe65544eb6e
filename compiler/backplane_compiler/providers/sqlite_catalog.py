"""An SQLite table as its catalog describes it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

from backplane_runtime.event_table import Column, Constraint, EventTable, Index

# Names and strings, which may hold any word; what is left are keywords (sqlite.org/lang_keywords.html).
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]""")
_AUTOINCREMENT = re.compile(r"\bautoincrement\b", re.IGNORECASE)
_WHERE = re.compile(r"\)\s*WHERE\s+(.+)\Z", re.IGNORECASE | re.DOTALL)


def read_table(connection: sqlite3.Connection, name: str) -> tuple[EventTable, frozenset[str]] | None:
    """Return the table *name* with its indexes, and the names of the unique ones; None where there is no such table.

    SQLite does not tell names apart that differ in case only, so neither does this; the result has the name as it was asked
    for. Conditions (`CHECK`) and foreign keys are not in the catalog's form and are not read.
    """
    row = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE", [name]
    ).fetchone()
    if row is None:
        return None
    numbered = _AUTOINCREMENT.search(_QUOTED.sub("", row[1])) is not None
    columns = connection.execute(
        'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_xinfo(?) ORDER BY cid', [row[0]]
    ).fetchall()
    listed = connection.execute(
        'SELECT name, "unique", origin, partial FROM pragma_index_list(?) ORDER BY name', [row[0]]
    ).fetchall()
    table = EventTable(
        dialect="sqlite",
        schema=None,
        name=name,
        columns=tuple(
            Column(name=column, type=type_, nullable=not not_null, identity=bool(key) and numbered, default=default)
            for column, type_, not_null, default, key in columns
        ),
        constraints=(
            *_primary_key([(key, column) for column, _, _, _, key in columns if key]),
            *_unique(connection, [index for index, _, origin, _ in listed if origin == "u"]),
        ),
        indexes=tuple(_index(connection, index, partial) for index, _, origin, partial in listed if origin == "c"),
    )
    return table, frozenset(index for index, unique, origin, _ in listed if unique and origin == "c")


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
    rows = connection.execute('SELECT name, "desc" FROM pragma_index_xinfo(?) WHERE "key" ORDER BY seqno', [name])
    return tuple(f"{column or '(an expression)'}{' DESC' if descending else ''}" for column, descending in rows)
