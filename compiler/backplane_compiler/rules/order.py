"""All rules, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from backplane_compiler.diagnostics import Diagnostic
from backplane_compiler.model.model import Model
from backplane_compiler.rules import (
    backplane_claims,
    kafka_client_config,
    kafka_compaction,
    kafka_config_keys,
    kafka_replication,
    kafka_topic_collisions,
    kafka_topic_names,
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
    backplane_claims.check,
    routes.check,
    provisioning_without_effect.check,
)
