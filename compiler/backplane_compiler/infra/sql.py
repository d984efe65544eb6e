"""The event table as resources: one for the table, one for each index.

A provider that reads a catalog builds an `EventTable` of what it finds and hands it to the same two functions, so that
desired and live state are written by one hand: spelling that differs between a document and a catalog (`timestamptz` and
`timestamp with time zone`, `(sysdatetimeoffset())` and `SYSDATETIMEOFFSET()`) is made equal here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, get_args

from backplane_compiler.infra.kinds import Change, PropertyRule, ResourceKind
from backplane_compiler.infra.sql_text import default_text, predicate_text, type_text
from backplane_compiler.infra.state import Property, Resource
from backplane_runtime.event_table import (
    Column,
    Constraint,
    Dialect,
    EventTable,
    Index,
    TableOptions,
    event_table,
    quoted,
)

TABLE: Final = "sql.table"
INDEX: Final = "sql.index"

SQL_TABLE = ResourceKind(
    name=TABLE,
    other=PropertyRule(
        change=Change.NOT_YET,
        reason="columns and constraints of a table that exists are changed by a migration, which this version does not write",
    ),
)
SQL_INDEX = ResourceKind(
    name=INDEX,
    other=PropertyRule(
        change=Change.NOT_YET,
        reason="no database changes an index in place; drop it, and the next plan creates it as the document says",
    ),
)
SQL_KINDS: Mapping[str, ResourceKind] = MappingProxyType({kind.name: kind for kind in (SQL_TABLE, SQL_INDEX)})

ALL_ROWS: Final = "all rows"
_CONSTRAINT_WORDS = {"primaryKey": "primary key", "unique": "unique", "check": "check"}
_PLAIN_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_$#@-]*", re.ASCII)
_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')


def table_resource(table: EventTable) -> Resource:
    """Return *table* without its indexes as a resource, in canonical text.

    Properties are `column NAME` (`nvarchar(20) not null`) and `constraint NAME` (`unique (EventId)`). SQLite's catalog
    keeps no names of constraints, so there what a constraint says is also its name.
    """
    properties = {f"column {column.name}": Property(_column_text(column)) for column in table.columns}
    properties |= {name: Property(text) for name, text in _constraint_properties(table)}
    return Resource(
        address=_address(table.dialect, "table", *_place(table)),
        kind=TABLE,
        name=_joined(*_place(table)),
        properties=properties,
    )


def index_resources(table: EventTable) -> tuple[Resource, ...]:
    """Return a resource for each index of *table*, with the properties `columns` (in order) and `rows`."""
    return tuple(_index_resource(table, index) for index in table.indexes)


def definition(resource: Resource) -> EventTable:
    """Return what *resource* is about: the table without indexes, or the table with that one index.

    It reads nothing but the resource, so it also works for a plan that was read from a file. `create_statements` of the
    result brings the resource about where it is missing.

    Raises:
        ValueError: if this version's event table is not what *resource* describes.
    """
    dialect, noun, parts = _read_address(resource.address)
    place = parts[:-1] if noun == "index" else parts
    schema, name = (place[0], place[1]) if len(place) > 1 else (None, place[0])
    for idempotent in (True, False):
        table = event_table(dialect, TableOptions(schema=schema, name=name, idempotent=idempotent))
        for candidate in (replace(table, indexes=()), *(replace(table, indexes=(index,)) for index in table.indexes)):
            made = index_resources(candidate) if noun == "index" else (table_resource(candidate),)
            if resource in made:
                return candidate
    raise ValueError(f"{resource.address} is not the event table of this version; compile and plan again")


def _index_resource(table: EventTable, index: Index) -> Resource:
    place = _place(table)
    rows = f"where {predicate_text(index.where)}" if index.where else ALL_ROWS
    return Resource(
        address=_address(table.dialect, "index", *place, index.name),
        kind=INDEX,
        name=_joined(*place, index.name),
        properties={"columns": Property(", ".join(index.columns)), "rows": Property(rows)},
        depends_on=(_address(table.dialect, "table", *place),),
    )


def _column_text(column: Column) -> str:
    words = [type_text(column.type), "null" if column.nullable and not column.identity else "not null"]
    if column.identity:
        words.append("identity")
    if column.default is not None:
        words.append(f"default {default_text(column.default)}")
    return " ".join(words)


def _constraint_properties(table: EventTable) -> Iterator[tuple[str, str]]:
    for constraint in table.constraints:
        text = _constraint_text(constraint)
        yield f"constraint {text if table.dialect == 'sqlite' else constraint.name}", text
    for column in table.columns:
        if column.default_name:
            yield f"constraint {column.default_name}", f"default ({column.name})"


def _constraint_text(constraint: Constraint) -> str:
    inside = predicate_text(constraint.check) if constraint.check else ", ".join(constraint.columns)
    return f"{_CONSTRAINT_WORDS[constraint.kind]} ({inside})"


def _place(table: EventTable) -> tuple[str, ...]:
    return (table.schema, table.name) if table.schema else (table.name,)


def _joined(*parts: str) -> str:
    return ".".join(part if _PLAIN_PART.fullmatch(part) else quoted(part) for part in parts)


def _address(dialect: Dialect, noun: str, *parts: str) -> str:
    return f"{dialect}.{noun}.{_joined(*parts)}"


def _read_address(address: str) -> tuple[Dialect, str, tuple[str, ...]]:
    family, noun, rest = address.split(".", 2)
    dialect = next((known for known in get_args(Dialect) if known == family), None)
    if dialect is None:
        raise ValueError(f"{address} is not an address of a table or an index")
    parts = tuple(match[1].replace('""', '"') if match[1] else match[2] for match in _PART.finditer(rest))
    return dialect, noun, parts
