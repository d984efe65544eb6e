"""Events to an OpenTelemetry receiver, as log events, as spans, or as both, over OTLP/HTTP with protobuf.

An exporter of its own, whatever providers the application has: the SDK's batch processors drop what does not fit and tell
nobody, and never say what became of a record, so no event could be acknowledged through them. Nothing of the application's
pipeline is used or changed; only its resource (`service.name`) is taken over where it has one.

A record is acknowledged when the receiver said that it has it, for each signal. Where one signal has it and the other does
not, only the other is tried again. A request whose answer was lost is sent again, so a receiver may get a record twice, with
the same `log.record.uid` and the same span id.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence

from opentelemetry.util.re import parse_env_headers

from backplane_runtime.backplanes.api import BackplaneHealth, Rejected, UnavailableError, Verdict, resolved, scrubbed
from backplane_runtime.backplanes.otel_channel import Channel, Failed, Refused, SignalName, Taken, Target, speaks_grpc
from backplane_runtime.backplanes.otel_items import own_resource
from backplane_runtime.envelope import Record
from backplane_runtime.settings import OpenTelemetry

SPLIT_SECONDS = 5.0  # how long one `send` looks for the records that the receiver refuses

_SIGNALS: dict[str, tuple[SignalName, ...]] = {"logs": ("logs",), "spans": ("spans",), "both": ("logs", "spans")}


class OpenTelemetryBackplane:
    """Exports each event as the signals that the settings name."""

    def __init__(self, settings: OpenTelemetry) -> None:
        self._settings = settings
        self._deliveries: tuple[_Delivery, ...] = ()
        self._secrets: list[str] = []

    def start(self) -> None:
        """Resolve the settings and build the exporters; they connect when they have something to send."""
        target = self._target()
        self._secrets = _secrets_of(target.headers)
        self._deliveries = tuple(_Delivery(Channel(signal, target)) for signal in self._signals)

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        """Export *batch*, and return what the receiver said of each record."""
        if not self._deliveries:
            self.start()
        once = {record.event_id: record for record in batch}
        for delivery in self._deliveries:
            delivery.offer(once)
        found = {event_id: self._verdict(event_id) for event_id in once}
        verdicts = [found[record.event_id] for record in batch]
        if batch and all(verdict is Verdict.RETRY for verdict in verdicts):
            problems = dict.fromkeys(one.problem for one in self._deliveries if one.problem)
            raise UnavailableError("; ".join(problems) or "not all could be sent in time")
        return verdicts

    def health(self, timeout: float) -> BackplaneHealth:
        """Export nothing to the receiver, by exporters made for this, and say whether it agrees."""
        try:
            target = self._target()
        except UnavailableError as error:
            return BackplaneHealth(healthy=False, message=str(error))
        # Half for connecting and half for the answer, for each signal.
        share = timeout * 0.45 / len(self._signals)
        channels = [Channel(signal, target, share) for signal in self._signals]
        problems = dict.fromkeys(answer.reason for answer in map(_ask, channels) if not isinstance(answer, Taken))
        words = " and ".join(self._signals)
        message = "; ".join(problems) or f"{channels[0].shown} takes {words}"
        details = {"endpoint": channels[0].shown, "signals": list(self._signals)}
        return BackplaneHealth(healthy=not problems, message=message, details=details)

    def close(self, timeout: float) -> None:  # noqa: ARG002 - the contract's signature
        """Close the connections; nothing is buffered."""
        deliveries, self._deliveries = self._deliveries, ()
        for delivery in deliveries:
            delivery.channel.close()

    @property
    def _signals(self) -> tuple[SignalName, ...]:
        return _SIGNALS[self._settings.signal]

    def _target(self) -> Target:
        settings = resolved(self._settings)
        if settings.endpoint is None and any(map(speaks_grpc, self._signals)):
            raise UnavailableError(
                "`OTEL_EXPORTER_OTLP_PROTOCOL` is grpc, and this backplane speaks http/protobuf; "
                "set `endpoint` to the receiver's HTTP end point, such as http://localhost:4318"
            )
        return Target(endpoint=settings.endpoint, headers=settings.headers, resource=own_resource())

    def _verdict(self, event_id: str) -> Verdict | Rejected:
        """Return what all signals together say of a record, and forget it where that is final."""
        answers = [delivery.answers.get(event_id, Verdict.RETRY) for delivery in self._deliveries]
        if Verdict.RETRY in answers:
            return Verdict.RETRY
        for delivery in self._deliveries:
            del delivery.answers[event_id]
        rejected = next((answer for answer in answers if isinstance(answer, Rejected)), None)
        # It may quote a receiver, and a receiver may quote us.
        return Rejected(scrubbed(rejected.reason, self._secrets)) if rejected else Verdict.ACKNOWLEDGED


def _secrets_of(headers: Mapping[str, str]) -> list[str]:
    """Return what must not be told of *headers* and of those in the environment: whole values, and without their scheme."""
    names = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_LOGS_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
    of_environment = (parse_env_headers(os.environ.get(name, ""), liberal=True) for name in names)
    values = [value for some in (headers, *of_environment) for value in some.values()]
    return [*values, *(value.rpartition(" ")[2] for value in values)]


class _Delivery:
    """One signal's deliveries: `answers` holds what is final for this signal and was not returned yet."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.answers: dict[str, Verdict | Rejected] = {}
        self.problem: str | None = None
        self._rest_until = 0.0

    def offer(self, batch: Mapping[str, Record]) -> None:
        """Export what is new in *batch*, by id, halving what the receiver refuses until the culprits stand alone."""
        # What is not handed over again was given up, and nobody will ask.
        self.answers = {event_id: answer for event_id, answer in self.answers.items() if event_id in batch}
        if time.monotonic() < self._rest_until:
            return  # the receiver asked for it; `problem` says so
        self.problem = None
        refused: list[tuple[Record, Refused]] = []
        parts = [[record for event_id, record in batch.items() if event_id not in self.answers]]
        deadline = time.monotonic() + SPLIT_SECONDS
        before = len(self.answers)
        while parts and time.monotonic() < deadline:
            part = parts.pop()
            answer = self.channel.export(part) if part else Taken()
            if isinstance(answer, Taken):
                self._settle(part, answer)
            elif isinstance(answer, Failed):
                self._fail(answer)
                break
            elif len(part) == 1:
                refused.append((part[0], answer))
            else:
                parts += [part[len(part) // 2 :], part[: len(part) // 2]]  # the first half is the next
        self._judge(refused, has_taken=len(self.answers) > before)

    def _settle(self, part: Sequence[Record], answer: Taken) -> None:
        # Which ones were rejected is not told, and sending them again is forbidden (OTLP specification, "Partial
        # Success"): it would store the others twice. So the number is exact, and the last ones stand for them.
        kept = max(0, len(part) - answer.rejected)
        reason = f"the receiver rejected {answer.rejected} of {len(part)} {self.channel.signal} and does not say which"
        rejected = Rejected(f"{reason}: {' '.join(answer.reason.split())}" if answer.reason else reason)
        self.answers |= {record.event_id: Verdict.ACKNOWLEDGED for record in part[:kept]}
        self.answers |= {record.event_id: rejected for record in part[kept:]}

    def _fail(self, answer: Failed) -> None:
        self.problem = answer.reason
        if answer.rest:
            self._rest_until = time.monotonic() + answer.rest
            self.problem = f"{answer.reason}; it asks for {answer.rest:g} s of rest"

    def _judge(self, refused: Sequence[tuple[Record, Refused]], *, has_taken: bool) -> None:
        """Reject what was refused alone, if the receiver took others: else the fault may be its own or its pipeline's.

        A collector answers 400 to every record when the store behind it refuses its password. The lane hands over what
        waits together with what comes, so a single record that is at fault gets company.
        """
        for record, answer in refused:
            if has_taken or answer.is_certain:
                self.answers[record.event_id] = Rejected(answer.reason)
            else:
                self.problem = answer.reason


def _ask(channel: Channel) -> Taken | Refused | Failed:
    try:
        return channel.export(())
    finally:
        channel.close()
