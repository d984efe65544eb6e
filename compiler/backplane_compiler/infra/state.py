"""Infrastructure as data: desired and observed state are of one type.

A resource is generic: its kind says what its properties mean (`kinds.py`), so the plan engine knows no service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any

from backplane_compiler.diagnostics.span import Span
from backplane_runtime.settings import Settings

# Typed, so that `1h` and 3600000, or `compact,delete` and `delete,compact`, compare equal. Tuples of strings are sets, sorted.
Value = bool | int | float | str | tuple[str, ...]


class Origin(StrEnum):
    """Where a live value comes from: somebody set it here, or the server fills it in."""

    SET = "set"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Property:
    """A property's value and where it comes from; desired properties are always `SET`."""

    value: Value
    origin: Origin = Origin.SET


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One topic, queue, table, …; `address` (`kafka.topic.experiment-exposures`) is unique in its target.

    `depends_on` names addresses that must exist before; `traits` are words about how the resource is used that no server
    knows (a topic whose records are `keyed`), for the risks in its kind's table; `span` is the place in the document that
    asks for it.
    """

    address: str
    kind: str
    name: str
    properties: Mapping[str, Property]
    depends_on: tuple[str, ...] = ()
    traits: frozenset[str] = field(default=frozenset(), compare=False)
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class InfraState:
    """A set of resources, ordered by address; build it with `of`."""

    resources: tuple[Resource, ...] = ()

    @classmethod
    def of(cls, resources: Iterable[Resource]) -> InfraState:
        """Return the state of *resources*, in any order.

        Raises:
            ValueError: if two share an address; a rule reports that before lowering.
        """
        ordered = tuple(sorted(resources, key=lambda resource: resource.address))
        for first, second in pairwise(ordered):
            if first.address == second.address:
                raise ValueError(f"two resources have the address {first.address}")
        return cls(ordered)

    def by_address(self) -> dict[str, Resource]:
        """Return the resources by address."""
        return {resource.address: resource for resource in self.resources}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One cluster, namespace or database: what is observed once, whatever number of backplanes live on it."""

    family: str  # kafka, servicebus, sqlserver, postgresql, sqlite, memory
    label: str  # what people call it: `localhost:9092`, `myns.servicebus.windows.net`, `experiment-events.db`


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server, how to reach it (secrets as references), and what should be there.

    `type` is the backplane type whose provider is used; `settings` are those of the first backplane on this server.
    """

    server: Server
    type: str
    settings: Settings = field(compare=False)
    desired: InfraState


def resource_to_plain(resource: Resource) -> dict[str, Any]:
    """Return *resource* as JSON data; `resource_from_plain` is its inverse, up to the span."""
    return {
        "address": resource.address,
        "kind": resource.kind,
        "name": resource.name,
        "dependsOn": list(resource.depends_on),
        "traits": sorted(resource.traits),
        "properties": {name: _property_to_plain(value) for name, value in sorted(resource.properties.items())},
    }


def resource_from_plain(plain: Mapping[str, Any]) -> Resource:
    """Return the resource that `resource_to_plain` wrote."""
    return Resource(
        address=plain["address"],
        kind=plain["kind"],
        name=plain["name"],
        depends_on=tuple(plain["dependsOn"]),
        traits=frozenset(plain["traits"]),
        properties={name: _property_from_plain(value) for name, value in plain["properties"].items()},
    )


def _property_to_plain(item: Property) -> dict[str, Any]:
    value = list(item.value) if isinstance(item.value, tuple) else item.value
    return {"value": value, "origin": item.origin.value}


def _property_from_plain(plain: Mapping[str, Any]) -> Property:
    value = tuple(plain["value"]) if isinstance(plain["value"], list) else plain["value"]
    return Property(value, Origin(plain["origin"]))
