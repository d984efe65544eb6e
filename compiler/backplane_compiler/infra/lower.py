"""Model to infra state: what should be there, grouped by the server that it should be on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from backplane_compiler.diagnostics import Diagnostic, Label, Severity
from backplane_compiler.infra.sql import INDEX
from backplane_compiler.infra.state import InfraState, Resource, Target, resource_to_plain
from backplane_compiler.model.connection import server_key
from backplane_compiler.model.model import Backplane, Model

LowerFunction = Callable[[Backplane, Model], Iterable[Target]]


@dataclass(frozen=True, slots=True)
class _Wish:
    """What one backplane wants on one server."""

    backplane: Backplane
    target: Target

    def indexes(self, table: Resource) -> set[str]:
        """Return the addresses of the indexes of *table*: they are part of what is wanted of it."""
        resources = self.target.desired.resources
        return {one.address for one in resources if one.kind == INDEX and table.address in one.depends_on}


FORMAT: Final = "experiment-backplane/infra"
VERSION: Final = 1


def lower(model: Model, functions: Mapping[str, LowerFunction]) -> tuple[tuple[Target, ...], tuple[Diagnostic, ...]]:
    """Return the targets of *model* in the order of family and server, one for each server, and who contradicts whom.

    *functions* lower a backplane by its type; a type without one provisions nothing. Backplanes on the same server share
    a target, and what two of them want in the same way is there once; in different ways it is an error. What they want
    is compared here, where it is known, and not guessed before.
    """
    groups: dict[tuple[str, str], list[_Wish]] = {}
    for backplane in model.backplanes:
        function = functions.get(backplane.type)
        for target in () if function is None else function(backplane, model):
            family = target.server.family
            key = (family, server_key(family, target.server.label))
            groups.setdefault(key, []).append(_Wish(backplane, target))
    merged = [_merged(model, groups[key]) for key in sorted(groups)]
    return tuple(target for target, _ in merged), tuple(found for _, clashes in merged for found in clashes)


def infra_to_plain(targets: Iterable[Target]) -> dict[str, Any]:
    """Return *targets* as JSON data, the content of `infra.json`; settings are not part of it."""
    return {"format": FORMAT, "version": VERSION, "targets": [_target_to_plain(target) for target in targets]}


def _merged(model: Model, wishes: Sequence[_Wish]) -> tuple[Target, list[Diagnostic]]:
    """Return the one target that all *wishes* have in common, and an error for each two backplanes that differ in it."""
    first: dict[str, _Wish] = {}
    resources: dict[str, Resource] = {}
    clashes: dict[tuple[str, str], list[tuple[Backplane, Backplane, str]]] = {}
    for wish, resource in ((each, one) for each in wishes for one in each.target.desired.resources):
        before, known = first.setdefault(resource.address, wish), resources.setdefault(resource.address, resource)
        if known != resource or before.indexes(resource) != wish.indexes(resource):
            pair = (before.backplane, wish.backplane)
            clashes.setdefault((pair[0].name, pair[1].name), []).append((*pair, _named(resource)))
        # Records have keys as soon as one of those who write them gives them keys.
        resources[resource.address] = replace(known, traits=known.traits | resource.traits)
    target = wishes[0].target
    label = target.server.label
    return (
        replace(target, desired=InfraState.of(resources.values())),
        [_two_wishes(model, label, found) for found in clashes.values()],
    )


def _two_wishes(model: Model, label: str, clashes: Sequence[tuple[Backplane, Backplane, str]]) -> Diagnostic:
    first, second, what = clashes[0]
    more = f" and {len(clashes) - 1} more" if len(clashes) > 1 else ""
    message = f"`{first.name}` and `{second.name}` both want the {what}{more} on `{label}`, with different settings"
    span = model.span((*second.path, "provisioning"))
    other = Label(model.span((*first.path, "provisioning")), "the other one")
    hint = "give both the same settings, or one of them other names"
    return Diagnostic("backplane-claim", Severity.ERROR, message, span, (other,), hint)


def _named(resource: Resource) -> str:
    return f"{resource.kind.rpartition('.')[2]} `{resource.name}`"


def _target_to_plain(target: Target) -> dict[str, Any]:
    return {
        "family": target.server.family,
        "label": target.server.label,
        "type": target.type,
        "resources": [resource_to_plain(resource) for resource in target.desired.resources],
    }
