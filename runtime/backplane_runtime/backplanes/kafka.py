"""Events in Kafka, through confluent-kafka's synchronous producer on the lane's own thread.

Why not the others: `produce_batch` drops headers and `AIOProducer` refuses them (2.16.1), and headers carry the event id.

librdkafka queues and retries on its own, so a record that it has, and that was not reported yet, is remembered: when it
is handed over again after `RETRY`, it is waited for, not produced a second time. Only a fatal error (the broker no longer
accepts this idempotent producer) ends the client; the next `send` builds a new one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, ClusterMetadata

from backplane_runtime.backplanes.api import BackplaneHealth, Rejected, UnavailableError, Verdict, resolved, scrubbed
from backplane_runtime.envelope import Record
from backplane_runtime.events import EventType
from backplane_runtime.settings import Kafka
from backplane_runtime.settings.kafka_client import client_config, connection_config

WAIT_SECONDS = 2.0  # how long one `send` waits for delivery reports
_LOGGER = logging.getLogger("backplane.kafka")

# What no broker will ever take, however often it is sent.
_POISON = frozenset(
    {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD}
)


class KafkaBackplane:
    """Produces each event to the topic of its type, keyed as `partitionBy` says."""

    def __init__(self, settings: Kafka, events: frozenset[EventType] = frozenset(EventType)) -> None:
        self._settings = settings
        self._events = events
        self._producer: Producer | None = None
        self._under_way: set[str] = set()  # ids that librdkafka has, without a report
        self._reports: dict[str, Verdict | Rejected] = {}  # of ids whose verdict was not returned yet
        self._crowded: set[str] = set()  # ids that were refused together with others
        self._single: str | None = None  # the id that was produced alone last
        self._complaint: str | None = None  # the client's latest error that is nobody's in particular
        self._is_fatal = False

    def start(self) -> None:
        """Build the client; it connects by itself, and reports come with the first `send`."""
        config = client_config(resolved(self._settings)) | _callbacks(self._complain)
        try:
            self._producer = Producer(config, logger=_LOGGER)
        except KafkaException as error:
            raise UnavailableError(f"the client refuses its settings: {self._scrubbed(error)}") from error
        self._is_fatal = False

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        """Produce what is new in *batch*, wait for the reports, and return those that came."""
        if self._producer is None:
            self.start()
        producer = self._producer
        if producer is None:
            raise UnavailableError("not connected")
        deadline = time.monotonic() + WAIT_SECONDS
        known = self._under_way | self._reports.keys() | self._crowded
        for record in batch:
            if record.event_id not in known:
                self._produce(producer, record)
        self._await_reports(producer, deadline)
        self._produce_crowded(producer, batch, deadline)
        verdicts = [self._reports.pop(record.event_id, Verdict.RETRY) for record in batch]
        if self._is_fatal:
            self.close(0)
        if all(verdict is Verdict.RETRY for verdict in verdicts):
            raise UnavailableError(self._complaint or self._why_silent())
        self._complaint = None  # whatever it was about, it is over
        return verdicts

    def health(self, timeout: float) -> BackplaneHealth:
        """Ask the cluster for its topics with a client of its own, and compare them with those that are needed."""
        complaints: list[str] = []
        try:
            config = connection_config(resolved(self._settings))
            callbacks = _callbacks(lambda error: complaints.append(_reason(error)))
            metadata = _metadata(AdminClient(config | callbacks, logger=_LOGGER), timeout)
        except (KafkaException, UnavailableError) as error:
            return BackplaneHealth(healthy=False, message=self._silence(complaints, error))
        missing = sorted({self._settings.topic_for(kind) for kind in self._events} - metadata.topics.keys())
        details = {"brokers": len(metadata.brokers), "clusterId": metadata.cluster_id, "missingTopics": missing}
        if missing:
            message = f"missing topics: {', '.join(missing)}; run `backplane apply`"
            return BackplaneHealth(healthy=False, message=message, details=details)
        count = len(metadata.brokers)
        return BackplaneHealth(healthy=True, message="1 broker" if count == 1 else f"{count} brokers", details=details)

    def close(self, timeout: float) -> None:
        """Wait at most *timeout* seconds for what is under way, then drop the client with the rest."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.flush(timeout)
            producer.purge()
            producer.flush(0)
        self._under_way.clear()
        self._reports.clear()
        self._crowded.clear()

    def _produce(self, producer: Producer, record: Record) -> None:
        self._under_way.add(record.event_id)
        try:
            producer.produce(
                self._settings.topic_for(record.event_type),
                value=record.envelope,
                key=key(self._settings, record),
                headers=headers(record),
                on_delivery=lambda error, _: self._report(record.event_id, error),
            )
        except BufferError:  # librdkafka's queue is full: the record stays ours
            self._under_way.discard(record.event_id)
        except KafkaException as error:
            self._single = record.event_id  # nothing else was in the way
            self._report(record.event_id, error.args[0])

    def _produce_crowded(self, producer: Producer, batch: Sequence[Record], deadline: float) -> None:
        # A broker refuses a whole request that is larger than the topic allows: each record in it may fit alone.
        for record in batch:
            if record.event_id not in self._crowded:
                continue
            if self._under_way or self._is_fatal or time.monotonic() >= deadline:
                return
            self._crowded.discard(record.event_id)
            self._single = record.event_id
            self._produce(producer, record)
            self._await_reports(producer, deadline)

    def _await_reports(self, producer: Producer, deadline: float) -> None:
        # Flushing sends at once: events have waited for company in our queue, and need not linger a second time.
        while self._under_way and not self._is_fatal and (left := deadline - time.monotonic()) > 0:
            producer.flush(left)

    def _report(self, event_id: str, error: KafkaError | None) -> None:
        self._under_way.discard(event_id)
        if error is None:
            self._reports[event_id] = Verdict.ACKNOWLEDGED
        elif error.code() in _POISON and event_id != self._single:
            self._crowded.add(event_id)
        elif error.code() in _POISON:
            self._reports[event_id] = Rejected(_reason(error))
        else:
            self._complain(error)

    def _complain(self, error: KafkaError) -> None:
        self._complaint = self._scrubbed(_reason(error))
        self._is_fatal = self._is_fatal or error.fatal()

    def _why_silent(self) -> str:
        # For a topic that is not there librdkafka waits in silence, long after our patience has ended.
        answer = self.health(WAIT_SECONDS)
        return f"no acknowledgement within {WAIT_SECONDS:g} s" if answer.healthy else answer.message

    def _silence(self, complaints: list[str], error: Exception) -> str:
        servers = ", ".join(self._settings.brokers)
        reasons = dict.fromkeys(complaints) or [_reason(error.args[0] if error.args else error)]
        return self._scrubbed(f"no answer from {servers}: {'; '.join(list(reasons)[:3])}")

    def _scrubbed(self, text: object) -> str:
        try:
            settings = resolved(self._settings)
        except UnavailableError:
            settings = self._settings
        security = settings.security
        passwords = [
            value for name, value in settings.additional_config.items() if "password" in name or "secret" in name
        ]
        return scrubbed(
            str(text), [security.password, security.key_password, security.client_secret, *map(str, passwords)]
        )


