"""Events in Kafka, through confluent-kafka's synchronous producer on the lane's own thread.

Why not the others: `produce_batch` drops headers and `AIOProducer` refuses them (2.16.1), and headers carry the event id.

librdkafka queues and retries on its own, so a record that it has, and that was not reported yet, is remembered: when it
is handed over again after `RETRY`, it is waited for, not produced a second time. What ends the client is a fatal error (the
broker no longer accepts this idempotent producer), or that nobody lets it in; the next `send` builds a new one.

Order per key, also across `RETRY`: what comes later is produced only after all that was produced before has its report
(one *wave*, no larger than one request to a partition, at a time), and what librdkafka holds it keeps in order itself
while `enableIdempotence` is on. A topic that takes nothing is left out for a while, and holds up no other.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from backplane_runtime.backplanes.api import BackplaneHealth, Rejected, UnavailableError, Verdict, resolved
from backplane_runtime.backplanes.inherited import disown_in_children
from backplane_runtime.backplanes.kafka_health import Complaints, ask_cluster, missing_topics, new_client
from backplane_runtime.backplanes.kafka_records import RoundRobin, headers, key
from backplane_runtime.envelope import Record
from backplane_runtime.events import EventType
from backplane_runtime.settings import Kafka
from backplane_runtime.settings.kafka_client import client_config

WAIT_SECONDS = 2.0  # how long one `send` waits for delivery reports
BLOCKED_SECONDS = 2.0  # how long a topic that took nothing is not tried again
# Below librdkafka's default `batch.size` and `message.max.bytes`, so that what one wave has for a partition is one request.
WAVE_BYTES = 900_000
_RECORD_BYTES = 300  # what a record takes beside its envelope, at most: headers, key, lengths
_FIRST_LOOK, _LONGEST_LOOK = 0.005, 0.2  # seconds between two looks at what was reported

# What no broker will ever take, however often it is sent.
_POISON = frozenset(
    {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD}
)
_MISSING = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})  # noqa: SLF001 - its name
# The topic refuses, and will go on to; the others need not wait for it.
_OF_TOPIC = _MISSING | {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 - its name; the topic was deleted, or made again with fewer partitions
}


class _Blocked(msgspec.Struct, frozen=True):
    """A topic that takes nothing until somebody does something: why (`None`: it is missing), and when it is asked again."""

    reason: str | None
    until: float


class KafkaBackplane:
    """Produces each event to the topic of its type, keyed or dealt out as `partitionBy` says.

    `last_error` says why some of the latest batch was not taken, where others were.
    """

    def __init__(self, settings: Kafka, events: frozenset[EventType] = frozenset(EventType)) -> None:
        self.last_error: str | None = None
        self._settings = settings
        self._events = events
        self._producer: Producer | None = None
        self._under_way: set[str] = set()  # ids that librdkafka has, without a report
        self._reports: dict[str, Verdict | Rejected] = {}  # of ids whose verdict was not returned yet
        self._crowded: set[str] = set()  # ids that were refused together with others
        self._single: str | None = None  # the id that was produced alone last
        self._blocked: dict[str, _Blocked] = {}
        self._round_robin = RoundRobin() if settings.partition_by == "roundRobin" else None
        self._complaints = Complaints(settings)
        disown_in_children(self)

    def start(self) -> None:
        """Build the client; it connects by itself, and reports come with the first `send`."""
        complaints = Complaints(self._settings)
        self._producer = new_client(Producer, client_config(resolved(self._settings)), complaints)
        self._complaints = complaints

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        """Produce what is new in *batch*, wait for the reports, and return those that came."""
        if self._producer is None:
            self.start()
        producer = self._producer
        if producer is None:
            raise UnavailableError("not connected")
        deadline = time.monotonic() + WAIT_SECONDS
        self._look_at_topics(producer, {self._topic(record) for record in batch}, deadline)
        self._produce_in_waves(producer, batch, deadline)
        found = {event_id: self._reports.pop(event_id, Verdict.RETRY) for event_id in {one.event_id for one in batch}}
        self._reports.clear()  # of what is not handed over again: it was given up, and nobody will ask
        verdicts = [found[record.event_id] for record in batch]
        left = [record for record, verdict in zip(batch, verdicts, strict=True) if verdict is Verdict.RETRY]
        self.last_error = self._why(left) if left else None
        is_silent = bool(left) and len(left) == len(batch)
        # Who is not let in is built anew as well: the password or the certificate may have been put right meanwhile.
        if self._complaints.is_fatal or (is_silent and self._complaints.is_hopeless):
            self.close(0)
        if is_silent:
            raise UnavailableError(str(self.last_error))
        self._complaints.clear()  # whatever it was about, it is over
        return verdicts

    def health(self, timeout: float) -> BackplaneHealth:
        """Ask the cluster for its topics with a client of its own, and compare them with those that are needed."""
        return ask_cluster(self._settings, {self._settings.topic_for(kind) for kind in self._events}, timeout)

    def close(self, timeout: float) -> None:
        """Wait at most *timeout* seconds for what is under way, then drop the client with the rest."""
        producer = self.disown()
        if producer is not None:
            with suppress(KafkaException):  # flushing a client that is lost raises why, which was said before
                producer.flush(timeout)
            producer.purge()
            with suppress(KafkaException):
                producer.flush(0)

    def disown(self) -> Producer | None:
        """Forget the client and what it has of ours."""
        producer, self._producer = self._producer, None
        self._under_way, self._reports, self._crowded = set(), {}, set()  # a late report of the old client finds others
        return producer

    def _topic(self, record: Record) -> str:
        return self._settings.topic_for(record.event_type)

    def _look_at_topics(self, producer: Producer, topics: Iterable[str], deadline: float) -> None:
        """Ask again for topics that were blocked long enough, and for the partitions of those that are dealt out."""
        for topic in topics:
            blocked, left = self._blocked.get(topic), max(0.1, deadline - time.monotonic())
            if blocked is not None and time.monotonic() >= blocked.until:
                self._unblock(producer, topic, left)
            if self._round_robin is not None and topic not in self._blocked:
                try:
                    if not self._round_robin.learn(producer, topic, left):
                        self._block(topic, None)
                except KafkaException as error:
                    producer.poll(0)  # why, comes with this call only
                    raise UnavailableError(self._complaints.silence(error)) from error

    def _unblock(self, producer: Producer, topic: str, timeout: float) -> None:
        try:
            error = producer.list_topics(topic, timeout).topics[topic].error  # the client learns from the answer, too
        except KafkaException:
            return
        if error is None:
            del self._blocked[topic]
        else:
            self._block(topic, error)

    def _block(self, topic: str, error: KafkaError | None) -> None:
        reason = None
        if error is not None and error.code() not in _MISSING:
            reason = f"topic `{topic}`: {self._complaints.said(error)}"
        self._blocked[topic] = _Blocked(reason, time.monotonic() + BLOCKED_SECONDS)
        if self._round_robin is not None:
            self._round_robin.forget(topic)

    def _produce_in_waves(self, producer: Producer, batch: Sequence[Record], deadline: float) -> None:
        ids = {record.event_id for record in batch}
        known = self._under_way | self._reports.keys() | self._crowded
        fresh = {record.event_id: record for record in batch if record.event_id not in known}.values()
        self._crowded &= ids
        for wave in ([], *_waves(fresh)):  # first, what is there from an earlier call
            for record in wave:
                if self._topic(record) not in self._blocked and not self._produce(producer, record):
                    break
            self._await_reports(producer, ids, deadline)
            self._produce_crowded(producer, batch, deadline)
            if self._crowded or not self._under_way.isdisjoint(ids) or not self._is_settled(wave):
                return  # what comes later must not overtake

    def _is_settled(self, wave: Iterable[Record]) -> bool:
        return all(record.event_id in self._reports or self._topic(record) in self._blocked for record in wave)

    def _produce(self, producer: Producer, record: Record) -> bool:
        """Hand *record* to the client; say no if it did not take it."""
        topic, event_id = self._topic(record), record.event_id
        partition = -1 if self._round_robin is None else self._round_robin.next_of(topic)
        self._under_way.add(event_id)
        try:
            producer.produce(
                topic,
                value=record.envelope,
                key=key(self._settings, record),
                headers=headers(record),
                partition=partition,
                on_delivery=partial(self._report, self._under_way, event_id),
            )
        except BufferError:  # librdkafka's queue is full: the record stays ours
            self._under_way.discard(event_id)
            return False
        except KafkaException as error:
            self._under_way.discard(event_id)
            self._fail(topic, event_id, error.args[0], is_alone=True)  # nothing else was in the way
            return event_id in self._reports or topic in self._blocked
        return True

    def _produce_crowded(self, producer: Producer, batch: Sequence[Record], deadline: float) -> None:
        # A broker refuses a whole request that is larger than the topic allows: each record in it may fit alone.
        for record in batch if self._crowded else ():
            if record.event_id not in self._crowded:
                continue
            if self._under_way or self._complaints.is_fatal or time.monotonic() >= deadline:
                return
            self._crowded.discard(record.event_id)
            self._single = record.event_id
            self._produce(producer, record)
            self._await_reports(producer, {record.event_id}, deadline)

    def _await_reports(self, producer: Producer, ids: set[str], deadline: float) -> None:
        # Flushing sends at once: events have waited for company in our queue, and need not linger a second time. It waits
        # for all that the client has, so in short looks: what is stuck from earlier calls must not hold up these.
        look = _FIRST_LOOK
        while not (self._under_way.isdisjoint(ids) or self._complaints.is_fatal):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            try:
                producer.flush(min(look, left))
            except KafkaException as error:  # the client is lost; what it was told before is told here
                self._complaints.add(error.args[0])
            look = min(2 * look, _LONGEST_LOOK)

    def _report(self, under_way: set[str], event_id: str, error: KafkaError | None, message: Message) -> None:
        if under_way is not self._under_way:
            return  # of a client that was given up: its records have been handed to another one
        under_way.discard(event_id)
        if error is None:
            self._reports[event_id] = Verdict.ACKNOWLEDGED
        else:
            self._fail(message.topic() or "", event_id, error, is_alone=event_id == self._single)

    def _fail(self, topic: str, event_id: str, error: KafkaError, *, is_alone: bool) -> None:
        if error.code() in _POISON and not is_alone:
            self._crowded.add(event_id)
        elif error.code() in _POISON:
            self._reports[event_id] = Rejected(self._complaints.said(error))
        elif error.code() in _OF_TOPIC:
            self._block(topic, error)
        else:
            self._complaints.add(error)

    def _why(self, left: Sequence[Record]) -> str:
        topics = {self._topic(record) for record in left}
        blocked = [self._blocked[topic] for topic in topics if topic in self._blocked]
        missing = [topic for topic in topics if topic in self._blocked and self._blocked[topic].reason is None]
        reasons = [missing_topics(missing)] if missing else []
        reasons += sorted(one.reason for one in blocked if one.reason is not None)
        if len(blocked) < len(topics):
            servers = ", ".join(self._settings.brokers)
            reasons.append(self._complaints.latest or f"no acknowledgement from {servers} within {WAIT_SECONDS:g} s")
        return "; ".join(reasons)


def _waves(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Yield *records* in parts of at most `WAVE_BYTES`, and one record at least."""
    wave: list[Record] = []
    size = 0
    for record in records:
        more = len(record.envelope) + _RECORD_BYTES
        if wave and size + more > WAVE_BYTES:
            yield wave
            wave, size = [], 0
        wave.append(record)
        size += more
    if wave:
        yield wave
