"""The changes that a plan may hold: a closed union of small frozen classes."""

from __future__ import annotations

from dataclasses import dataclass

from backplane_compiler.infra.state import Resource, Value


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """One property before and after; `None` means that it is not there."""

    name: str
    before: Value | None
    after: Value | None


@dataclass(frozen=True, slots=True)
class Create:
    """The resource is not there, and will be."""

    resource: Resource

    @property
    def address(self) -> str:
        """Return the address of the resource."""
        return self.resource.address


@dataclass(frozen=True, slots=True)
class Update:
    """The resource is there and differs in `properties`; `after` is the desired one.

    `before` is the live one without what its server fills in and the document does not mention.
    """

    before: Resource
    after: Resource
    properties: tuple[PropertyChange, ...]

    @property
    def address(self) -> str:
        """Return the address of the resource."""
        return self.after.address

    @property
    def resource(self) -> Resource:
        """Return the resource as it is wanted."""
        return self.after


@dataclass(frozen=True, slots=True)
class Delete:
    """The resource is there and will not be; `diff` makes none of these, its inverse does."""

    resource: Resource

    @property
    def address(self) -> str:
        """Return the address of the resource."""
        return self.resource.address


Change = Create | Update | Delete
