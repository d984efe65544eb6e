"""`additionalConfig`: librdkafka's names are not those of the Java client, and a wrong one stops the publisher."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from backplane_compiler.diagnostics import Diagnostic
from backplane_compiler.model.model import Model
from backplane_compiler.rules.finding import error, place
from backplane_runtime.settings import Kafka

# Java producer's name -> what to do (librdkafka, CONFIGURATION.md).
_JAVA: Final[Mapping[str, str]] = MappingProxyType(
    {
        "buffer.memory": "use `queue.buffering.max.kbytes` (in KiB)",
        "max.request.size": "use `message.max.bytes`",
        "max.block.ms": "remove it: `failureMode` says what happens when the queue is full",
        "key.serializer": "remove it: the form of keys and values is fixed",
        "value.serializer": "remove it: the form of keys and values is fixed",
        "partitioner.class": "use `partitioner: murmur2_random`, which is what Java clients do",
        "sasl.jaas.config": "use `security.username` and `security.password`",
        "ssl.truststore.location": "use `security.caFile` with certificates in PEM",
        "ssl.truststore.password": "use `security.caFile` with certificates in PEM, which has no password",
        "ssl.truststore.type": "use `security.caFile` with certificates in PEM",
        "ssl.keystore.type": "use `security.certificateFile` and `security.keyFile`",
        "metadata.max.idle.ms": "remove it",
        "reconnect.backoff.max": "use `reconnect.backoff.max.ms`",
        "receive.buffer.bytes": "use `socket.receive.buffer.bytes`",
        "send.buffer.bytes": "use `socket.send.buffer.bytes`",
        "security.providers": "remove it",
    }
)


def check(model: Model) -> Iterator[Diagnostic]:
    """Yield an error for each setting that only the Java client knows."""
    for backplane in model.backplanes:
        if isinstance(backplane.settings, Kafka):
            for key in backplane.settings.additional_config:
                if key in _JAVA:
                    message = f"`{key}` is a setting of the Java client; librdkafka has none of this name"
                    path = (*backplane.path, "options", "additionalConfig", key)
                    yield error("kafka-client-config", message, place(model, path), hint=_JAVA[key])
