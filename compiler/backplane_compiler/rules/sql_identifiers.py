"""Names of tables and schemas, and of what is named after them, within what each database takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from backplane_compiler.diagnostics import Diagnostic
from backplane_compiler.model.connection import server_label
from backplane_compiler.model.model import Backplane, Model
from backplane_compiler.rules.finding import error, is_open, place, without_address
from backplane_compiler.schema.provisioning import SqlProvisioning
from backplane_compiler.source import Path
from backplane_runtime.event_table import Dialect, TableOptions, event_table
from backplane_runtime.settings import PostgreSql, Sqlite, SqlServer

# PostgreSQL counts bytes (NAMEDATALEN - 1) and cuts longer names off in silence.
_LIMITS: Final[dict[Dialect, int]] = {"sqlserver": 128, "postgresql": 63}
_UNITS: Final[dict[Dialect, str]] = {"sqlserver": "characters", "postgresql": "bytes"}
_RESERVED: Final[dict[Dialect, tuple[str, str]]] = {
    "sqlite": ("tableName", "sqlite_"),
    "postgresql": ("schema", "pg_"),
    "sqlserver": ("tableName", "#"),  # a temporary table, gone with its session
}


def check(model: Model) -> Iterator[Diagnostic]:
    """Yield an error for each name that the database would refuse, or would cut off."""
    yield from _one_for_the_database(model)
    for backplane in model.backplanes:
        match backplane.settings:
            case SqlServer(schema=schema, table_name=table):
                yield from _check(model, backplane, "sqlserver", {"schema": schema, "tableName": table})
            case PostgreSql(schema=schema, table_name=table):
                yield from _check(model, backplane, "postgresql", {"schema": schema, "tableName": table})
            case Sqlite(table_name=table):
                yield from _check(model, backplane, "sqlite", {"tableName": table})


def _one_for_the_database(model: Model) -> Iterator[Diagnostic]:
    """Yield an error for tables of one database that differ in case only (SQLite; SQL Server's usual collations)."""
    first: dict[tuple[str, ...], str] = {}
    for backplane in model.backplanes:
        settings = backplane.settings
        if isinstance(settings, (SqlServer, Sqlite)) and not is_open(settings.table_name):
            schema = settings.schema if isinstance(settings, SqlServer) else ""
            key = (backplane.type, server_label(settings), schema.casefold(), settings.table_name.casefold())
            known = first.setdefault(key, settings.table_name)
            if known != settings.table_name:
                message = f"`{settings.table_name}` and `{known}` are one table: case does not matter in this database"
                path = (*backplane.path, "options", "tableName")
                yield error("sql-identifier", message, place(model, path), hint="spell both the same, or rename one")


def _check(model: Model, backplane: Backplane, dialect: Dialect, names: dict[str, str]) -> Iterator[Diagnostic]:
    reserved = _RESERVED.get(dialect)
    for key, name in names.items():
        path: Path = (*backplane.path, "options", key)
        if is_open(name):
            yield without_address(model, path)
        elif not name.strip() or not name.isprintable():
            message = f"`{key}` must be a name of printable characters, not `{name.encode('unicode_escape').decode()}`"
            yield error("sql-identifier", message, place(model, path), hint="use letters, digits and `_`")
        elif dialect == "sqlserver" and "$(" in name:
            message = f"`{key}` cannot hold `$(`, as in `{name}`: sqlcmd takes it for a variable"
            yield error("sql-identifier", message, place(model, path), hint="use letters, digits and `_`")
        elif "${" in name:
            message = f"`{key}` cannot hold `${{`, as in `{name}`"
            yield error("sql-identifier", message, place(model, path), hint="use letters, digits and `_`")
        elif reserved and reserved[0] == key and name.lower().startswith(reserved[1]):
            message = f"names that start with `{reserved[1]}` belong to the database itself, as `{name}`"
            yield error("sql-identifier", message, place(model, path), hint="choose another name")
        elif dialect in _LIMITS:
            longest = _longest(backplane, dialect, name) if key == "tableName" else name
            if _length(dialect, longest) > _LIMITS[dialect]:
                yield _too_long(model, path, longest, f"{_LIMITS[dialect]} {_UNITS[dialect]}")


def _too_long(model: Model, path: Path, name: str, limit: str) -> Diagnostic:
    message = f"`{path[-1]}` is too long: `{name}` would have more than the {limit} that the database takes"
    return error("sql-identifier", message, place(model, path), hint="shorten it")


def _length(dialect: Dialect, name: str) -> int:
    return len(name.encode()) if dialect == "postgresql" else len(name)


def _longest(backplane: Backplane, dialect: Dialect, table: str) -> str:
    """Return the longest name that is made from the table's: constraints and indexes are named after it."""
    provisioning = backplane.provisioning
    indexes = provisioning.indexes if isinstance(provisioning, SqlProvisioning) else "default"
    made = event_table(dialect, TableOptions(schema=None, name=table, indexes=indexes))
    names = (table, *(item.name for item in made.constraints), *(item.name for item in made.indexes))
    return max(names, key=lambda name: len(name.encode()))
