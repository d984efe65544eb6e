"""Capability tables of Azure Service Bus: what may change on an entity that exists.

Property names are those of ARM (api-version 2026-01-01); durations are milliseconds. The create-only list is the one that
the service team verified against live ARM (azure-rest-api-specs pull request 45077).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from backplane_compiler.infra.kinds import Change, PropertyRule, ResourceKind, Unit

NAMESPACE: Final = "servicebus.namespace"
QUEUE: Final = "servicebus.queue"
TOPIC: Final = "servicebus.topic"
SUBSCRIPTION: Final = "servicebus.subscription"
RULE: Final = "servicebus.rule"

DURATIONS: Final = frozenset(
    {"autoDeleteOnIdle", "defaultMessageTimeToLive", "duplicateDetectionHistoryTimeWindow", "lockDuration"}
)

_SOURCE = "azure-rest-api-specs pull request 45077"


def _create_only(what: str) -> PropertyRule:
    return PropertyRule(
        change=Change.CREATE_ONLY,
        reason=f"Service Bus fixes {what} when the entity is made, and a new one would not have the messages of this one",
        source=_SOURCE,
    )


_MILLISECONDS = PropertyRule(unit=Unit.MILLISECONDS)
_COMMON: Mapping[str, PropertyRule] = MappingProxyType(
    {
        "autoDeleteOnIdle": PropertyRule(
            unit=Unit.MILLISECONDS,
            decrease_risk="data-loss",
            risk_reason="the entity is deleted with its messages when nobody uses it for that long",
            source="azure-docs message-expiration.md",
        ),
        "defaultMessageTimeToLive": PropertyRule(
            unit=Unit.MILLISECONDS,
            decrease_risk="data-loss",
            risk_reason="it is a ceiling for every message: those that name a longer life expire earlier",
            source="azure-docs message-expiration.md",
        ),
        "duplicateDetectionHistoryTimeWindow": _MILLISECONDS,
        "lockDuration": _MILLISECONDS,
        "requiresDuplicateDetection": _create_only("duplicate detection"),
        "requiresSession": _create_only("sessions"),
        "enablePartitioning": _create_only("partitioning"),
        "isClientAffine": _create_only("client affinity"),
    }
)
_NAMESPACE_RULE = PropertyRule(
    change=Change.NOT_YET,
    reason="a namespace is moved to another tier or region by a migration, which this version does not do",
    source="azure-docs service-bus-migrate-standard-premium.md",
)

SERVICE_BUS_KINDS: Mapping[str, ResourceKind] = MappingProxyType(
    {
        NAMESPACE: ResourceKind(name=NAMESPACE, other=_NAMESPACE_RULE),
        QUEUE: ResourceKind(name=QUEUE, properties=_COMMON),
        TOPIC: ResourceKind(name=TOPIC, properties=_COMMON),
        SUBSCRIPTION: ResourceKind(name=SUBSCRIPTION, properties=_COMMON),
        RULE: ResourceKind(name=RULE),
    }
)
