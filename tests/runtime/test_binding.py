"""What is bound once is in every event, and what a call says itself wins."""

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from backplane_runtime import DataPlane, EventType, InvalidEventError, Status, context
from backplane_runtime.binding import BoundPlane, SubjectPlane
from backplane_runtime.events import AnalysisSignal, Assignment, Error, Event, Exposure, Outcome
from backplane_runtime.fields import AssignmentFields, ExposureFields, OutcomeFields
from backplane_runtime.settings import InMemory
from backplane_runtime.testing import CapturedEvents, capture_events

pytestmark = pytest.mark.runtime_only


@pytest.fixture
def captured() -> Iterator[CapturedEvents]:
    with capture_events() as events:
        yield events


def test_every_shorthand_and_publish_take_the_defaults(captured: CapturedEvents) -> None:
    """An analysis signal, which has neither subject nor tenant, is published all the same."""
    bound = captured.plane.bind(tenant="acme", correlation="r-1", metadata={"service": "shop"}, subject="user-42")
    answers = [
        bound.exposure("e", "blue"),
        bound.assignment("e", "red", "blue"),
        bound.outcome("e", metric="m"),
        bound.signal("e", "custom", "look"),
        bound.error("e", "ValueError", "broke"),
        bound.publish(Outcome("e", subject="user-7", metric="m")),
    ]
    assert answers == [Status.QUEUED] * 6
    envelopes = captured.envelopes()
    assert [one.correlation_id for one in envelopes] == ["r-1"] * 6
    assert [one.metadata for one in envelopes] == [{"service": "shop"}] * 6
    payloads = captured.payloads()
    assert [one.get("tenantId") for one in payloads] == ["acme", "acme", "acme", None, "acme", "acme"]
    subjects = ["user-42", "user-42", "user-42", None, "user-42", "user-7"]
    assert [one.get("subjectId") for one in payloads] == subjects


def test_without_a_subject_the_shorthands_are_those_of_the_plane(captured: CapturedEvents) -> None:
    """Only what was said is filled in."""
    bound = captured.plane.bind(tenant="acme")
    bound.exposure("e", "blue", subject="s")
    bound.error("e", "t", "m")
    with pytest.raises(TypeError, match="subject"):
        bound.exposure("e", "blue")  # type: ignore[call-arg]
    assert [one.get("subjectId") for one in captured.payloads()] == ["s", None]
    assert {one["tenantId"] for one in captured.payloads()} == {"acme"}
    assert {one.correlation_id for one in captured.envelopes()} == {None}
    assert {one.metadata for one in captured.envelopes()} == {None}


def test_what_the_call_says_wins(captured: CapturedEvents) -> None:
    """Of metadata key by key."""
    bound = captured.plane.bind(
        tenant="acme", correlation="bound", metadata={"a": "bound", "b": "bound"}, subject="user-42"
    )
    bound.exposure("e", "blue", subject="user-7", tenant="other")
    bound.publish(Error("e", "t", "m", subject="user-8", tenant="third"), correlation="call", metadata={"b": "call"})
    assert [(one["subjectId"], one["tenantId"]) for one in captured.payloads()] == [
        ("user-7", "other"),
        ("user-8", "third"),
    ]
    assert [one.correlation_id for one in captured.envelopes()] == ["bound", "call"]
    assert [one.metadata for one in captured.envelopes()] == [
        {"a": "bound", "b": "bound"},
        {"a": "bound", "b": "call"},
    ]


def test_nested_binds_are_merged_and_leave_the_outer_as_it_was(captured: CapturedEvents) -> None:
    """A bound plane never changes, also not by what its caller does to the metadata later."""
    metadata = {"service": "shop"}
    outer = captured.plane.bind(tenant="acme", metadata=metadata)
    metadata["service"] = "changed"
    inner = outer.bind(subject="s", metadata={"page": "cart"}).bind(correlation="r")
    assert (type(outer), type(inner)) == (BoundPlane, SubjectPlane)
    inner.exposure("e", "v")
    outer.exposure("e", "v", subject="t")
    assert [one.metadata for one in captured.envelopes()] == [{"service": "shop", "page": "cart"}, {"service": "shop"}]
    assert [one.correlation_id for one in captured.envelopes()] == ["r", None]
    assert [one["tenantId"] for one in captured.payloads()] == ["acme", "acme"]


def test_a_context_lies_below_a_binding(captured: CapturedEvents) -> None:
    """Argument before bind before context."""
    bound = captured.plane.bind(tenant="bound", metadata={"b": "bound", "c": "bound"})
    with context(tenant="context", correlation="context", metadata={"a": "context", "b": "context"}):
        bound.publish(Outcome("e", subject="s", metric="m"), metadata={"c": "call"})
        captured.plane.outcome("e", subject="s", metric="m")
    assert [one["tenantId"] for one in captured.payloads()] == ["bound", "context"]
    assert [one.correlation_id for one in captured.envelopes()] == ["context", "context"]
    assert [one.metadata for one in captured.envelopes()] == [
        {"a": "context", "b": "bound", "c": "call"},
        {"a": "context", "b": "context"},
    ]


def test_a_correlation_may_be_found_at_each_call(captured: CapturedEvents) -> None:
    """As the id of the current trace is; an explicit one wins, and the function is not called for it."""
    ids = iter(["t-1", "t-2"])
    bound = captured.plane.bind(correlation=lambda: next(ids, None)).bind(tenant="acme")
    for _ in range(3):
        bound.exposure("e", "v", subject="s")
        bound.publish(Outcome("e", subject="s", metric="m"), correlation="said")
    assert [one.correlation_id for one in captured.envelopes()] == ["t-1", "said", "t-2", "said", None, "said"]


