"""The defaults that users are promised, written out: a change of one is a change of the contract."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backplane_runtime.config import canonical_bytes
from backplane_runtime.settings import (
    AzureServiceBus,
    InMemory,
    Kafka,
    Logging,
    OpenTelemetry,
    PiiRedaction,
    Plane,
    PostgreSql,
    Settings,
    Sqlite,
    SqlServer,
    to_wire,
)

pytestmark = pytest.mark.runtime_only

_TABLE = {"enableIdempotency": True, "commandTimeoutSeconds": 30}
_SECURITY = (
    "mechanism username password caFile certificateFile keyFile keyPassword tokenEndpoint clientId clientSecret scope"
)
_DEFAULTS: list[tuple[Settings, dict[str, Any]]] = [
    (
        Plane(),
        {
            "enableExposureEvents": True,
            "enableAssignmentEvents": True,
            "enableOutcomeEvents": True,
            "enableAnalysisSignals": True,
            "enableErrorEvents": True,
            "exposureSemantics": "onDecision",
            "samplingRate": 1.0,
            "batchSize": 500,
            "flushIntervalMs": 1000,
            "maxQueueSize": 10_000,
            "maxQueueBytes": 64 << 20,
            "ledgerSignals": False,
            "failureMode": "spool",
            "durability": "process",
            "closeTimeoutMs": 1000,
            "spool": {"directory": None, "maxBytes": 1 << 30},
            "piiRedaction": None,
        },
    ),
    (
        PiiRedaction(),
        {
            "redactSubjectIds": False,
            "redactTenantIds": False,
            "redactFields": [],
            "mode": "mask",
            "placeholder": "[redacted]",
            "keyRef": None,
        },
    ),
    (
        Kafka(brokers=["h:1"]),
        {
            "brokers": ["h:1"],
            "topic": None,
            "topicPrefix": None,
            "topics": {},
            "partitionBy": "experimentKey",
            "batchSize": 500,
            "lingerMs": 100,
            "enableIdempotence": True,
            "compressionType": "snappy",
            "acks": "all",
            "requestTimeoutMs": 30_000,
            "maxInFlight": 5,
            "clientId": None,
            "additionalConfig": {},
            "security": {"protocol": "plaintext", **dict.fromkeys(_SECURITY.split())},
        },
    ),
    (
        AzureServiceBus(connection_string="${env:X}"),
        {
            "connectionString": "${env:X}",
            "fullyQualifiedNamespace": None,
            "credential": "default",
            "queueName": None,
            "topicName": None,
            "useTypeSpecificDestinations": False,
            "destinationKind": "queue",
            "entityPrefix": None,
            "entities": {},
            "batchSize": 100,
            "maxRetryAttempts": 3,
            "messageTimeToLiveMinutes": None,
            "enableSessions": False,
            "sessionStrategy": "experimentKey",
            "clientId": None,
            "packing": "auto",
        },
    ),
    (
        SqlServer(connection_string="x"),
        {
            **_TABLE,
            "connectionString": "x",
            "schema": "dbo",
            "tableName": "ExperimentEvents",
            "batchSize": 100,
            "autoMigrate": False,
        },
    ),
    (
        PostgreSql(url="x"),
        {
            **_TABLE,
            "url": "x",
            "schema": "public",
            "tableName": "experiment_events",
            "batchSize": 500,
            "autoMigrate": False,
        },
    ),
    (
        Sqlite(),
        {
            "path": "experiment-events.db",
            "tableName": "ExperimentEvents",
            "batchSize": 500,
            "enableIdempotency": True,
            "autoMigrate": True,
        },
    ),
    (InMemory(), {"capacity": 100_000}),
    (Logging(), {"logger": "backplane.events", "level": "info", "format": "json"}),
    (OpenTelemetry(), {"signal": "logs", "endpoint": None, "headers": {}}),
]


@pytest.mark.parametrize(
    ("settings", "promised"), _DEFAULTS, ids=lambda item: type(item).__name__ if isinstance(item, Settings) else ""
)
def test_defaults_are_those_of_the_design(settings: Settings, promised: dict[str, Any]) -> None:
    """Of the specification and of design/document.md, each of them."""
    assert json.loads(canonical_bytes(to_wire(settings))) == promised
