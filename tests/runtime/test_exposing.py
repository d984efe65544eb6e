"""The decorator: the exposure is published where the variant is chosen, and the function stays what it was."""

import asyncio
import functools
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from enum import Enum, StrEnum
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backplane_runtime import DataPlane, EventType, InvalidEventError
from backplane_runtime.settings import InMemory, Plane
from backplane_runtime.testing import CapturedEvents, capture_events

pytestmark = pytest.mark.runtime_only


@pytest.fixture
def captured() -> Iterator[CapturedEvents]:
    with capture_events() as events:
        yield events


def exposed(captured: CapturedEvents) -> list[tuple[str, str, str]]:
    payloads = captured.payloads(EventType.EXPOSURE)
    return [(one["experimentName"], one["variantKey"], one["subjectId"]) for one in payloads]


def test_what_a_function_returns_is_published(captured: CapturedEvents) -> None:
    """However its arguments are given, defaults included; and the details are in each event."""

    @captured.plane.exposes("button", subject="user_id", tenant="acme", reason="rule:beta", attributes={"page": "cart"})
    def color(salt: int, user_id: str = "anonymous") -> str:
        """Choose."""
        return f"blue-{salt}"

    assert [color(1, "a"), color(2, user_id="b"), color(salt=3, user_id="c"), color(4)] == [
        "blue-1",
        "blue-2",
        "blue-3",
        "blue-4",
    ]
    assert exposed(captured) == [
        ("button", "blue-1", "a"),
        ("button", "blue-2", "b"),
        ("button", "blue-3", "c"),
        ("button", "blue-4", "anonymous"),
    ]
    for payload in captured.payloads():
        assert (payload["tenantId"], payload["selectionReason"]) == ("acme", "rule:beta")
        assert payload["attributes"] == {"page": "cart"}
    assert (color.__name__, color.__doc__) == ("color", "Choose.")
    assert list(inspect.signature(color).parameters) == ["salt", "user_id"]


def test_the_subject_may_be_inside_an_argument_or_computed(captured: CapturedEvents) -> None:
    """A path of attributes, or a function with the same parameters."""
    request = SimpleNamespace(user=SimpleNamespace(id="user-42"))

    @captured.plane.exposes("path", subject="request.user.id")
    def by_path(request: Any) -> str:
        return "a"

    @captured.plane.exposes("function", subject=lambda request, *, cart: request.user.id + cart)
    def by_function(request: Any, *, cart: str) -> str:
        return "b"

    @captured.plane.exposes("getter", subject=attrgetter("user.id"))
    def by_getter(request: Any) -> str:
        return "c"

    @captured.plane.exposes("keyword", subject="user_id")
    def by_keyword(*rest: str, user_id: str) -> str:
        return "d"

    by_path(request)
    by_function(request, cart="-1")
    by_getter(request)
    by_keyword("x", "y", user_id="user-7")
    assert exposed(captured) == [
        ("path", "a", "user-42"),
        ("function", "b", "user-42-1"),
        ("getter", "c", "user-42"),
        ("keyword", "d", "user-7"),
    ]


class Color(StrEnum):
    BLUE = "blue"


class Plain(Enum):
    RED = "red"


def test_the_variant_may_be_an_enum_computed_or_fixed(captured: CapturedEvents) -> None:
    """The function's own result is never touched."""

    @captured.plane.exposes("enum", subject="user_id")
    def enum(user_id: str) -> Color:
        return Color.BLUE

    @captured.plane.exposes("plain", subject="user_id")
    def plain(user_id: str) -> Plain:
        return Plain.RED

    @captured.plane.exposes("flag", subject="user_id", variant=lambda on: "on" if on else "off")
    def flag(user_id: str) -> bool:
        return True

    @captured.plane.exposes("render", subject="user_id", variant="green")
    def render(user_id: str) -> bytes:
        return b"<button>"

    assert enum("s") is Color.BLUE
    assert plain("s") is Plain.RED
    assert flag("s") is True
    assert render("s") == b"<button>"
    assert [(name, variant) for name, variant, _ in exposed(captured)] == [
        ("enum", "blue"),
        ("plain", "red"),
        ("flag", "on"),
        ("render", "green"),
    ]


