"""What librdkafka is handed for `Kafka` settings: the runtime's producer and the compiler's provider use the same.

Names and ranges are librdkafka's (its CONFIGURATION.md), not those of the Java client. What the settings say about
acknowledgement is written out in full, because librdkafka's own defaults differ from Java's. References in the settings
must be resolved before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from backplane_runtime.settings.kafka import Kafka, KafkaSecurity

DEFAULT_CLIENT_ID = "experiment-backplane"

_SECRET = re.compile(r"password|secret|\.key\.pem|oauthbearer\.config|jaas")
_PROTOCOLS: Mapping[str, str] = MappingProxyType(
    {"plaintext": "plaintext", "ssl": "ssl", "saslPlaintext": "sasl_plaintext", "saslSsl": "sasl_ssl"}
)


def connection_config(settings: Kafka) -> dict[str, Any]:
    """Return what any client needs to reach the cluster: an admin client or a consumer takes it too."""
    return {
        "bootstrap.servers": ",".join(settings.brokers),
        "client.id": settings.client_id or DEFAULT_CLIENT_ID,
        **_security(settings.security),
        **settings.additional_config,
    }


def client_config(settings: Kafka) -> dict[str, Any]:
    """Return what the producer is made with; `additionalConfig` is last and wins."""
    return {
        **connection_config(settings),
        "enable.idempotence": settings.enable_idempotence,
        "acks": settings.acks,
        "compression.type": settings.compression_type,
        "linger.ms": settings.linger_ms,
        "request.timeout.ms": settings.request_timeout_ms,
        "max.in.flight.requests.per.connection": settings.max_in_flight,
        # A misspelt topic is an error that somebody sees, not a topic that nobody reads.
        "allow.auto.create.topics": False,
        # A topic that is not there is said soon, not after half a minute: its events stay with us, and others go on.
        "topic.metadata.propagation.max.ms": 500,
        # Without end: our queue holds the event until it is acknowledged, so giving up here would only mean to send it a
        # second time, and the broker takes that for a new one.
        "message.timeout.ms": 0,
        # CRC32 of the key, what the original framework's client does; for `roundRobin` the partition is said explicitly.
        "partitioner": "consistent_random",
        **settings.additional_config,
    }


def secrets_of(settings: Kafka) -> tuple[str, ...]:
    """Return what may not be repeated of resolved *settings*: client libraries echo what they were given."""
    security = settings.security
    known = (security.password, security.key_password, security.client_secret)
    more = (str(value) for name, value in settings.additional_config.items() if _SECRET.search(name))
    return tuple(filter(None, (*known, *more)))


def _security(security: KafkaSecurity) -> dict[str, Any]:
    config = {
        "security.protocol": _PROTOCOLS[security.protocol],
        "sasl.mechanisms": security.mechanism,
        "sasl.username": security.username,
        "sasl.password": security.password,
        "ssl.ca.location": security.ca_file,
        "ssl.certificate.location": security.certificate_file,
        "ssl.key.location": security.key_file,
        "ssl.key.password": security.key_password,
    }
    if security.mechanism == "OAUTHBEARER":
        config |= {
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": security.token_endpoint,
            "sasl.oauthbearer.client.id": security.client_id,
            "sasl.oauthbearer.client.secret": security.client_secret,
            "sasl.oauthbearer.scope": security.scope,
        }
    return {name: value for name, value in config.items() if value is not None}
