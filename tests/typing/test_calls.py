"""Calls that must type-check as they stand; mypy is the test, running them is the other half.

What must not type-check is in `wrong_calls.py`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any, assert_type

import pytest

from backplane_runtime import (
    BoundPlane,
    DataPlane,
    Exposure,
    Health,
    LedgerView,
    Outcome,
    Status,
    SubjectPlane,
    context,
)
from backplane_runtime.settings import Composite, InMemory, Kafka, Member, PiiRedaction, Plane

pytestmark = pytest.mark.runtime_only


def test_the_interface_has_types() -> None:
    """The shorthands have the parameters of their events."""
    with DataPlane(InMemory()) as plane:
        assert_type(plane.exposure("checkout-button", "blue", subject="user-42", tenant="acme"), Status)
        assert_type(plane.assignment("checkout-button", "red", "blue", subject="user-42"), Status)
        assert_type(plane.outcome("checkout-button", subject="user-42", metric="revenue", value=19.99), Status)
        assert_type(plane.signal("checkout-button", "custom", "look", severity="warning", data={"n": 1}), Status)
        assert_type(plane.error("checkout-button", "ValueError", "it broke", variant="blue"), Status)
        assert_type(plane.publish(Outcome("checkout-button", subject="user-42", metric="purchase")), Status)
        assert_type(plane.flush(timeout=5.0), bool)
        assert_type(plane.health(), Health)
        assert_type(plane.ledger(), LedgerView)


def test_mistakes_are_found() -> None:
    """By mypy, which would warn of an unused ignore, and by Python."""
    with DataPlane(InMemory(), strict=True) as plane:
        with pytest.raises(TypeError):
            plane.exposure("checkout-button", subject="user-42")  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            plane.outcome("checkout-button", "user-42", metric="m")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Exposure("checkout-button", "blue", "user-42")  # type: ignore[call-arg]


def test_brokers_may_be_a_list() -> None:
    """As the interface page writes it."""
    settings = Kafka(brokers=["localhost:9092"], partition_by="subjectId", linger_ms=100)
    assert settings.brokers == ("localhost:9092",)


def test_settings_have_types() -> None:
    """Lists, enumerated words and nested settings."""
    redaction = PiiRedaction(redact_subject_ids=True, redact_fields=["attributes.email"], mode="drop")
    settings = Composite(backplanes=[Member(name="memory", settings=InMemory(capacity=10))])
    with DataPlane(settings, plane=Plane(durability="memory", pii_redaction=redaction), strict=True) as plane:
        assert_type(plane, DataPlane)


def test_bound_planes_have_types() -> None:
    """A subject, once bound, need not be given again, and stays bound."""
    with DataPlane(InMemory()) as plane:
        bound = plane.bind(tenant="acme", correlation="r-1", metadata={"service": "shop"})
        assert_type(bound, BoundPlane)
        assert_type(bound.bind(correlation=lambda: None), BoundPlane)
        assert_type(bound.exposure("e", "v", subject="s"), Status)
        subject = bound.bind(subject="user-42")
        assert_type(subject, SubjectPlane)
        assert_type(subject.bind(tenant="other"), SubjectPlane)
        assert_type(subject.exposure("e", "v"), Status)
        assert_type(subject.exposure(experiment="e", variant="v", subject="s", reason="rule"), Status)
        assert_type(subject.assignment("e", "", "v", policy="subjectSticky"), Status)
        assert_type(subject.outcome("e", metric="m", value=1, variant=None), Status)
        assert_type(subject.signal("e", "custom", "m"), Status)
        assert_type(subject.error("e", "t", "m"), Status)
        assert_type(subject.publish(Outcome("e", subject="s", metric="m"), metadata={"a": 1}), Status)
        takes_bound(subject)


def takes_bound(plane: BoundPlane) -> None:
    """A plane bound to a subject is a bound plane."""
    assert isinstance(plane, BoundPlane)


def test_contexts_have_types() -> None:
    """Whatever is not said may be left out."""
    with context(), context(tenant="acme", correlation=None, metadata={"a": 1}) as nothing:
        assert_type(nothing, None)


class Color(StrEnum):
    BLUE = "blue"


def test_decorated_functions_keep_their_types() -> None:
    """Parameters by name and place, results, `async`, methods, enums."""
    with DataPlane(InMemory()) as plane:

        @plane.exposes("e", subject="user_id", reason="rule", policy="subjectSticky")
        def choose(user_id: str, *, page: int = 1) -> str | None:
            return user_id if page else None

        @plane.exposes("e", subject=lambda user_id: f"user-{user_id}")
        async def choose_later(user_id: int) -> Color:
            return Color.BLUE if user_id else Color("blue")

        @plane.exposes("e", subject="user_id", variant=lambda flag: "on" if flag else "off", errors=True)
        def flag(user_id: str) -> bool:
            return bool(user_id)

        @plane.bind(tenant="acme").exposes("e", subject="user_id", variant="green")
        def render(user_id: str) -> bytes:
            return user_id.encode()

        later: Callable[[int], Coroutine[Any, Any, Color]] = choose_later
        assert_type(choose("s", page=2), str | None)
        assert_type(asyncio.run(later(5)), Color)
        assert_type(flag("s"), bool)
        assert_type(render("s"), bytes)