def test_without_variant_or_subject_nobody_is_exposed(captured: CapturedEvents) -> None:
    """Outside of the experiment, or not logged in."""

    @captured.plane.exposes("e", subject="user_id")
    def choose(variant: str | None, user_id: str | None) -> str | None:
        return variant

    assert choose(None, "s") is None
    assert choose("blue", None) == "blue"
    assert captured.payloads() == []
    assert captured.plane.ledger().total.published == 0


def test_methods_of_all_kinds(captured: CapturedEvents) -> None:
    """`self` is a parameter like any other."""

    class Shop:
        def __init__(self, user_id: str) -> None:
            self.user_id = user_id

        @captured.plane.exposes("method", subject="self.user_id")
        def method(self) -> str:
            return "a"

        @classmethod
        @captured.plane.exposes("class", subject="user_id")
        def of_class(cls, user_id: str) -> str:
            return f"{cls.__name__} {user_id[:1]}"

        @staticmethod
        @captured.plane.exposes("static", subject="user_id")
        def static(user_id: str) -> str:
            return "c" if user_id else "z"

        @property
        @captured.plane.exposes("property", subject=lambda self: self.user_id)
        def color(self) -> str:
            return "d"

    shop = Shop("user-42")
    assert [shop.method(), Shop.of_class("user-7"), shop.static("user-8"), shop.color] == ["a", "Shop u", "c", "d"]
    assert exposed(captured) == [
        ("method", "a", "user-42"),
        ("class", "Shop u", "user-7"),
        ("static", "c", "user-8"),
        ("property", "d", "user-42"),
    ]


def test_async_functions_stay_async(captured: CapturedEvents) -> None:
    """The exposure is published when the variant is there, not when the coroutine is made."""

    @captured.plane.exposes("e", subject="user_id")
    async def choose(user_id: str) -> str:
        await asyncio.sleep(0)
        return "blue"

    async def serve() -> None:
        pending = choose("s")
        assert captured.payloads() == []
        assert await pending == "blue"

    assert inspect.iscoroutinefunction(choose)
    asyncio.run(serve())
    assert exposed(captured) == [("e", "blue", "s")]


def failing(captured: CapturedEvents, error: BaseException, *, errors: bool) -> tuple[Callable[[str], str], Any]:
    """A function and its async twin that raise *error*."""

    @captured.plane.exposes("e", subject="user_id", errors=errors, tenant="acme")
    def choose(user_id: str) -> str:
        raise error

    @captured.plane.exposes("e", subject="user_id", variant="blue", errors=errors)
    async def choose_later(user_id: str) -> str:
        raise error

    return choose, choose_later


@pytest.mark.parametrize("errors", [False, True])
@pytest.mark.parametrize("error", [LookupError("no such user"), asyncio.CancelledError(), SystemExit(3)])
def test_a_function_that_raises_exposes_nobody(captured: CapturedEvents, error: BaseException, *, errors: bool) -> None:
    """Its exception goes on as it is; an error event is published where it was asked for, and only for an `Exception`."""
    choose, choose_later = failing(captured, error, errors=errors)
    with pytest.raises(type(error)) as raised:
        choose("s")
    assert raised.value is error
    with pytest.raises(type(error)) as raised:
        asyncio.run(choose_later("s"))
    assert exposed(captured) == []
    if not (errors and isinstance(error, Exception)):
        assert captured.payloads() == []
        return
    first, second = captured.payloads(EventType.ERROR)
    assert (first["errorType"], first["message"], first["subjectId"]) == ("LookupError", "no such user", "s")
    assert (first["tenantId"], second["variantKey"]) == ("acme", "blue")
    assert "variantKey" not in first


def broken(plane: DataPlane) -> list[Callable[..., Any]]:
    """Functions whose exposure cannot be made, each for another reason."""

    def fails(*_: Any, **__: Any) -> str:
        raise LookupError("secret-42")

    return [
        plane.exposes("subject", subject=fails)(lambda: "blue"),
        plane.exposes("variant", subject=lambda: "s", variant=fails)(lambda: "blue"),
        plane.exposes("no key", subject=lambda: "s")(lambda: 5),  # type: ignore[type-var]
        plane.exposes("invalid subject", subject=lambda: 5)(lambda: "blue"),  # type: ignore[arg-type,return-value]
        plane.exposes("invalid variant", subject=lambda: "s")(lambda: ""),
    ]


