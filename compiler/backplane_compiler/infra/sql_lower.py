"""Lowering of an SQL backplane to its database, with the event table and its indexes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from backplane_compiler.infra.sql import index_resources, table_resource
from backplane_compiler.infra.state import InfraState, Server, Target
from backplane_compiler.model.model import Backplane, Model
from backplane_compiler.schema.provisioning import SqlProvisioning
from backplane_runtime.event_table import EventTable, IndexProfile, TableOptions, event_table
from backplane_runtime.settings import PostgreSql, Settings, Sqlite, SqlServer

_REFERENCE = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-[^}]*)?\}")
_SERVER = re.compile(
    r"(?:^|;)\s*(?:server|data source|address|addr|network address)\s*=\s*(?:tcp:)?([^;]*)", re.IGNORECASE
)
_DATABASE = re.compile(r"(?:^|;)\s*(?:database|initial catalog)\s*=\s*([^;]*)", re.IGNORECASE)


def lower_sql(backplane: Backplane, model: Model) -> Iterable[Target]:
    """Yield the database of *backplane* with its event table and a resource for each index."""
    given = backplane.provisioning
    table = _table(backplane.settings, given.indexes if isinstance(given, SqlProvisioning) else "default")
    if table is None or not backplane.events:
        return
    span = model.span((*backplane.path, "provisioning"))
    resources = [replace(resource, span=span) for resource in (table_resource(table), *index_resources(table))]
    server = Server(family=table.dialect, label=database_label(backplane.settings))
    yield Target(server=server, type=backplane.type, settings=backplane.settings, desired=InfraState.of(resources))


def database_label(settings: Settings) -> str:
    """Return what people call the database of *settings*: a path, or `host/database`; never a user or a password."""
    if isinstance(settings, Sqlite):
        return settings.path
    if isinstance(settings, PostgreSql):
        return _url_label(settings.url)
    if not isinstance(settings, SqlServer):
        raise TypeError(f"{type(settings).__name__} has no database")
    text = settings.connection_string
    if "://" in text:
        return _url_label(text)
    server, database = _SERVER.search(text), _DATABASE.search(text)
    if server is None:
        return _reference_label(text)
    return "/".join(match[1].strip() for match in (server, database) if match)


def _table(settings: Settings, indexes: IndexProfile) -> EventTable | None:
    match settings:
        case SqlServer(schema=schema, table_name=name, enable_idempotency=idempotent):
            return event_table(
                "sqlserver", TableOptions(schema=schema, name=name, idempotent=idempotent, indexes=indexes)
            )
        case PostgreSql(schema=schema, table_name=name, enable_idempotency=idempotent):
            return event_table(
                "postgresql", TableOptions(schema=schema, name=name, idempotent=idempotent, indexes=indexes)
            )
        case Sqlite(table_name=name, enable_idempotency=idempotent):
            return event_table("sqlite", TableOptions(schema=None, name=name, idempotent=idempotent, indexes=indexes))
        case _:
            return None


def _url_label(url: str) -> str:
    """Return `host:port/database` of *url*. Whatever stands before the last `@` is taken for user and password."""
    _, separator, rest = url.partition("://")
    return rest.rpartition("@")[2].partition("?")[0].rstrip("/") if separator else _reference_label(url)


def _reference_label(text: str) -> str:
    match = _REFERENCE.fullmatch(text.strip())
    return f"${{{match[1]}}}" if match else "database"
