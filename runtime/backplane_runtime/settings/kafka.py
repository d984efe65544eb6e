"""Options of the Kafka backplane, and what librdkafka is handed for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from backplane_runtime.events import EventType
from backplane_runtime.settings.base import Refusal, Settings, Strings

PartitionBy = Literal["experimentKey", "subjectId", "tenantId", "roundRobin"]
Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]
Acks = Literal["all", "1", "0"]
Protocol = Literal["plaintext", "ssl", "saslPlaintext", "saslSsl"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
ConfigValue = str | int | float | bool

# The five names of the specification, section "Topic Naming".
DEFAULT_TOPICS: Mapping[EventType, str] = {
    EventType.EXPOSURE: "experiment-exposures",
    EventType.ASSIGNMENT: "experiment-assignments",
    EventType.OUTCOME: "experiment-outcomes",
    EventType.ANALYSIS_SIGNAL: "experiment-analysis-signals",
    EventType.ERROR: "experiment-errors",
}
_NO_ADDRESS = re.compile(r"[\x00-\x1f\x7f]")
_MAX_IDEMPOTENT_IN_FLIGHT = 5  # librdkafka, rd_kafka_conf_finalize


class KafkaSecurity(Settings, frozen=True, kw_only=True):
    """How the client proves who it is and who the broker is; secrets by reference only."""

    protocol: Annotated[Protocol, Meta(description="Transport, with or without TLS and SASL.")] = "plaintext"
    mechanism: Annotated[Mechanism | None, Meta(description="SASL mechanism.")] = None
    username: Annotated[str | None, Meta(description="SASL user name.")] = None
    password: Annotated[str | None, Meta(description="SASL password, as a reference.")] = None
    ca_file: Annotated[str | None, Meta(description="Certificates (PEM) that vouch for the broker.")] = None
    certificate_file: Annotated[str | None, Meta(description="The client's certificate (PEM).")] = None
    key_file: Annotated[str | None, Meta(description="The client's private key (PEM).")] = None
    key_password: Annotated[str | None, Meta(description="Password of the private key, as a reference.")] = None
    token_endpoint: Annotated[str | None, Meta(description="OIDC token end point for OAUTHBEARER.")] = None
    client_id: Annotated[str | None, Meta(description="OIDC client id.")] = None
    client_secret: Annotated[str | None, Meta(description="OIDC client secret, as a reference.")] = None
    scope: Annotated[str | None, Meta(description="OIDC scope.")] = None

    def _refusals(self) -> Iterator[Refusal]:
        sasl = self.protocol in ("saslPlaintext", "saslSsl")
        if sasl and self.mechanism is None:
            yield Refusal("mechanism", f"protocol `{self.protocol}` needs a SASL mechanism", "sasl-mechanism-missing")
        if self.mechanism is not None and not sasl:
            yield Refusal(
                "protocol",
                f"mechanism `{self.mechanism}` has no effect with protocol `{self.protocol}`",
                "sasl-protocol",
                "set `protocol: saslSsl`",
            )
        if self.mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512") and not (self.username and self.password):
            yield Refusal("password", f"`{self.mechanism}` needs `username` and `password`", "sasl-credentials-missing")
        if self.certificate_file and not self.key_file:
            yield Refusal("keyFile", "`certificateFile` needs `keyFile`, its private key")
        if self.key_file and not self.certificate_file:
            yield Refusal("certificateFile", "`keyFile` needs `certificateFile`, which it proves")


class Kafka(Settings, frozen=True, kw_only=True):
    """Publish to Kafka: a topic per event type, or one topic for all.

    Units are in the names: `linger_ms` and `request_timeout_ms` are milliseconds, `batch_size` counts events.
    """

    brokers: Annotated[
        Strings,
        Meta(min_length=1, description="Bootstrap servers, `host:port` each; a list, or one string with commas."),
    ]
    topic: Annotated[
        str | None, Meta(description="One topic for all events; a topic per event type where it is not set.")
    ] = None
    topic_prefix: Annotated[
        str | None, Meta(description="Put before each of the five names, so that teams share a cluster.")
    ] = None
    topics: Annotated[
        dict[EventType, str], Meta(description="Topic by event type; the others keep their default name.")
    ] = msgspec.field(default_factory=dict)
    partition_by: Annotated[PartitionBy, Meta(description="What the record's key is; `roundRobin` has none.")] = (
        "experimentKey"
    )
    batch_size: Annotated[int, Meta(ge=1, le=1_000_000, description="Events handed to the client at once.")] = 500
    linger_ms: Annotated[int, Meta(ge=0, le=900_000, description="How long the client waits for a fuller batch.")] = 100
    enable_idempotence: Annotated[
        bool, Meta(description="The broker drops repeats of a retried batch, and order is kept across retries.")
    ] = True
    compression_type: Annotated[Compression, Meta(description="Codec of the batches.")] = "snappy"
    acks: Annotated[Acks, Meta(description="Who must have a record before it counts as written.")] = "all"
    request_timeout_ms: Annotated[int, Meta(ge=1, le=900_000, description="How long one request may take.")] = 30_000
    max_in_flight: Annotated[int, Meta(ge=1, le=1_000_000, description="Requests under way on one connection.")] = 5
    client_id: Annotated[str | None, Meta(description="Name of this client in the broker's logs and quotas.")] = None
    additional_config: Annotated[
        dict[str, ConfigValue], Meta(description="librdkafka settings, handed to the client as they are.")
    ] = msgspec.field(default_factory=dict)
    security: Annotated[KafkaSecurity, Meta(description="TLS and SASL.")] = KafkaSecurity()

    def topic_for(self, event_type: EventType) -> str:
        """Return the topic that events of *event_type* go to."""
        if event_type in self.topics:
            return self.topics[event_type]
        if self.topic is not None:
            return self.topic
        return f"{self.topic_prefix or ''}{DEFAULT_TOPICS[event_type]}"

    def place(self) -> Any:
        """Return the brokers and the topics."""
        return [sorted(self.brokers), {kind.value: self.topic_for(kind) for kind in EventType}]

    def _has_token(self) -> bool:
        security = self.security
        known = security.token_endpoint and security.client_id and security.client_secret
        return bool(known) or any(name.startswith("sasl.oauthbearer.") for name in self.additional_config)

    def _refusals(self) -> Iterator[Refusal]:
        if self.enable_idempotence and self.acks != "all":
            yield Refusal(
                "acks",
                f"`acks: {self.acks}` contradicts `enableIdempotence: true`, which needs `all`",
                "kafka-idempotence-acks",
                "set `acks: all`, or `enableIdempotence: false`",
            )
        if self.enable_idempotence and self.max_in_flight > _MAX_IDEMPOTENT_IN_FLIGHT:
            yield Refusal(
                "maxInFlight",
                f"`maxInFlight: {self.max_in_flight}` contradicts `enableIdempotence: true`, which allows at most 5",
                "kafka-idempotence-in-flight",
                "set `maxInFlight: 5`, or `enableIdempotence: false`",
            )
        if self.security.mechanism == "OAUTHBEARER" and not self._has_token():
            yield Refusal(
                "security.tokenEndpoint",
                "`OAUTHBEARER` needs `tokenEndpoint`, `clientId` and `clientSecret`",
                "sasl-credentials-missing",
                "give all three, or librdkafka's own `sasl.oauthbearer.…` in `additionalConfig`",
            )
        if any(not broker or _NO_ADDRESS.search(broker) for broker in self.brokers):
            yield Refusal("brokers", "must be `host:port` each, without control characters", "option-value")
        if self.topic is not None and self.topic_prefix is not None:
            yield Refusal(
                "topicPrefix",
                "has no effect beside `topic`",
                "option-without-effect",
                "put the prefix into `topic`, or remove one of the two",
            )
