"""Model to infra state: what should be there, grouped by the server that it should be on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from backplane_compiler.infra.state import InfraState, Resource, Target, resource_to_plain
from backplane_compiler.model.model import Backplane, Model

LowerFunction = Callable[[Backplane, Model], Iterable[Target]]

FORMAT: Final = "experiment-backplane/infra"
VERSION: Final = 1


def lower(model: Model, functions: Mapping[str, LowerFunction]) -> tuple[Target, ...]:
    """Return the targets of *model* in the order of family and label, one for each server.

    *functions* lower a backplane by its type; a type without one provisions nothing. Backplanes on the same server share
    a target, and what two of them want in the same way is there once.

    Raises:
        ValueError: if two backplanes want a resource in different ways; a rule reports that before.
    """
    groups: dict[tuple[str, str], list[Target]] = {}
    for backplane in model.backplanes:
        function = functions.get(backplane.type)
        for target in () if function is None else function(backplane, model):
            groups.setdefault((target.server.family, target.server.label), []).append(target)
    return tuple(_merged(groups[key]) for key in sorted(groups))


def infra_to_plain(targets: Iterable[Target]) -> dict[str, Any]:
    """Return *targets* as JSON data, the content of `infra.json`; settings are not part of it."""
    return {"format": FORMAT, "version": VERSION, "targets": [_target_to_plain(target) for target in targets]}


def _merged(targets: Sequence[Target]) -> Target:
    resources: dict[str, Resource] = {}
    for resource in (resource for target in targets for resource in target.desired.resources):
        first = resources.setdefault(resource.address, resource)
        if first != resource:
            raise ValueError(f"two backplanes want {resource.address} on {targets[0].server.label} in different ways")
        # Records have keys as soon as one of those who write them gives them keys.
        resources[resource.address] = replace(first, traits=first.traits | resource.traits)
    return replace(targets[0], desired=InfraState.of(resources.values()))


def _target_to_plain(target: Target) -> dict[str, Any]:
    return {
        "family": target.server.family,
        "label": target.server.label,
        "type": target.type,
        "resources": [resource_to_plain(resource) for resource in target.desired.resources],
    }
