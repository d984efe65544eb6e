"""What a tier does not have (azure-docs, `service-bus-messaging/includes/tier-features.md` and `tier-limits.md`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from backplane_compiler.diagnostics import Diagnostic
from backplane_compiler.model.model import Backplane, Model
from backplane_compiler.rules.finding import backplanes_of, error, place
from backplane_compiler.rules.servicebus_entities import Entity, entities_of
from backplane_compiler.schema.provisioning import ServiceBusProvisioning
from backplane_compiler.source import Path
from backplane_runtime.settings import AzureServiceBus

_FORTNIGHT_MS: Final = 14 * 86_400_000
_STANDARD_MAX_MB: Final = 5120

Problem = tuple[str, Path]


def check(model: Model) -> Iterator[Diagnostic]:
    """Yield an error for each feature that the tier of the namespace lacks, once for each place that asks for it."""
    tiers: dict[str, str] = {}
    problems: dict[Path, tuple[str, str]] = {}
    for backplane, settings, provisioning in backplanes_of(model, AzureServiceBus, ServiceBusProvisioning):
        tiers[backplane.name] = provisioning.tier
        if provisioning.tier == "basic":
            for message, path in _basic_options(backplane, settings):
                problems.setdefault(path, (message, "basic"))
    for entity in entities_of(model):
        tier = tiers[entity.backplane.name]
        for message, path in _entity(model, entity, tier):
            problems.setdefault(path, (message, tier))
    for path, (message, tier) in problems.items():
        hint = "use queues, or the tier `standard`" if tier == "basic" and "topics" in message else _HINTS[tier]
        yield error("servicebus-tier", f"the tier `{tier}` {message}", place(model, path), hint=hint)


_HINTS: Final = {
    "basic": "use the tier `standard` or `premium`",
    "standard": "use the tier `premium`",
    "premium": "leave it out, or use the tier `standard`",
}


def _basic_options(backplane: Backplane, settings: AzureServiceBus) -> Iterator[Problem]:
    options: Path = (*backplane.path, "options")
    if settings.entity_kind == "topic":
        yield "has no topics", (*options, "topicName" if settings.topic_name else "destinationKind")
    if settings.enable_sessions:
        yield "has no sessions", (*options, "enableSessions")


def _entity(model: Model, entity: Entity, tier: str) -> Iterator[Problem]:
    shape = entity.shape
    if tier == "basic":
        if shape.duplicate_detection_window is not None:
            yield "has no duplicate detection", entity.path_of("duplicateDetectionWindow", model)
        for key, target in (
            ("forwardTo", shape.forward_to),
            ("forwardDeadLetteredMessagesTo", shape.forward_dead_lettered_messages_to),
        ):
            if target is not None:
                yield "does not forward messages", entity.path_of(key, model)
        life = shape.default_message_time_to_live
        if life is not None and not 0 <= life <= _FORTNIGHT_MS:
            yield "keeps a message for at most 14 days", entity.path_of("defaultMessageTimeToLive", model)
    if tier != "premium" and shape.max_size_in_megabytes > _STANDARD_MAX_MB:
        yield f"has entities of at most {_STANDARD_MAX_MB} MB", entity.path_of("maxSizeInMegabytes", model)
    if tier != "premium" and shape.max_message_size_in_kilobytes is not None:
        yield "has a fixed largest message of 256 KB", entity.path_of("maxMessageSizeInKilobytes", model)
    if tier == "premium" and shape.partitioned:
        yield "partitions whole namespaces, not entities", entity.path_of("partitioned", model)