def test_a_correlation_that_fails_is_logged_and_costs_no_event(
    captured: CapturedEvents, caplog: pytest.LogCaptureFixture
) -> None:
    """Once a minute, however often it fails; without the text of the exception, which may hold an identifier."""

    def fails() -> str:
        raise LookupError("secret-42")

    bound = captured.plane.bind(correlation=fails)
    with caplog.at_level(logging.DEBUG, "backplane"):
        for _ in range(10):
            assert bound.exposure("e", "v", subject="s") is Status.QUEUED
    assert [one.correlation_id for one in captured.envelopes()] == [None] * 10
    assert [record.getMessage() for record in caplog.records] == [
        "events go without correlation: it raised LookupError"
    ]
    assert "secret-42" not in caplog.text


def test_wrong_arguments_are_met_as_by_the_plane() -> None:
    """What is no event, and what makes an event invalid, is counted as dropped."""
    plane = DataPlane(InMemory())
    bound = plane.bind(tenant="acme", metadata={"a": 1}, subject="s")
    with plane:
        assert bound.publish("no event") is Status.DROPPED  # type: ignore[call-overload]
        assert bound.publish(Outcome("e", subject="s", metric="m"), metadata="text") is Status.DROPPED  # type: ignore[call-overload]
        assert plane.bind(tenant=5).exposure("e", "v", subject="s") is Status.DROPPED  # type: ignore[call-overload]
        assert plane.bind(subject="").exposure("e", "v") is Status.DROPPED
        with pytest.raises(TypeError, match="metadata is a mapping"):
            plane.bind(metadata="text")  # type: ignore[call-overload]
        assert plane.ledger().by_type[EventType.EXPOSURE].dropped == 2
        assert plane.ledger().total.published == plane.ledger().total.dropped == 4


def test_a_call_that_makes_no_event_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """As the plane's own shorthands do it, with the caller's line; a strict plane raises."""
    calls: list[Callable[[DataPlane], object]] = [
        lambda plane: plane.bind(tenant="acme").exposure("e"),  # type: ignore[call-arg]
        lambda plane: plane.bind(tenant="acme").outcome("e", subject="s", metric="m", price=1),  # type: ignore[call-arg]
        lambda plane: plane.bind(subject="s").exposure("e"),  # type: ignore[call-arg]
        lambda plane: plane.bind(subject="s").exposure("e", "v", price=1),  # type: ignore[call-arg]
        lambda plane: plane.bind(subject="s").outcome("e"),  # type: ignore[call-arg]
        lambda plane: plane.bind(subject="s").error("e"),  # type: ignore[call-arg]
        lambda plane: plane.bind(tenant="acme").publish(Event("e")),
    ]
    for call in calls:
        caplog.clear()
        with DataPlane(InMemory()) as plane:
            assert call(plane) is Status.DROPPED
            assert (plane.ledger().total.published, plane.ledger().total.dropped) == (1, 1)
        assert f"{__file__}:{call.__code__.co_firstlineno})" in caplog.text
        with DataPlane(InMemory(), strict=True) as plane:
            with pytest.raises(TypeError):
                call(plane)
            assert plane.ledger().total.dropped == 1


def test_a_bound_plane_gives_receipts(captured: CapturedEvents) -> None:
    """The same as the plane's own."""
    receipt = captured.plane.bind(tenant="acme").publish(Outcome("e", subject="s", metric="m"), receipt=True)
    assert captured.payloads()[0]["tenantId"] == "acme"
    assert receipt.acknowledged.result(20) is Status.ACKNOWLEDGED


def test_lost_events_are_lost_through_a_bound_plane_too() -> None:
    """Integrations hand on what could not be made; a strict plane raises it."""
    error = InvalidEventError("it is broken")
    plane = DataPlane(InMemory())
    assert plane.bind(tenant="acme").lose(EventType.ERROR, error) is Status.DROPPED
    assert plane.ledger().by_type[EventType.ERROR].dropped == 1
    plane.close()
    with capture_events() as captured, pytest.raises(InvalidEventError, match="it is broken"):
        captured.plane.bind(tenant="acme").lose(EventType.ERROR, error)


def test_one_binding_serves_many_threads(captured: CapturedEvents) -> None:
    """It holds nothing that changes."""
    bound = captured.plane.bind(tenant="acme", subject="s", metadata={"a": 1})

    def publish() -> None:
        for _ in range(200):
            bound.outcome("e", metric="m")

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(one["tenantId"], one["subjectId"]) for one in captured.payloads()] == [("acme", "s")] * 800


@pytest.mark.parametrize(
    ("event", "fields", "given"),
    [
        (Exposure, ExposureFields, {"experiment", "variant"}),
        (Assignment, AssignmentFields, {"experiment", "previous", "new"}),
        (Outcome, OutcomeFields, {"experiment", "metric"}),
    ],
)
def test_the_keyword_fields_are_those_of_the_events(event: Any, fields: Any, given: set[str]) -> None:
    """Name by name; a new field of an event is a field of its shorthand."""
    assert set(fields.__annotations__) == {one.name for one in msgspec.structs.fields(event)} - given


def test_signals_and_errors_need_no_subject() -> None:
    """So only three shorthands are other ones where a subject is bound."""
    for event in (AnalysisSignal, Error):
        required = {one.name for one in msgspec.structs.fields(event) if one.required}
        assert "subject" not in required
