"""Whether a value goes up or down."""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import Enum, auto

from backplane_compiler.infra.kinds import PropertyRule, ResourceKind, Unit
from backplane_compiler.infra.state import Value
from backplane_compiler.plan.change import Change, PropertyChange, Update


class Direction(Enum):
    """Where a value goes; `OTHER` where the two cannot be put in order."""

    UP = auto()
    DOWN = auto()
    OTHER = auto()


def direction(change: PropertyChange, rule: PropertyRule) -> Direction:
    """Return where *change* goes. A negative duration or size means without limit, so it is above every other."""
    before, after = _height(change.before, rule), _height(change.after, rule)
    if before is None or after is None:
        return Direction.OTHER
    return Direction.UP if after > before else Direction.DOWN


def ruled(change: Change, kind: ResourceKind) -> Iterator[tuple[PropertyChange, PropertyRule]]:
    """Yield each property that *change* updates, with its rule; nothing for a creation or a deletion."""
    if isinstance(change, Update):
        for item in change.properties:
            yield item, kind.rule(item.name)


def _height(value: Value | None, rule: PropertyRule) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return math.inf if value < 0 and rule.unit is not Unit.NONE else value
