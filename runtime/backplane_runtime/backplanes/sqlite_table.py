"""The event table as SQLite describes it."""

from __future__ import annotations

import sqlite3

from backplane_runtime.backplanes.table_check import FoundColumn, FoundTable, TableCheck
from backplane_runtime.event_table import EventTable

_STRICT_SINCE = (3, 37)
_STRICT = "STRICT "  # before a type: the table takes no value of another one
_GENERATED = (2, 3)  # `hidden` in pragma_table_xinfo: virtual, stored


def table_check(table: EventTable) -> TableCheck:
    """Return the check of *table*."""
    return TableCheck(table=table, takes=_takes, fold=str.casefold)


def find_table(connection: sqlite3.Connection, name: str) -> FoundTable | None:
    """Return the table *name* as it is there, or nothing if it is not.

    Raises:
        sqlite3.Error: if the file cannot be read.
    """
    query = 'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?)'
    rows = connection.execute(query, (name,)).fetchall()
    if not rows:
        return None
    strict = _STRICT if _is_strict(connection, name) else ""
    return FoundTable(
        columns=tuple(
            FoundColumn(
                name=column,
                type=strict + type_,
                is_nullable=not not_null,
                is_filled=default is not None or hidden in _GENERATED or (key == 1 and type_.upper() == "INTEGER"),
            )
            for column, type_, not_null, default, key, hidden in rows
        ),
        has_unique_id=_has_unique_id(connection, name),
    )


def _is_strict(connection: sqlite3.Connection, name: str) -> bool:
    if sqlite3.sqlite_version_info < _STRICT_SINCE:
        return False
    query = "SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND name = ? COLLATE NOCASE AND strict"
    return connection.execute(query, (name,)).fetchone() is not None


def _has_unique_id(connection: sqlite3.Connection, name: str) -> bool:
    query = """
        SELECT 1 FROM pragma_index_list(?) AS i
         WHERE i."unique" AND NOT i.partial AND
               (SELECT group_concat(lower(name)) FROM pragma_index_info(i.name)) = 'eventid'
    """
    return connection.execute(query, (name,)).fetchone() is not None


def _takes(logical: str, type_: str) -> bool:
    """Say whether text stays as it is in a column of this type (sqlite.org/datatype3.html, "Column Affinity")."""
    is_strict, kind = type_.startswith(_STRICT), type_.removeprefix(_STRICT).upper()
    if is_strict:
        return kind in ("TEXT", "ANY")
    if "INT" in kind:
        return False
    if any(part in kind for part in ("CHAR", "CLOB", "TEXT", "BLOB")) or not kind:
        return True
    return logical == "Timestamp" and kind in ("DATETIME", "TIMESTAMP", "DATE")  # numeric, and ours is no number
