"""Names in Azure Service Bus (azure-docs, `resource-name-rules.md`)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from backplane_compiler.diagnostics import Diagnostic
from backplane_compiler.model.model import Backplane, Model
from backplane_compiler.rules.finding import backplanes_of, error, is_open, place, without_address
from backplane_compiler.rules.servicebus_entities import Entity, entities_of
from backplane_compiler.schema.provisioning import ServiceBusProvisioning
from backplane_compiler.source import Path
from backplane_runtime.settings import AzureServiceBus

_ENTITY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,258}[A-Za-z0-9])?", re.ASCII)
_SUBSCRIPTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,48}[A-Za-z0-9])?", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", re.ASCII)
_NAMESPACE = re.compile(r"[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9]", re.ASCII)


def check(model: Model) -> Iterator[Diagnostic]:
    """Yield an error for each name of a namespace, queue, topic or subscription that Azure refuses."""
    yield from _entities(model)
    for backplane, settings, provisioning in backplanes_of(model, AzureServiceBus, ServiceBusProvisioning):
        yield from _namespace(model, backplane, settings, provisioning)
        yield from _subscriptions(model, backplane, settings, provisioning)


def _entities(model: Model) -> Iterator[Diagnostic]:
    first: dict[tuple[str, str], Entity] = {}
    seen: set[tuple[str, str]] = set()
    for entity in entities_of(model):
        known = first.setdefault((entity.server, entity.name.casefold()), entity)
        key = (entity.backplane.name, entity.name)
        if key not in seen:
            yield from _entity(model, entity, known)
        seen.add(key)


def _entity(model: Model, entity: Entity, known: Entity) -> Iterator[Diagnostic]:
    span = place(model, entity.name_path)
    if is_open(entity.name):
        yield without_address(model, entity.name_path)
    elif not _ENTITY.fullmatch(entity.name):
        hint = "use at most 260 letters, digits, `.`, `-`, `_` and `/`, with a letter or digit first and last"
        yield error("servicebus-name", f"a {entity.kind} cannot be named `{entity.name}`", span, hint=hint)
    elif (known.kind, known.name) != (entity.kind, entity.name):
        message = (
            f"the {known.kind} `{known.name}` and the {entity.kind} `{entity.name}` have one name: in a namespace queues "
            "and topics share names, and case does not matter"
        )
        yield error("duplicate-name", message, span, hint="rename one of the two")


def _namespace(
    model: Model, backplane: Backplane, settings: AzureServiceBus, provisioning: ServiceBusProvisioning
) -> Iterator[Diagnostic]:
    host = settings.fully_qualified_namespace
    if host is not None and not is_open(host) and not _HOST.fullmatch(host):
        message = f"`fullyQualifiedNamespace` must be the name of a host, not `{host}`"
        path: Path = (*backplane.path, "options", "fullyQualifiedNamespace")
        yield error("servicebus-name", message, place(model, path), hint="write `NAME.servicebus.windows.net`")
    name = provisioning.namespace
    if name is not None and not is_open(name) and (not _NAMESPACE.fullmatch(name) or name.endswith(("-sb", "-mgmt"))):
        message = f"a namespace cannot be named `{name}`"
        hint = "use 6 to 50 letters, digits and `-`, with a letter first, and not `-`, `-sb` or `-mgmt` last"
        yield error("servicebus-name", message, place(model, (*backplane.path, "provisioning", "namespace")), hint=hint)


def _subscriptions(
    model: Model, backplane: Backplane, settings: AzureServiceBus, provisioning: ServiceBusProvisioning
) -> Iterator[Diagnostic]:
    seen: set[tuple[str, str]] = set()
    for index, subscription in enumerate(provisioning.subscriptions):
        path: Path = (*backplane.path, "provisioning", "subscriptions", index, "name")
        if not _SUBSCRIPTION.fullmatch(subscription.name):
            message = f"a subscription cannot be named `{subscription.name}`"
            hint = "use at most 50 letters, digits, `.`, `-` and `_`, with a letter or digit first and last"
            yield error("servicebus-name", message, place(model, path), hint=hint)
        topics = {settings.entity_for(kind) for kind in backplane.events if subscription.topic in (None, kind)}
        topics = topics or {str(subscription.topic)}
        keys = {(subscription.name.casefold(), topic) for topic in topics}
        if keys & seen:
            message = f"two subscriptions are named `{subscription.name}`"
            yield error("duplicate-name", message, place(model, path), hint="rename one of the two")
        seen |= keys
