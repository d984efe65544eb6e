"""Forwarding: its target must be there, it must not go round, and its source must have no sessions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from backplane_compiler.diagnostics import Diagnostic, nearest
from backplane_compiler.model.model import Model
from backplane_compiler.rules.finding import backplanes_of, error, is_open, place, warning
from backplane_compiler.rules.servicebus_entities import entities_of
from backplane_compiler.schema.provisioning import ServiceBusProvisioning
from backplane_compiler.source import Path
from backplane_runtime.settings import AzureServiceBus


@dataclass(frozen=True, slots=True)
class _Forward:
    """Messages of `source`, a queue or a subscription's topic, go on to `target`."""

    source: str
    target: str
    server: str
    sessions: bool
    path: Path


def check(model: Model) -> Iterator[Diagnostic]:
    """Yield what is wrong with each forwarding, once for each place that asks for it."""
    forwards = {forward.path: forward for forward in (*_entity_forwards(model), *_subscription_forwards(model))}
    entities: dict[str, set[str]] = {}
    for entity in entities_of(model):
        entities.setdefault(entity.server, set()).add(entity.name)
    edges = {(forward.server, forward.source): forward.target for forward in forwards.values()}
    for forward in forwards.values():
        if not is_open(forward.target):
            yield from _problems(model, forward, entities[forward.server], edges)


def _problems(
    model: Model, forward: _Forward, known: set[str], edges: Mapping[tuple[str, str], str]
) -> Iterator[Diagnostic]:
    if forward.sessions:
        message = f"`{forward.source}` has sessions, and messages with sessions cannot be forwarded from there"
        yield error(
            "servicebus-forward-session",
            message,
            place(model, forward.path),
            hint="forward from an entity without sessions",
        )
        return
    if forward.target not in known:
        near = nearest(forward.target, sorted(known))
        hint = f"did you mean `{near[0]}`?" if near else "see that it is there before this document is applied"
        message = f"`{forward.target}`, where messages of `{forward.source}` go on to, is not in this document"
        yield warning("servicebus-forward-target", message, place(model, forward.path), hint=hint)
    elif _goes_round(forward, edges):
        message = f"messages of `{forward.source}` come back to it through `{forward.target}`"
        yield error("servicebus-forward-cycle", message, place(model, forward.path), hint="let the chain end somewhere")


def _goes_round(forward: _Forward, edges: Mapping[tuple[str, str], str]) -> bool:
    seen: set[str] = set()
    target: str | None = forward.target
    while target is not None and target not in seen:
        if target == forward.source:
            return True
        seen.add(target)
        target = edges.get((forward.server, target))
    return False


def _entity_forwards(model: Model) -> Iterator[_Forward]:
    for entity in entities_of(model):
        if entity.shape.forward_to is not None and entity.kind == "queue":
            path = entity.path_of("forwardTo", model)
            yield _Forward(entity.name, entity.shape.forward_to, entity.server, entity.settings.enable_sessions, path)


def _subscription_forwards(model: Model) -> Iterator[_Forward]:
    provisioned = {
        backplane.name: provisioning
        for backplane, _, provisioning in backplanes_of(model, AzureServiceBus, ServiceBusProvisioning)
    }
    for entity in entities_of(model):
        for index, subscription in enumerate(provisioned[entity.backplane.name].subscriptions):
            if subscription.forward_to is not None and subscription.topic in (None, entity.event_type):
                path: Path = (*entity.backplane.path, "provisioning", "subscriptions", index, "forwardTo")
                yield _Forward(entity.name, subscription.forward_to, entity.server, subscription.requires_session, path)
