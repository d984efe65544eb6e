"""The artifact of a Service Bus namespace: an ARM template.

It is built as data and not through a text template: Azure reads it as JSON, every name in it is already escaped when it is
a JSON string, and a text template of JSON breaks at the first missing comma. Entities are nested in the namespace, so that
each has its plain name (the contract allows 50 characters for a subscription's, which a full path would exceed).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from backplane_compiler.infra.service_bus_filters import CORRELATION, PROPERTY_PREFIX
from backplane_compiler.infra.service_bus_kinds import DURATIONS, NAMESPACE, QUEUE, RULE, SUBSCRIPTION, TOPIC
from backplane_compiler.infra.state import Resource, Target
from backplane_compiler.render.artifact import Artifact
from backplane_compiler.render.iso_duration import iso_duration
from backplane_compiler.render.quoting import arm_literal, arm_text
from backplane_runtime.config import canonical_bytes

API_VERSION: Final = "2026-01-01"
_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
_NAMESPACE_TYPE = "Microsoft.ServiceBus/namespaces"
_NAMESPACE_NAME = "parameters('namespaceName')"
_TYPES: Mapping[str, str] = {
    QUEUE: f"{_NAMESPACE_TYPE}/queues",
    TOPIC: f"{_NAMESPACE_TYPE}/topics",
    SUBSCRIPTION: f"{_NAMESPACE_TYPE}/topics/subscriptions",
    RULE: f"{_NAMESPACE_TYPE}/topics/subscriptions/rules",
}
_VALID_NAMESPACE = re.compile(r"[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9]", re.ASCII)
# No value is how ARM says "none" for these; an empty string is refused as the name of an entity.
_OMITTED_WHEN_EMPTY = frozenset({"forwardTo", "forwardDeadLetteredMessagesTo", "userMetadata"})

Plain = dict[str, Any]


def render_service_bus(target: Target, folder: str) -> Iterator[Artifact]:
    """Yield `template.json` of *target* in *folder*."""
    yield Artifact(path=f"{folder}/template.json", text=canonical_bytes(arm_template(target)).decode())


def arm_template(target: Target) -> Plain:
    """Return the ARM template of *target*: the namespace, and in it every entity with every property that can be set.

    The namespace itself is only made where the parameter `createNamespace` is true: an existing one stays as it is.
    """
    resources = target.desired.resources
    namespace = next(resource for resource in resources if resource.kind == NAMESPACE)
    return {
        "$schema": _SCHEMA,
        "contentVersion": "1.0.0.0",
        "metadata": {
            "comments": f"Service Bus entities of {target.server.label}. Written by `backplane compile`: change the document "
            "and compile again, not this file."
        },
        "parameters": _parameters(namespace),
        "resources": [_namespace(resources)],
    }


def _parameters(namespace: Resource) -> Plain:
    values = {name: item.value for name, item in namespace.properties.items()}
    name: Plain = {"type": "string", "minLength": 6, "maxLength": 50}
    if _VALID_NAMESPACE.fullmatch(namespace.name):
        name["defaultValue"] = namespace.name
    return {
        "namespaceName": name,
        "createNamespace": {"type": "bool", "defaultValue": "location" in values},
        "location": {"type": "string", "defaultValue": _location(values.get("location"))},
        "sku": {
            "type": "string",
            "allowedValues": ["Basic", "Standard", "Premium"],
            "defaultValue": str(values["tier"]).capitalize(),
        },
    }


def _location(location: object) -> str:
    return "[resourceGroup().location]" if location is None else arm_text(str(location))


def _namespace(resources: tuple[Resource, ...]) -> Plain:
    return {
        "type": _NAMESPACE_TYPE,
        "apiVersion": API_VERSION,
        "name": f"[{_NAMESPACE_NAME}]",
        "condition": "[parameters('createNamespace')]",
        "location": "[parameters('location')]",
        "sku": {"name": "[parameters('sku')]", "tier": "[parameters('sku')]"},
        "properties": {"minimumTlsVersion": "1.2"},
        "resources": [_entity(one, resources) for one in resources if one.kind in (QUEUE, TOPIC)],
    }


def _entity(resource: Resource, resources: tuple[Resource, ...]) -> Plain:
    """Return *resource* with what belongs to it nested inside."""
    inside = [one for one in resources if one.kind in (SUBSCRIPTION, RULE) and one.depends_on[0] == resource.address]
    plain: Plain = {
        "type": _TYPES[resource.kind].rsplit("/", 1)[1],
        "apiVersion": API_VERSION,
        "name": arm_text(_arm_name(resource.name)),
        "dependsOn": [_resource_id(address) for address in resource.depends_on],
        "properties": _rule(resource) if resource.kind == RULE else _properties(resource),
    }
    return plain | {"resources": [_entity(one, resources) for one in inside]} if inside else plain


def _properties(resource: Resource) -> Plain:
    values = {name: item.value for name, item in resource.properties.items()}
    return {
        name: _value(name, value) for name, value in values.items() if value != "" or name not in _OMITTED_WHEN_EMPTY
    }


def _value(name: str, value: object) -> object:
    if name in DURATIONS and isinstance(value, int):
        return iso_duration(value)
    return arm_text(value) if isinstance(value, str) else value


def _rule(resource: Resource) -> Plain:
    values = {name: str(item.value) for name, item in resource.properties.items()}
    kind = values.pop("filterType")
    if kind == CORRELATION:
        pairs = {arm_text(name.removeprefix(PROPERTY_PREFIX)): arm_text(value) for name, value in values.items()}
        return {"filterType": kind, "correlationFilter": {"properties": pairs}}
    # 20 is the only level there is; the service answers with it.
    return {
        "filterType": kind,
        "sqlFilter": {"sqlExpression": arm_text(values["sqlExpression"]), "compatibilityLevel": 20},
    }


def _resource_id(address: str) -> str:
    kind, path = _read_address(address)
    if kind == NAMESPACE:
        return f"[resourceId('{_NAMESPACE_TYPE}', {_NAMESPACE_NAME})]"
    names = ", ".join(arm_literal(_arm_name(part)) for part in path)
    return f"[resourceId('{_TYPES[kind]}', {_NAMESPACE_NAME}, {names})]"


def _read_address(address: str) -> tuple[str, list[str]]:
    """Return the kind and the path of names. Names of queues and topics may hold `/`, those of subscriptions cannot."""
    family, noun, rest = address.split(".", 2)
    kind = f"{family}.{noun}"
    return kind, rest.rsplit("/", 1) if kind == SUBSCRIPTION else [rest]


def _arm_name(name: str) -> str:
    """Return *name* as ARM has it, where `/` separates parts of a path (azure-rest-api-specs issue 1082)."""
    return name.replace("/", "~")