def test_what_cannot_be_published_changes_nothing_and_is_not_mute(caplog: pytest.LogCaptureFixture) -> None:
    """It is counted as dropped and logged, without a foreign exception's text."""
    with caplog.at_level(logging.WARNING, "backplane"), DataPlane(InMemory()) as plane:
        assert [function() for function in broken(plane)] == ["blue", "blue", 5, "blue", ""]
        counts = plane.ledger().by_type[EventType.EXPOSURE]
        assert (counts.published, counts.dropped) == (5, 5)
    (record,) = caplog.records
    assert "the exposure event of a call of `broken.<locals>.<lambda>` could not be made" in record.getMessage()
    assert "secret-42" not in caplog.text


def test_an_error_event_that_cannot_be_made_leaves_the_exception_alone() -> None:
    """The one that the function raised is what its caller gets."""

    def fails(user_id: str) -> str:
        raise LookupError("of the subject")

    with DataPlane(InMemory()) as plane:

        @plane.exposes("e", subject=fails, errors=True)
        def choose(user_id: str) -> str:
            raise KeyError("of the function")

        with pytest.raises(KeyError, match="of the function"):
            choose("s")
        assert plane.ledger().by_type[EventType.ERROR].dropped == 1


def test_a_strict_plane_raises(captured: CapturedEvents) -> None:
    """Which is how a test finds the mistake; the cause is there to be read."""
    for function in broken(captured.plane):
        with pytest.raises(InvalidEventError) as raised:
            function()
    subject, *_ = broken(captured.plane)
    with pytest.raises(InvalidEventError, match="unexpected LookupError") as raised:
        subject()
    assert isinstance(raised.value.__cause__, LookupError)


def test_a_bound_plane_decorates_with_its_defaults(captured: CapturedEvents) -> None:
    """As all that it publishes."""

    @captured.plane.bind(tenant="acme", correlation="r").exposes("e", subject="user_id")
    def choose(user_id: str) -> str:
        return "blue"

    choose("s")
    assert captured.payloads()[0]["tenantId"] == "acme"
    assert captured.envelopes()[0].correlation_id == "r"


def test_it_is_the_application_that_publishes() -> None:
    """So it is published under `explicit` too, and once under `onFirstUse`."""
    for semantics, expected in (("explicit", 2), ("onFirstUse", 1)):
        with capture_events(Plane(exposure_semantics=semantics)) as captured:  # type: ignore[arg-type]

            @captured.plane.exposes("e", subject="user_id")
            def choose(user_id: str) -> str:
                return "blue"

            choose("s")
            choose("s")
            assert len(captured.payloads()) == expected


def generator(user_id: str) -> Iterator[str]:
    yield "blue"


async def async_generator(user_id: str) -> AsyncIterator[str]:
    yield "blue"


def function(user_id: str, cart: str) -> str:
    return "blue"


@pytest.mark.parametrize(
    ("decorated", "subject", "said"),
    [
        (generator, "user_id", "cannot decorate the generator `generator`"),
        (async_generator, "user_id", "cannot decorate the generator `async_generator`"),
        (functools.partial(generator, "s"), "user_id", "cannot decorate the generator"),
        (staticmethod(function), "user_id", "stands below `@staticmethod`"),
        (classmethod(cast("Any", function)), "user_id", "stands below `@classmethod`"),
        ("text", "user_id", "decorates a function, not str"),
        (function, "user-42", r"has no parameter `user-42`; `subject` is the name of one of \(user_id, cart\)"),
        (function, lambda user_id: user_id, r"`subject` takes \(user_id\), and `function` \(user_id: str, cart: str\)"),
        (function, lambda cart, user_id: cart + user_id, "give it the same parameters"),
        (function, lambda a, b: a + b, "give it the same parameters"),
        (function, lambda *args, **kwargs: str((args, kwargs)), None),
    ],
)
def test_what_could_never_work_is_refused_when_it_decorates(
    captured: CapturedEvents, decorated: Any, subject: Any, said: str | None
) -> None:
    """Each with what to do, and not at the first request."""
    decorate = captured.plane.exposes("e", subject=subject)
    if said is None:
        decorate(decorated)
        return
    with pytest.raises(TypeError, match=said):
        decorate(decorated)
