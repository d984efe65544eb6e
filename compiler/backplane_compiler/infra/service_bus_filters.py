"""Filters of subscriptions: a correlation filter where it says exactly the same, else a SQL filter.

The application properties `EventType`, `ExperimentName` and `VariantKey` of our messages are strings, so a correlation
filter, whose values are strings through ARM, matches them (azure-service-bus issue 401 is about numbers). It is also the
cheaper one: 100,000 of them fit on a topic, and 2,000 SQL filters.
"""

from __future__ import annotations

from typing import Final

from backplane_compiler.infra.state import Value
from backplane_compiler.schema.provisioning import SubscriptionFilter

CORRELATION: Final = "CorrelationFilter"
SQL: Final = "SqlFilter"
MATCH_ALL: Final = "1=1"
PROPERTY_PREFIX: Final = "property "


def filter_properties(wanted: SubscriptionFilter | None) -> dict[str, Value]:
    """Return the properties of the rule for *wanted*; of none, a rule that every message matches.

    They are `filterType` with `sqlExpression`, or with one `property NAME` for each application property.
    """
    equal = {} if wanted is None else _equalities(wanted)
    if wanted is not None and wanted.sql is not None:
        conditions = [f"{name} = {sql_string(value)}" for name, value in equal.items()]
        expression = " AND ".join([*conditions, f"({wanted.sql})"]) if conditions else wanted.sql
        return {"filterType": SQL, "sqlExpression": expression}
    if not equal:
        return {"filterType": SQL, "sqlExpression": MATCH_ALL}
    return {"filterType": CORRELATION, **{f"{PROPERTY_PREFIX}{name}": value for name, value in equal.items()}}


def sql_string(text: str) -> str:
    """Return *text* as a string constant of Service Bus SQL."""
    return "'" + text.replace("'", "''") + "'"


def _equalities(wanted: SubscriptionFilter) -> dict[str, str]:
    pairs = {
        "EventType": wanted.event_type.wire_name if wanted.event_type else None,
        "ExperimentName": wanted.experiment,
        "VariantKey": wanted.variant,
    }
    return {name: value for name, value in pairs.items() if value is not None}
