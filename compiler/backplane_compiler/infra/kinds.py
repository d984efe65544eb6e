"""What the properties of each kind of resource allow: the capability tables' common form.

A kind's table drives comparison, what a plan may do in place, how values are shown, and later the artifacts and the test
doubles. Each family has its tables in its own module; this one knows none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

# How services say that there is no limit: Kafka, and Service Bus (.NET's `TimeSpan.MaxValue` in whole milliseconds).
NO_LIMIT: Final = -1
NEVER: Final = 922_337_203_685_477


class Change(StrEnum):
    """What may happen to a property of a resource that exists."""

    IN_PLACE = "inPlace"
    INCREASE_ONLY = "increaseOnly"
    CREATE_ONLY = "createOnly"
    NOT_YET = "notYet"  # the server can, this version of the tool does not


class Unit(StrEnum):
    """How a number is shown to people; it is stored as a plain number."""

    NONE = "none"
    MILLISECONDS = "milliseconds"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertyRule:
    """One row of a capability table; `reason` is shown where a change is refused, `source` says where the rule is from.

    A risk of an increase holds only for resources that have the trait `increase_risk_trait`, where one is named.
    """

    change: Change = Change.IN_PLACE
    unit: Unit = Unit.NONE
    reason: str | None = None
    source: str | None = None
    increase_risk: str | None = None  # kind of acknowledgement that an increase needs, such as `ordering`
    increase_risk_trait: str | None = None
    decrease_risk: str | None = None  # kind of acknowledgement that a decrease needs, such as `data-loss`
    risk_reason: str | None = None  # what an acknowledgement accepts, in one line


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceKind:
    """A kind's table: rules by property name, and one for the names that are not listed."""

    name: str
    properties: Mapping[str, PropertyRule] = field(default_factory=dict)
    other: PropertyRule = PropertyRule()

    def rule(self, name: str) -> PropertyRule:
        """Return the rule of the property *name*."""
        return self.properties.get(name, self.other)


def kind_of(kinds: Mapping[str, ResourceKind], name: str) -> ResourceKind:
    """Return the kind *name*; one without rules where it is unknown, as in a plan file that another version made."""
    return kinds.get(name) or ResourceKind(name=name)
