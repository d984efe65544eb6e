"""Names in Azure Service Bus (azure-docs, `resource-name-rules.md`)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from backplane_compiler.diagnostics import Diagnostic
from backplane_compiler.model.model import Backplane, Model
from backplane_compiler.rules.finding import backplanes_of, error, is_open, place
from backplane_compiler.rules.servicebus_entities import entities_of
from backplane_compiler.schema.provisioning import ServiceBusProvisioning
from backplane_compiler.source import Path
from backplane_runtime.settings import AzureServiceBus

_ENTITY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,258}[A-Za-z0-9])?", re.ASCII)
_SUBSCRIPTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,48}[A-Za-z0-9])?", re.ASCII)
_NAMESPACE = re.compile(r"[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9]", re.ASCII)


def check(model: Model) -> Iterator[Diagnostic]:
    """Yield an error for each name of a namespace, queue, topic or subscription that Azure refuses."""
    seen: set[tuple[str, str]] = set()
    for entity in entities_of(model):
        key = (entity.backplane.name, entity.name)
        if key not in seen and not is_open(entity.name) and not _ENTITY.fullmatch(entity.name):
            message = f"a {entity.kind} cannot be named `{entity.name}`"
            hint = "use at most 260 letters, digits, `.`, `-`, `_` and `/`, with a letter or digit first and last"
            yield error("servicebus-name", message, place(model, entity.name_path), hint=hint)
        seen.add(key)
    for backplane, settings, provisioning in backplanes_of(model, AzureServiceBus, ServiceBusProvisioning):
        yield from _namespace(model, backplane, settings, provisioning)
        yield from _subscriptions(model, backplane, provisioning)


def _namespace(
    model: Model, backplane: Backplane, settings: AzureServiceBus, provisioning: ServiceBusProvisioning
) -> Iterator[Diagnostic]:
    host = settings.fully_qualified_namespace
    if host is not None and not is_open(host) and ("/" in host or "." not in host):
        message = f"`fullyQualifiedNamespace` must be the name of a host, not `{host}`"
        path: Path = (*backplane.path, "options", "fullyQualifiedNamespace")
        yield error("servicebus-name", message, place(model, path), hint="write `NAME.servicebus.windows.net`")
    name = provisioning.namespace
    if name is not None and not is_open(name) and (not _NAMESPACE.fullmatch(name) or name.endswith(("-sb", "-mgmt"))):
        message = f"a namespace cannot be named `{name}`"
        hint = "use 6 to 50 letters, digits and `-`, with a letter first, and not `-`, `-sb` or `-mgmt` last"
        yield error("servicebus-name", message, place(model, (*backplane.path, "provisioning", "namespace")), hint=hint)


def _subscriptions(model: Model, backplane: Backplane, provisioning: ServiceBusProvisioning) -> Iterator[Diagnostic]:
    seen: set[tuple[str, object]] = set()
    for index, subscription in enumerate(provisioning.subscriptions):
        path: Path = (*backplane.path, "provisioning", "subscriptions", index, "name")
        if not is_open(subscription.name) and not _SUBSCRIPTION.fullmatch(subscription.name):
            message = f"a subscription cannot be named `{subscription.name}`"
            hint = "use at most 50 letters, digits, `.`, `-` and `_`, with a letter or digit first and last"
            yield error("servicebus-name", message, place(model, path), hint=hint)
        key = (subscription.name.casefold(), subscription.topic)
        if key in seen:
            message = f"two subscriptions are named `{subscription.name}`"
            yield error("duplicate-name", message, place(model, path), hint="rename one of the two")
        seen.add(key)
