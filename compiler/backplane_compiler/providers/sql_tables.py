"""What the SQL providers share: resources and tables of the catalog, and the statements of a change.

A provider reads a catalog into an `EventTable` and lets `infra/sql.py` write it as resources, the same hand that writes what
is wanted; so a plan compares meanings, not spellings. Statements come from the resource of the plan and nothing else: what is
executed is what was planned, also where the plan was read from a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from backplane_compiler.infra.sql import definition, index_resources, table_resource
from backplane_compiler.infra.state import InfraState, Property, Resource
from backplane_compiler.plan.change import Change, Create
from backplane_compiler.plan.diff import diff
from backplane_compiler.providers.api import ProviderError
from backplane_runtime.event_table import EventTable, create_statements

Place = tuple[str | None, str]
# The table that the catalog has at a place, and the names of those of its indexes that are unique.
ReadTable = Callable[[Place], tuple[EventTable, frozenset[str]] | None]

_TABLE_STATEMENTS = 1


def observe_tables(desired: InfraState, read: ReadTable) -> InfraState:
    """Return what *read* finds of the tables and indexes in *desired*."""
    wanted = desired.by_address()
    live: list[Resource] = []
    for place in sorted({_place(resource) for resource in desired.resources}, key=str):
        found = read(place)
        if found is not None:
            live += (resource for resource in _resources(*found) if resource.address in wanted)
    return InfraState.of(live)


def statements(changes: Iterable[Change]) -> Iterator[str]:
    """Yield the statements that bring *changes* about where they are not done yet.

    Raises:
        ProviderError: if a change is none that this version applies.
    """
    for change in changes:
        if not isinstance(change, Create):
            raise ProviderError(
                f"{change.address}: this version creates tables and indexes, and changes none that exist"
            )
        table = _definition(change.resource)
        create = create_statements(table)
        yield from create[_TABLE_STATEMENTS:] if table.indexes else create


def not_shown(changes: Sequence[Change], observed: InfraState) -> dict[str, ProviderError]:
    """Return an error for each of *changes* that the catalog does not show: its name belongs to something else."""
    desired = InfraState.of(change.resource for change in changes)
    return {
        change.address: ProviderError(
            f"{change.address}: was not created, because something of this name exists and is different",
            "look at it in the database, and rename or remove it",
        )
        for change in diff(observed, desired)
    }


def _place(resource: Resource) -> Place:
    table = _definition(resource)
    return table.schema, table.name


def _definition(resource: Resource) -> EventTable:
    try:
        return definition(resource)
    except ValueError as error:
        raise ProviderError(str(error)) from error


def _resources(table: EventTable, unique: frozenset[str]) -> Iterator[Resource]:
    yield table_resource(table)
    for index, resource in zip(table.indexes, index_resources(table), strict=True):
        if index.name in unique:
            yield replace(resource, properties={**resource.properties, "unique": Property(value=True)})
        else:
            yield resource
