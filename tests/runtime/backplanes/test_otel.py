"""Events as OpenTelemetry, sent by the SDK's own exporter to a receiver on a real socket."""

import time
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from backplane_runtime import Exposure, Outcome
from backplane_runtime.backplanes import otel_channel
from backplane_runtime.backplanes.api import Rejected, UnavailableError, Verdict
from backplane_runtime.backplanes.otel import OpenTelemetryBackplane
from backplane_runtime.envelope import Record, encode_record
from backplane_runtime.settings import OpenTelemetry
from backplane_runtime.testing import ContractOptions, StoredEvent, check_backplane_contract, sample_records
from tests.runtime.backplanes.conftest import Opened
from tests.runtime.backplanes.otlp_inverse import attributes_of, stored_log, stored_span
from tests.runtime.backplanes.otlp_receiver import SPANS, Answer, OtlpReceiver

SECRET = "hunter2-of-the-collector"
ACKNOWLEDGED = Verdict.ACKNOWLEDGED


def ids_of(items: Sequence[Any]) -> list[str]:
    return [attributes_of(item)["event.id"] for item in items]


def ids(records: Sequence[Record]) -> list[str]:
    return [record.event_id for record in records]


@pytest.mark.parametrize("signal", ["logs", "spans", "both"])
def test_contract(receiver: OtlpReceiver, signal: str) -> None:
    """Every payload can be read back byte for byte: names and types are chosen so that nothing is lost."""
    settings = OpenTelemetry(endpoint=receiver.endpoint, signal=signal)  # type: ignore[arg-type]  # one of the three
    # Where nobody gave one, the runtime is free to put it behind the other fields; the receiver cannot know.
    last = list(msgspec.json.decode(sample_records(1)[0].payload))[-1] == "timestamp"

    def from_logs() -> list[StoredEvent]:
        return [stored_log(log, timestamp_last=last) for log in receiver.logs]

    def from_spans() -> list[StoredEvent]:
        return [stored_span(span, timestamp_last=last) for span in receiver.spans]

    stored = from_spans if signal == "spans" else from_logs
    # The receiver lives in this process: what it holds, a forked child cannot see. The fork is a test of its own.
    check_backplane_contract(lambda: OpenTelemetryBackplane(settings), stored, ContractOptions(forks=False))
    if signal == "both":
        assert from_logs() == from_spans()


def test_a_rejected_part_is_counted_and_not_sent_again(receiver: OtlpReceiver, opened: Opened) -> None:
    """The protocol forbids to send it again and does not name the records, so only their number is exact."""
    receiver.will(Answer(rejected=2, message="too old"))
    records = sample_records(5)
    verdicts = opened().send(records)
    rejected = Rejected("the receiver rejected 2 of 5 logs and does not say which: too old")
    assert verdicts == [ACKNOWLEDGED] * 3 + [rejected] * 2
    assert len(receiver.requests) == 1


def test_a_warning_of_the_receiver_is_no_loss(receiver: OtlpReceiver, opened: Opened) -> None:
    """A partial success that rejects nothing."""
    receiver.will(Answer(message="use a newer schema"))
    assert opened().send(sample_records(3)) == [ACKNOWLEDGED] * 3


def test_unavailable_is_retried_by_the_exporter_within_its_time(receiver: OtlpReceiver, opened: Opened) -> None:
    """`Retry-After: 1` is short enough to wait for."""
    receiver.will(Answer(503, {"Retry-After": "1"}))
    records = sample_records(3)
    assert opened().send(records) == [ACKNOWLEDGED] * 3
    assert ids_of(receiver.logs) == ids(records)