def key(settings: Kafka, record: Record) -> bytes | None:
    """Return the key of *record*; none where its event has no such field, or for `roundRobin`."""
    values = {"experimentKey": record.experiment, "subjectId": record.subject, "tenantId": record.tenant}
    value = values.get(settings.partition_by)
    return None if value is None else value.encode()


def headers(record: Record) -> list[tuple[str, str | bytes | None]]:
    """Return the headers of *record*: id, type, version, and the correlation id where there is one."""
    found: list[tuple[str, str | bytes | None]] = [
        ("event-id", record.event_id),
        ("event-type", record.event_type.wire_name),
        ("schema-version", record.schema_version),
    ]
    if record.correlation_id is not None:
        found.append(("correlation-id", record.correlation_id.encode()))  # the client cuts text off at a NUL
    return found


def _metadata(client: AdminClient, timeout: float) -> ClusterMetadata:
    try:
        # A little less than allowed: the answer has to be put together, too.
        return client.list_topics(timeout=max(0.1, timeout * 0.9))
    finally:
        client.poll(0)  # what the client has to complain about comes with this call only


def _callbacks(complain: Any) -> dict[str, Any]:
    # What the client would log goes through `complain`, into health and our own bounded log; only a crash is its own.
    def hear(error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - its name; each broker's own cause has been told
            complain(error)

    return {"error_cb": hear, "log_level": 2}


def _reason(error: KafkaError | Exception) -> str:
    # How long ago and in which state of the client is of no use to anybody, and makes one cause look like many.
    return error.str().partition(" (after ")[0] if isinstance(error, KafkaError) else str(error)
