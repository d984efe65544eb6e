"""What a Kafka cluster says when it is asked, and what its client complains about, in one line without secrets."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata

from backplane_runtime.backplanes.api import BackplaneHealth, UnavailableError, resolved, scrubbed
from backplane_runtime.settings import Kafka
from backplane_runtime.settings.kafka_client import connection_config, secrets_of

ASK_SECONDS = 0.5  # between two looks at what the client complains about
_DOING = re.compile(r"Failed to (create|get) [a-z ]+: |Unable to produce message: ")
C = TypeVar("C")
_LOGGER = logging.getLogger("backplane.kafka")

# What waiting does not mend: somebody has to change a setting, here or at the broker.
_HOPELESS = frozenset({KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.SASL_AUTHENTICATION_FAILED})  # noqa: SLF001 - its names

# A part of what librdkafka says -> what to do about it; the first that fits.
_ADVICE = (
    ("No such configuration property", "what `additionalConfig` may hold is in librdkafka's CONFIGURATION.md"),
    ("ssl.ca.location failed", "`security.caFile` must be a file of certificates in PEM"),
    ("ssl.key.location failed", "check `security.keyFile` and `keyPassword`"),
    ("ssl.certificate.location failed", "`security.certificateFile` must be a file of certificates in PEM"),
    ("OAUTHBEARER token", "check `security.tokenEndpoint`, `clientId`, `clientSecret` and `scope`"),
    ("invalid_token", "the broker does not accept the token: check its audience, its issuer and the issuer's keys"),
    ("SASL", "check `security.mechanism`, `username` and `password`"),
    ("certificate verify failed", "check `security.caFile`, and the broker's certificate: its end and its names"),
    (
        "ssl/tls alert",
        "the broker refuses `security.certificateFile`: it is missing, has ended, or has an unknown issuer",
    ),
    ("Broker transport failure", "check `brokers` and `security.protocol`"),
)


def ask_cluster(settings: Kafka, topics: Collection[str], timeout: float) -> BackplaneHealth:
    """Ask the cluster of *settings* for its topics with a client of its own, TLS and SASL included; never raises.

    It is healthy when it answers within *timeout* seconds and has all *topics*.
    """
    complaints = Complaints(settings)
    try:
        client = new_client(AdminClient, connection_config(resolved(settings)), complaints)
        metadata = _metadata(client, timeout, complaints)
    except UnavailableError as error:
        return BackplaneHealth(healthy=False, message=str(error))
    except KafkaException as error:
        return BackplaneHealth(healthy=False, message=complaints.silence(error))
    missing = sorted(name for name in topics if name not in metadata.topics or metadata.topics[name].error is not None)
    details = {"brokers": len(metadata.brokers), "clusterId": metadata.cluster_id, "missingTopics": missing}
    if missing:
        return BackplaneHealth(healthy=False, message=missing_topics(missing), details=details)
    count = len(metadata.brokers)
    return BackplaneHealth(healthy=True, message="1 broker" if count == 1 else f"{count} brokers", details=details)


def missing_topics(names: Collection[str]) -> str:
    """Return the sentence about topics that are not there."""
    return f"missing topics: {', '.join(sorted(names))}; run `backplane apply`"


class Complaints:
    """What one client complained about, each cause once, the latest first; `is_hopeless` if waiting does not mend it."""

    def __init__(self, settings: Kafka) -> None:
        self._settings = settings
        self._texts: dict[str, None] = {}
        self.is_hopeless = self.is_fatal = False

    def add(self, error: KafkaError) -> None:
        """Take one complaint."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - its name; each broker's own cause has been told
            return
        self.is_hopeless = self.is_hopeless or error.code() in _HOPELESS
        self.is_fatal = self.is_fatal or error.fatal()
        self._texts = {self._text(error): None} | self._texts

    def clear(self) -> None:
        """Forget what is over; that the client is lost stays."""
        self._texts, self.is_hopeless = {}, False

    @property
    def latest(self) -> str | None:
        """Return the latest complaint with what to do about it, if there is one."""
        return next((_with_advice([text]) for text in self._texts), None)

    def said(self, error: KafkaError | Exception) -> str:
        """Return what *error* says, on one line, without secrets, with an action where one is known."""
        return _with_advice([self._text(error)])

    def silence(self, error: Exception) -> str:
        """Return why nobody answers: the complaints, or else what *error* says."""
        texts = [*self._texts][:3] or [self._text(error)]
        return f"no answer from {', '.join(self._settings.brokers)}: {_with_advice(texts)}"

    def _text(self, error: KafkaError | Exception) -> str:
        cause = error.args[0] if isinstance(error, KafkaException) and error.args else error
        text = cause.str() if isinstance(cause, KafkaError) else str(cause)
        # Not how long ago and in which state, nor what the client was doing: that makes one cause look like many.
        text = _DOING.sub("", text.partition(" (after ")[0])
        return scrubbed(text, secrets_of(_resolved_or_not(self._settings)))


def new_client(make: Callable[..., C], config: dict[str, Any], complaints: Complaints) -> C:
    """Return the client that *make* makes of *config*; it complains to *complaints* and not on standard error.

    What it would log goes into health and our own bounded log; only a crash is its own.

    Raises:
        UnavailableError: if it refuses its settings, a file that they name included: that may be put there later.
    """
    try:
        return make(config | {"error_cb": complaints.add, "log_level": 2}, logger=_LOGGER)
    except KafkaException as error:
        raise UnavailableError(f"the Kafka client refuses its settings: {complaints.said(error)}") from error


def _with_advice(texts: Sequence[str]) -> str:
    advice = (next((advice for part, advice in _ADVICE if part in text), "") for text in texts)
    return "; ".join(filter(None, dict.fromkeys([*texts, *advice])))


def _metadata(client: AdminClient, timeout: float, complaints: Complaints) -> ClusterMetadata:
    # A little less than allowed: the answer has to be put together, too.
    deadline = time.monotonic() + max(0.1, timeout * 0.9)
    while True:
        left = deadline - time.monotonic()
        try:
            return client.list_topics(timeout=max(0.05, min(ASK_SECONDS, left)))
        except KafkaException:
            client.poll(0)  # what the client has to complain about comes with this call only
            if complaints.is_hopeless or left <= ASK_SECONDS:
                raise


def _resolved_or_not(settings: Kafka) -> Kafka:
    try:
        return resolved(settings)
    except UnavailableError:
        return settings