def test_a_receiver_is_left_alone_as_long_as_it_asks(
    receiver: OtlpReceiver, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a request meanwhile; then the events go."""
    receiver.will(Answer(503, {"Retry-After": "3600"}))
    backplane, records = opened(), sample_records(3)
    for _ in range(3):
        with pytest.raises(UnavailableError, match=r"HTTP 503 Service Unavailable; it asks for 300 s of rest"):
            backplane.send(records)
    assert len(receiver.requests) == 1
    now = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + 301)
    assert backplane.send(records) == [ACKNOWLEDGED] * 3


def test_a_hanging_receiver_is_given_up(receiver: OtlpReceiver, opened: Opened) -> None:
    """Within the exporter's time; what is sent again afterwards has the same id."""
    receiver.will(Answer(hang=4.0))
    backplane, records = opened(), sample_records(2)
    started = time.monotonic()
    with pytest.raises(UnavailableError, match="no answer in time"):
        backplane.send(records)
    assert time.monotonic() - started < 3.5
    assert backplane.send(records) == [ACKNOWLEDGED] * 2
    assert set(ids_of(receiver.logs)) == set(ids(records))


def test_without_a_word_in_the_environment_patience_is_ours(
    receiver: OtlpReceiver, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not the exporter's 10 seconds."""
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TIMEOUT")
    monkeypatch.setattr(otel_channel, "TIMEOUT_SECONDS", 0.5)
    receiver.will(Answer(hang=4.0))
    started = time.monotonic()
    with pytest.raises(UnavailableError, match="no answer in time"):
        opened().send(sample_records(1))
    assert time.monotonic() - started < 3


def test_a_broken_connection_is_made_again(receiver: OtlpReceiver, opened: Opened) -> None:
    """The answer was lost and not the request: it arrives twice, and its `log.record.uid` says so."""
    receiver.will(Answer(breaks=True))
    backplane, records = opened(), sample_records(2)
    assert backplane.send(records) == [ACKNOWLEDGED] * 2
    assert ids_of(receiver.logs) == ids(records) * 2
    assert [attributes_of(log)["log.record.uid"] for log in receiver.logs] == ids_of(receiver.logs)


def test_a_connection_that_always_breaks_is_unavailable(receiver: OtlpReceiver, opened: Opened) -> None:
    """And no event is acknowledged."""
    receiver.will(*[Answer(breaks=True, stores=False)] * 20)
    with pytest.raises(UnavailableError, match="the connection broke"):
        opened().send(sample_records(2))


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer(401), "HTTP 401 Unauthorized; check `headers`"),
        (Answer(404), "HTTP 404 Not Found; check `endpoint`"),
        (Answer(302, {"Location": "http://127.0.0.1:1/"}), "HTTP 302 Found; it redirects, and events do not follow"),
        (Answer(304), "HTTP 304 Not Modified"),
        (Answer(500), "HTTP 500 Internal Server Error"),
        (Answer(599), "HTTP 599"),
    ],
)
def test_what_somebody_can_mend_is_waited_for(
    receiver: OtlpReceiver, opened: Opened, answer: Answer, text: str
) -> None:
    """A redirect too: the exporter takes it for a success, and nobody has the events."""
    receiver.will(answer)
    with pytest.raises(UnavailableError, match=text):
        opened().send(sample_records(2))
    assert not receiver.logs


def test_a_poison_event_alone_is_rejected(receiver: OtlpReceiver, opened: Opened) -> None:
    """The receiver refuses the whole request; the others arrive, once and in order."""
    records = sample_records(20)
    poison = {records[4].event_id, records[13].event_id}
    receiver.refuses = lambda items: not poison.isdisjoint(ids_of(items))
    verdicts = opened().send(records)
    assert [record.event_id for record, one in zip(records, verdicts, strict=True) if one != ACKNOWLEDGED] == [
        records[4].event_id,
        records[13].event_id,
    ]
    assert isinstance(verdicts[4], Rejected)
    assert verdicts[4].reason.endswith("HTTP 400 Bad Request")
    assert ids_of(receiver.logs) == [one for one in ids(records) if one not in poison]


def test_a_single_poison_event_waits_for_company(receiver: OtlpReceiver, opened: Opened) -> None:
    """As long as nothing else is taken, the fault may be the receiver's."""
    backplane, (poison, other) = opened(), sample_records(2)
    receiver.refuses = lambda items: poison.event_id in ids_of(items)
    with pytest.raises(UnavailableError, match="HTTP 400 Bad Request"):
        backplane.send([poison])
    verdicts = backplane.send([poison, other])
    assert (type(verdicts[0]), verdicts[1]) == (Rejected, ACKNOWLEDGED)


