"""Asking the live systems of a document, and planning on what they answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing

from backplane_compiler.infra.state import Resource, Server, Target
from backplane_compiler.plan.build import NotObserved, Observation, PlanOptions, build_plan
from backplane_compiler.plan.plan import Plan, TargetPlan
from backplane_compiler.providers.api import Provider, ProviderError
from backplane_compiler.providers.registry import open_provider, reason_without_provider, settings_from_wire


def observe_and_plan(targets: Iterable[Target], environment: Mapping[str, str], options: PlanOptions) -> Plan:
    """Return the plan for *targets* as their systems are now; nothing is changed anywhere.

    Raises:
        ProviderError: if a system cannot be asked, or two targets are one system and want different things there.
        DependencyCycleError: if resources wait for each other.
    """
    seen = [_observe(target, environment) for target in targets]
    _refuse_two_wishes([each for each in seen if isinstance(each, Observation)])
    return build_plan(seen, options)


def _refuse_two_wishes(seen: Iterable[Observation]) -> None:
    """Compare what targets want that turn out to be one system: what the compiler could not know from their names."""
    wishes: dict[tuple[str, str], tuple[Server, Resource]] = {}
    for each in seen:
        for resource in each.target.desired.resources:
            server, known = wishes.setdefault((each.identity, resource.address), (each.target.server, resource))
            if known != resource:
                raise ProviderError(
                    f"`{server.label}` and `{each.target.server.label}` are one {server.family} system, and "
                    f"`{resource.address}` is wanted there in two ways",
                    "give both the same settings, or one of them other names",
                )


def open_target(target: TargetPlan, environment: Mapping[str, str]) -> Provider:
    """Return a provider for the system of *target*, by the connection that the plan holds.

    Raises:
        ProviderError: if there is no provider for it, or the connection cannot be used.
    """
    return open_provider(target.type, settings_from_wire(target.type, target.connection), environment)


def _observe(target: Target, environment: Mapping[str, str]) -> Observation | NotObserved:
    reason = reason_without_provider(target.type)
    if reason is not None:
        return NotObserved(target, reason)
    with closing(open_provider(target.type, target.settings, environment)) as provider:
        who = provider.identity()
        state = provider.observe(target.desired)
    return Observation(target=target, identity=who.key, description=who.description, state=state)
