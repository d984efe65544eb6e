"""Lowering of an SQL backplane to its database, with the event table and its indexes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from backplane_compiler.infra.sql import index_resources, table_resource
from backplane_compiler.infra.state import InfraState, Server, Target
from backplane_compiler.model.connection import server_label
from backplane_compiler.model.model import Backplane, Model
from backplane_compiler.schema.provisioning import SqlProvisioning
from backplane_compiler.source.references import is_open
from backplane_runtime.event_table import EventTable, IndexProfile, TableOptions, event_table
from backplane_runtime.settings import PostgreSql, Settings, Sqlite, SqlServer


def lower_sql(backplane: Backplane, model: Model) -> Iterable[Target]:
    """Yield the database of *backplane* with its event table and a resource for each index."""
    given = backplane.provisioning
    table = _table(backplane.settings, given.indexes if isinstance(given, SqlProvisioning) else "default")
    if table is None or not backplane.events or is_open(table.name) or is_open(table.schema or ""):
        return  # a rule reports a name that is a reference: only the publisher knows it
    span = model.span((*backplane.path, "provisioning"))
    resources = [replace(resource, span=span) for resource in (table_resource(table), *index_resources(table))]
    server = Server(family=table.dialect, label=server_label(backplane.settings))
    yield Target(server=server, type=backplane.type, settings=backplane.settings, desired=InfraState.of(resources))


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