def test_what_is_too_large_by_itself_is_rejected(receiver: OtlpReceiver, opened: Opened) -> None:
    """That needs no witness."""
    receiver.will(Answer(413))
    (verdict,) = opened().send(sample_records(1))
    assert verdict == Rejected(f"{receiver.endpoint}: HTTP 413 Request Entity Too Large")


def test_a_receiver_that_refuses_everything_loses_nothing(receiver: OtlpReceiver, opened: Opened) -> None:
    """Then the fault is not in the events."""
    receiver.refuses = lambda items: True  # noqa: ARG005 - a predicate
    backplane, records = opened(), sample_records(4)
    with pytest.raises(UnavailableError, match="HTTP 400 Bad Request"):
        backplane.send(records)
    receiver.refuses = lambda items: False  # noqa: ARG005 - a predicate
    assert backplane.send(records) == [ACKNOWLEDGED] * 4


def test_only_the_signal_that_failed_is_sent_again(receiver: OtlpReceiver, opened: Opened) -> None:
    """A record counts as stored when both have it."""
    receiver.will(Answer(500), path=SPANS)
    backplane, records = opened(signal="both"), sample_records(3)
    with pytest.raises(UnavailableError, match="HTTP 500"):
        backplane.send(records)
    assert backplane.send(records) == [ACKNOWLEDGED] * 3
    assert (ids_of(receiver.logs), ids_of(receiver.spans)) == (ids(records), ids(records))


def test_an_event_that_is_twice_in_a_batch_is_exported_once(receiver: OtlpReceiver, opened: Opened) -> None:
    """The first use of a variant has the same id whoever saw it; both records are done with."""
    one, other = sample_records(2)
    assert opened().send([one, one, other]) == [ACKNOWLEDGED] * 3
    assert ids_of(receiver.logs) == ids([one, other])


def test_what_one_signal_has_of_events_that_were_given_up_is_forgotten(receiver: OtlpReceiver, opened: Opened) -> None:
    """In a composite a backplane that is far behind gives up events: memory must not grow by them."""
    receiver.will(Answer(500), path=SPANS)
    backplane, records = opened(signal="both"), sample_records(4)
    with pytest.raises(UnavailableError):
        backplane.send(records[:3])
    assert backplane.send(records[2:]) == [ACKNOWLEDGED] * 2
    assert [one.answers for one in backplane._deliveries] == [{}, {}]
    assert (ids_of(receiver.logs), ids_of(receiver.spans)) == (ids(records), ids(records[2:]))


def test_the_same_event_is_the_same_span(receiver: OtlpReceiver, opened: Opened) -> None:
    """So that a receiver can tell one that was sent again; an id need not be a UUID."""
    plain = encode_record(event := Outcome("e", subject="s", metric="m"), event)
    backplane, records = opened(signal="spans"), [plain, msgspec.structs.replace(plain, event_id="made by hand")]
    backplane.send(records)
    backplane.send(records)
    first, second = receiver.spans[:2], receiver.spans[2:]
    assert [(one.trace_id, one.span_id) for one in first] == [(one.trace_id, one.span_id) for one in second]
    assert first[0].trace_id.hex() == plain.event_id.replace("-", "")
    assert len(first[1].trace_id) == 16
    assert first[0].span_id != first[1].span_id


def test_numbers_and_moments_that_do_not_fit(receiver: OtlpReceiver, opened: Opened) -> None:
    """The protocol has 64 bits; one such value must not cost the batch."""
    far, old = "9999-12-31T23:59:59.000000Z", "1969-12-31T23:59:59.000000Z"
    events = [
        Exposure("e", "v", subject="s", timestamp=far, attributes={"big": 2**70, "deep": [{"n": -(2**80)}]}),
        Exposure("e", "v", subject="s", timestamp=old),
    ]
    records = [encode_record(event, event) for event in events]
    assert opened(signal="both").send(records) == [ACKNOWLEDGED] * 2
    first, second = (attributes_of(log) for log in receiver.logs)
    assert (first["experiment.attributes.big"], first["experiment.attributes.deep"]) == (
        str(2**70),
        [{"n": str(-(2**80))}],
    )
    assert [log.time_unix_nano for log in receiver.logs] == [0, 0]
    assert (first["experiment.timestamp"], second["experiment.timestamp"]) == (far, old)
