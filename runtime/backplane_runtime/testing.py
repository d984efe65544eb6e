"""For tests: events captured in memory, and the contract that every backplane passes, ours and those of extensions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

from backplane_runtime.backplanes.api import Backplane, UnavailableError, Verdict
from backplane_runtime.capturing import AnyEvent, CapturedEvents, capture_events
from backplane_runtime.envelope import Context, Record, encode_record
from backplane_runtime.events import AnalysisSignal, Assignment, Error, Event, EventType, Exposure, Outcome

__all__ = [
    "AnyEvent",
    "CapturedEvents",
    "StoredEvent",
    "capture_events",
    "check_backplane_contract",
    "sample_records",
]

PATIENCE_SECONDS = 30.0  # how long a server may take to acknowledge a small batch
HEALTH_SECONDS = 5.0


class StoredEvent(msgspec.Struct, frozen=True):
    """What a backplane's storage holds of one event; `event_type` is the wire name, `payload` its bytes."""

    event_id: str
    event_type: str
    payload: bytes


def sample_records(count: int = 25) -> list[Record]:
    """Return *count* records of all five types in turn, with text that is hard to carry."""
    makers: tuple[Callable[[str], Event], ...] = (
        lambda name: Exposure(
            name, "blau ü", subject="user-1", tenant="acme", attributes={"nul": "\0", "quote": "\"'\\"}
        ),
        lambda name: Assignment(name, "", "green", subject="user-2", reason="rebalanced"),
        lambda name: Outcome(name, subject="用户-3", metric="revenue", value=19.99, attributes={"none": None}),
        lambda name: AnalysisSignal(name, "custom", "line one\nline two", data={"deep": {"list": [1, 2.5, True]}}),
        lambda name: Error(name, "ValueError", "😀 failed", stack_trace="  File …\n"),
    )
    contexts = (Context(), Context("request-1"), Context(None, {"samplingRate": 0.5}))
    events = [makers[index % len(makers)](f"experiment-{index}") for index in range(count)]
    return [encode_record(event, event, contexts[index % len(contexts)]) for index, event in enumerate(events)]


def check_backplane_contract(
    make_backplane: Callable[[], Backplane], read_back: Callable[[], Sequence[StoredEvent]]
) -> None:
    """Check that what *make_backplane* returns keeps the contract of `Backplane`.

    *read_back* reads, by another way than the backplane itself, all that its storage holds, in the order of storing;
    order counts within each event type.

    Raises:
        AssertionError: with the sentence of the contract that is broken.
    """
    _check_unstarted(make_backplane())
    backplane = make_backplane()
    records = sample_records()
    backplane.start()
    try:
        _send_all(backplane, records)
        _check_stored(records, read_back(), "a batch of mixed types is stored once, in order, byte for byte")
        repeated = backplane.send(records[:5])
        _expect(len(repeated) == len(records[:5]), "`send` returns one verdict for each record")
        if all(verdict is Verdict.DUPLICATE for verdict in repeated):
            _check_stored(records, read_back(), "what is reported as a duplicate is not stored again")
        _expect(backplane.health(HEALTH_SECONDS).healthy, "a backplane that takes events is healthy")
    finally:
        backplane.close(HEALTH_SECONDS)
    backplane.close(HEALTH_SECONDS)
    backplane.health(HEALTH_SECONDS)


def _check_unstarted(backplane: Backplane) -> None:
    started = time.monotonic()
    backplane.health(HEALTH_SECONDS)
    _expect(time.monotonic() - started <= HEALTH_SECONDS + 1, "`health` answers before `start`, within its time limit")
    backplane.close(0)
    backplane.close(0)


def _send_all(backplane: Backplane, records: Sequence[Record]) -> None:
    left = list(records)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left:
        _expect(time.monotonic() < deadline, f"{len(records)} records are acknowledged within {PATIENCE_SECONDS:g} s")
        try:
            verdicts = backplane.send(left)
        except UnavailableError:
            time.sleep(0.1)
            continue
        _expect(len(verdicts) == len(left), "`send` returns one verdict for each record")
        final = (Verdict.ACKNOWLEDGED, Verdict.RETRY)
        _expect(all(verdict in final for verdict in verdicts), "new, valid records are neither duplicates nor rejected")
        left = [record for record, verdict in zip(left, verdicts, strict=True) if verdict is Verdict.RETRY]


def _check_stored(records: Sequence[Record], stored: Sequence[StoredEvent], sentence: str) -> None:
    for kind in EventType:
        sent = [StoredEvent(one.event_id, kind.wire_name, one.payload) for one in records if one.event_type is kind]
        found = [one for one in stored if one.event_type == kind.wire_name]
        _expect(found == sent, f"{sentence}; {kind.value}: sent {sent}, found {found}")


def _expect(holds: bool, sentence: str) -> None:  # noqa: FBT001 - reads like `assert`
    if not holds:
        raise AssertionError(sentence)
