"""Order of changes: what something depends on comes first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from backplane_compiler.plan.change import Change, Delete


class DependencyCycleError(ValueError):
    """Resources that wait for each other; the text names them in order."""


def waves(changes: Iterable[Change]) -> tuple[tuple[Change, ...], ...]:
    """Return *changes* in groups: each needs only earlier groups, and inside a group the order is free (it is by address).

    Raises:
        DependencyCycleError: if there is no such order.
    """
    by_address = {change.address: change for change in changes}
    sorter = TopologicalSorter(_dependencies(by_address))
    try:
        sorter.prepare()
    except CycleError as error:
        # graphlib lists a cycle as "is needed by"; people say "needs".
        raise DependencyCycleError("these need each other: " + " -> ".join(reversed(error.args[1]))) from error
    groups = []
    while sorter.is_active():
        ready = sorter.get_ready()
        sorter.done(*ready)
        groups.append(tuple(by_address[address] for address in sorted(ready)))
    return tuple(groups)


def in_order(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Return *changes* one after the other, the groups of `waves` joined."""
    return tuple(change for group in waves(changes) for change in group)


def _dependencies(changes: Mapping[str, Change]) -> dict[str, set[str]]:
    """Return what each address waits for. A deletion turns its arrows round: what needs it goes first."""
    graph: dict[str, set[str]] = {address: set() for address in changes}
    for address, change in changes.items():
        for needed in change.resource.depends_on:
            if needed not in changes:
                continue
            first, then = (address, needed) if isinstance(change, Delete) else (needed, address)
            graph[then].add(first)
    return graph
