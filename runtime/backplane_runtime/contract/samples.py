"""Events that are hard to carry, and what a storage has of them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from backplane_runtime.envelope import Context, Record, encode_record
from backplane_runtime.events import AnalysisSignal, Assignment, Error, Event, Exposure, Outcome


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


def hard_records(largest_text: int) -> list[Record]:
    """Return a record whose text is as long as *largest_text*, between others with what text can be."""
    texts = (
        "".join(map(chr, range(1, 128))),
        "\u2028\u2029\ufeff\ufffd",
        "e\u0301 \u202eabc\u202c \U0001f469\u200d\U0001f680",
        "%s %(a)s {} $1 :name ? \\N '' \"\" ;--",
        "x" * largest_text,
        "1e400 NaN null true",
    )
    events = [Outcome("e", subject=text[:20] or "s", metric="m", attributes={"text": text}) for text in texts]
    return [encode_record(event, event, Context(f"c {event.subject[:9]}".strip("\0"))) for event in events]
