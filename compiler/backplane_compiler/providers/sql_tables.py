"""What the SQL providers share: resources and tables of the catalog, and the statements of a change.

A provider reads a catalog into an `EventTable` and lets `infra/sql.py` write it as resources, the same hand that writes what
is wanted; so a plan compares meanings, not spellings. Statements come from the resource of the plan and nothing else: what is
executed is what was planned, also where the plan was read from a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from backplane_compiler.infra.sql import INDEX, definition, index_resources, table_resource
from backplane_compiler.infra.state import InfraState, Property, Resource, Value
from backplane_compiler.plan.change import Change, Create
from backplane_compiler.plan.diff import diff
from backplane_compiler.providers.api import ProviderError
from backplane_runtime.event_table import EventTable, create_statements

Place = tuple[str | None, str]

_TABLE_STATEMENTS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTable:
    """A table of a catalog, or whatever else has its name.

    `notes` are properties of it that an `EventTable` has no word for (`persistence`: `unlogged`); `index_notes`, by the
    index's name, are properties that take the place of what its `Index` would say (`columns`: `brin (timestamp)`).
    """

    table: EventTable
    notes: Mapping[str, Value] = field(default_factory=dict)
    index_notes: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)


class Catalog(Protocol):
    """What a database says of itself."""

    def table(self, place: Place) -> FoundTable | None:
        """Return what has the table's name at *place*; None where nothing has."""

    def taken(self, place: Place, names: Sequence[str]) -> Mapping[str, str]:
        """Return those of *names* that an index beside the table at *place* cannot get, and what has them."""


def observe_tables(desired: InfraState, catalog: Catalog) -> InfraState:
    """Return what *catalog* has of the tables and indexes in *desired*.

    A name that belongs to something else is a difference too: `IF NOT EXISTS` would pass over it in silence.
    """
    wanted = desired.by_address()
    live: dict[str, Resource] = {}
    for place in sorted({_place(resource) for resource in desired.resources}, key=str):
        found = catalog.table(place)
        if found is not None:
            live |= {each.address: each for each in _resources(found) if each.address in wanted}
        missing = {
            _definition(resource).indexes[0].name: resource
            for resource in desired.resources
            if resource.kind == INDEX and resource.address not in live and _place(resource) == place
        }
        for name, owner in catalog.taken(place, sorted(missing)).items() if missing else ():
            live[missing[name].address] = _with(missing[name], {"columns": f"(this name has {owner})"})
    return InfraState.of(live.values())


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


def schemas(changes: Iterable[Change]) -> tuple[str, ...]:
    """Return the schemas that *changes* need, in order; two backplanes may share a database and not a schema."""
    return tuple(sorted({schema for change in changes if (schema := _place(change.resource)[0]) is not None}))


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


def _resources(found: FoundTable) -> Iterator[Resource]:
    yield _with(table_resource(found.table), found.notes)
    for index, resource in zip(found.table.indexes, index_resources(found.table), strict=True):
        yield _with(resource, found.index_notes.get(index.name, {}))


def _with(resource: Resource, notes: Mapping[str, Value]) -> Resource:
    return replace(resource, properties={**resource.properties, **{name: Property(notes[name]) for name in notes}})
