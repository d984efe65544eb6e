"""All rules, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

from backplane_compiler.diagnostics import Diagnostic, sort_key
from backplane_compiler.model.model import Model
from backplane_compiler.rules import (
    kafka_client_config,
    kafka_compaction,
    kafka_config_keys,
    kafka_replication,
    kafka_topic_collisions,
    kafka_topic_names,
    not_yet_effective,
    provisioning_without_effect,
    routes,
    servicebus_forwarding,
    servicebus_names,
    servicebus_ranges,
    servicebus_sessions,
    servicebus_tier,
    sql_identifiers,
    subscription_experiments,
)

Rule = Callable[[Model], Iterator[Diagnostic]]

RULES: Final[tuple[Rule, ...]] = (
    kafka_topic_names.check,
    kafka_topic_collisions.check,
    kafka_replication.check,
    kafka_config_keys.check,
    kafka_client_config.check,
    kafka_compaction.check,
    servicebus_names.check,
    servicebus_tier.check,
    servicebus_ranges.check,
    servicebus_sessions.check,
    servicebus_forwarding.check,
    subscription_experiments.check,
    sql_identifiers.check,
    routes.check,
    provisioning_without_effect.check,
    not_yet_effective.check,
)


class HasRules(Protocol):
    """What this package needs to know of a handler: the rules of its own."""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Rules that run after the built-in ones where a document has this type."""


def check_rules(model: Model, handlers: Mapping[str, HasRules]) -> tuple[Diagnostic, ...]:
    """Return what every rule has to say about *model*, in the order of the source."""
    types = dict.fromkeys(backplane.type for backplane in model.backplanes)
    own = (rule for name in types for rule in handlers[name].rules)
    return tuple(sorted((found for rule in (*RULES, *own) for found in rule(model)), key=sort_key))
