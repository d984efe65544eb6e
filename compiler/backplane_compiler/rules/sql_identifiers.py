"""Names of tables and schemas, and of what is named after them, within what each database takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from backplane_compiler.diagnostics import Diagnostic
from backplane_compiler.model.model import Backplane, Model
from backplane_compiler.rules.finding import error, is_open
from backplane_compiler.schema.provisioning import SqlProvisioning
from backplane_compiler.source import Path
from backplane_runtime.event_table import Dialect, TableOptions, event_table
from backplane_runtime.settings import PostgreSql, Sqlite, SqlServer

# PostgreSQL counts bytes (NAMEDATALEN - 1) and cuts longer names off in silence.
_LIMITS: Final[dict[Dialect, int]] = {"sqlserver": 128, "postgresql": 63}
_UNITS: Final[dict[Dialect, str]] = {"sqlserver": "characters", "postgresql": "bytes"}
_RESERVED: Final[dict[Dialect, tuple[str, str]]] = {"sqlite": ("tableName", "sqlite_"), "postgresql": ("schema", "pg_")}


def check(model: Model) -> Iterator[Diagnostic]:
    """Yield an error for each name that the database would refuse, or would cut off."""
    for backplane in model.backplanes:
        match backplane.settings:
            case SqlServer(schema=schema, table_name=table):
                yield from _check(model, backplane, "sqlserver", {"schema": schema, "tableName": table})
            case PostgreSql(schema=schema, table_name=table):
                yield from _check(model, backplane, "postgresql", {"schema": schema, "tableName": table})
            case Sqlite(table_name=table):
                yield from _check(model, backplane, "sqlite", {"tableName": table})


def _check(model: Model, backplane: Backplane, dialect: Dialect, names: dict[str, str]) -> Iterator[Diagnostic]:
    reserved = _RESERVED.get(dialect)
    for key, name in names.items():
        path: Path = (*backplane.path, "options", key)
        if not name.strip() or not name.isprintable():
            message = f"`{key}` must be a name of printable characters, not `{name.encode('unicode_escape').decode()}`"
            yield error(model, "sql-identifier", message, path, hint="use letters, digits and `_`")
        elif reserved and reserved[0] == key and name.lower().startswith(reserved[1]):
            message = f"names that start with `{reserved[1]}` belong to the database itself, as `{name}`"
            yield error(model, "sql-identifier", message, path, hint="choose another name")
        elif dialect in _LIMITS and not is_open(name):
            longest = _longest(backplane, dialect, name) if key == "tableName" else name
            if _length(dialect, longest) > _LIMITS[dialect]:
                yield _too_long(model, path, longest, f"{_LIMITS[dialect]} {_UNITS[dialect]}")


def _too_long(model: Model, path: Path, name: str, limit: str) -> Diagnostic:
    message = f"`{path[-1]}` is too long: `{name}` would have more than the {limit} that the database takes"
    return error(model, "sql-identifier", message, path, hint="shorten it")


def _length(dialect: Dialect, name: str) -> int:
    return len(name.encode()) if dialect == "postgresql" else len(name)


def _longest(backplane: Backplane, dialect: Dialect, table: str) -> str:
    """Return the longest name that is made from the table's: constraints and indexes are named after it."""
    provisioning = backplane.provisioning
    indexes = provisioning.indexes if isinstance(provisioning, SqlProvisioning) else "default"
    made = event_table(dialect, TableOptions(schema=None, name=table, indexes=indexes))
    names = (table, *(item.name for item in made.constraints), *(item.name for item in made.indexes))
    return max(names, key=lambda name: len(name.encode()))
