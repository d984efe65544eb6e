"""All rules over one change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from backplane_compiler.infra.kinds import ResourceKind
from backplane_compiler.plan.change import Change
from backplane_compiler.plan.plan import Obstacle
from backplane_compiler.plan.risks import acknowledgement, create_only, deletion, increase_only, not_yet

Kinds = Mapping[str, ResourceKind]
Rule = Callable[[Change, ResourceKind], Iterator[Obstacle]]

# What cannot be done at all is said before what needs a word.
RULES: tuple[Rule, ...] = (
    create_only.check,
    increase_only.check,
    not_yet.check,
    deletion.check,
    acknowledgement.check,
)


def obstacles(change: Change, kinds: Kinds) -> tuple[Obstacle, ...]:
    """Return what stands in the way of *change*, by the capability table of its kind in *kinds*."""
    kind = kinds[change.resource.kind]
    return tuple(obstacle for rule in RULES for obstacle in rule(change, kind))
