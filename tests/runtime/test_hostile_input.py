"""Whatever a caller hands over, `publish` returns a status, and the ledger's law holds."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backplane_runtime import ConfigError, DataPlane, Exposure, Outcome, Status, context
from backplane_runtime.config import parse_config
from backplane_runtime.settings import InMemory, PiiRedaction, Plane
from backplane_runtime.testing import capture_events

pytestmark = pytest.mark.runtime_only


class Hostile:
    """Raises whatever is asked of it."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not comparable")

    __hash__ = None  # type: ignore[assignment]  # the point of it


@pytest.mark.parametrize("semantics", ["onDecision", "onFirstUse"])
@pytest.mark.parametrize(
    ("subject", "attributes"),
    [
        ("s", {"experimentVersion": [1]}),
        ("s", [1]),
        (["s"], None),
        (Hostile(), None),
        ("s", {"x": Hostile()}),
        (None, None),
    ],
)
def test_no_field_of_an_event_makes_publish_raise(semantics: Any, subject: Any, attributes: Any) -> None:
    """Also where the exposure cannot be remembered."""
    with DataPlane(InMemory(), plane=Plane(exposure_semantics=semantics, sampling_rate=0.999)) as plane:
        status = plane.publish(Exposure("e", "v", subject=subject, attributes=attributes))
        assert status in {Status.DROPPED, Status.QUEUED, Status.SAMPLED_OUT}
        total = plane.ledger().total
        assert (total.published, total.accounted) == (1, 1)


class Ambiguous(dict[str, Any]):
    """Neither true nor false, as an array of numpy."""

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")


@pytest.mark.parametrize("semantics", ["onDecision", "onFirstUse"])
@pytest.mark.parametrize(
    "wrong", [{"experiment": "\ud800"}, {"subject": "\ud800"}, {"policy": []}, {"attributes": {"x": object()}}]
)
def test_what_cannot_be_encoded_is_dropped_and_not_remembered(semantics: Any, wrong: dict[str, Any]) -> None:
    """Each time: an exposure that was not published is no reason to suppress the next."""
    fields: dict[str, Any] = {"experiment": "e", "variant": "v", "subject": "s"}
    with DataPlane(InMemory(), plane=Plane(exposure_semantics=semantics)) as plane:
        for _ in range(2):
            assert plane.publish(Exposure(**fields | wrong)) is Status.DROPPED
        assert plane.publish(Exposure(**fields)) is Status.QUEUED
        total = plane.ledger().total
        assert (total.published, total.dropped, total.accounted) == (3, 2, 3)


def test_a_repeat_with_a_correlation_that_cannot_be_encoded_is_a_repeat() -> None:
    """What is wrong beside an event that does not go on anyway is no reason to raise."""
    with DataPlane(InMemory(), plane=Plane(exposure_semantics="onFirstUse")) as plane:
        seen = Exposure("e", "v", subject="s")
        assert plane.publish(seen) is Status.QUEUED
        assert plane.publish(seen, correlation="\ud800") is Status.DUPLICATE


class Broken(Mapping[str, Any]):
    """Cannot be read, as a lazy one whose source is away."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("secret-42")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("secret-42")

    def __len__(self) -> int:
        return 1


class Lazy:
    """Says what it is only when asked, and fails then, as a lazy object of a web framework."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError("secret-42")

    @__class__.setter
    def __class__(self, value: Any) -> None:
        raise RuntimeError("secret-42")


@pytest.mark.parametrize("is_bound", [False, True])
@pytest.mark.parametrize("has_context", [False, True])
@pytest.mark.parametrize("receipt", [False, True])
@pytest.mark.parametrize("wrong", [{"event": Lazy()}, {"metadata": Broken()}, {"metadata": Lazy()}])
def test_what_raises_when_it_is_asked_is_dropped(
    *, is_bound: bool, has_context: bool, receipt: bool, wrong: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever asks: the plane, a bound one, or the defaults of a context."""
    given: dict[str, Any] = {"event": Outcome("e", subject="s", metric="m"), "receipt": receipt} | wrong
    with DataPlane(InMemory()) as plane, context(metadata={"c": 1}) if has_context else nullcontext():
        answer: Any = (plane.bind(metadata={"b": 1}) if is_bound else plane).publish(**given)
        assert (answer.spooled.result(20) if receipt else answer) is Status.DROPPED
        total = plane.ledger().total
        assert (total.published, total.dropped, total.accounted) == (1, 1, 1)
    assert "an event was dropped" in caplog.text
    assert "secret-42" not in caplog.text


def test_metadata_that_is_neither_true_nor_false_is_dropped() -> None:
    """Nothing that a caller gives is asked outside of what catches its exceptions."""
    with DataPlane(InMemory()) as plane:
        assert plane.publish(Outcome("e", subject="s", metric="m"), metadata=Ambiguous(x=1)) is Status.DROPPED


@pytest.mark.parametrize("wrong", ["experiment", "variant", "subject", "tenant", "reason"])
def test_bytes_are_no_text(wrong: str, caplog: pytest.LogCaptureFixture) -> None:
    """They would be published as their Base64, and join with nothing."""
    fields: dict[str, Any] = {"experiment": "e", "variant": "v", "subject": "s", wrong: b"user-42"}
    with DataPlane(InMemory()) as plane:
        assert plane.publish(Exposure(**fields)) is Status.DROPPED
    assert "bytes where text belongs; decode them" in caplog.text
    assert __file__ in caplog.text


@pytest.mark.parametrize(
    "metadata", ["text", 5, {"x": float("nan")}, {"deep": [{"x": float("inf")}]}, {"x": Hostile()}]
)
def test_metadata_that_is_none_is_refused(metadata: Any) -> None:
    """Not written as something else: JSON has no NaN, and `null` would not be what was given."""
    with DataPlane(InMemory()) as plane:
        assert plane.publish(Outcome("e", subject="s", metric="m"), metadata=metadata) is Status.DROPPED
        assert plane.publish(Outcome("e", subject="s", metric="m"), metadata={"x": None}) is Status.QUEUED


def test_a_correlation_without_text_is_refused() -> None:
    """It is turned into text, and may raise."""
    with DataPlane(InMemory()) as plane:
        correlation: Any = Hostile()
        assert plane.publish(Outcome("e", subject="s", metric="m"), correlation=correlation) is Status.DROPPED


def test_subclasses_are_events_unless_they_claim_a_type_of_their_own() -> None:
    """A type that nobody knows is the caller's mistake."""

    class Own(Exposure, frozen=True, kw_only=True):
        page: str = "/"

    class Stranger(Exposure, frozen=True):
        event_type = "stranger"  # type: ignore[assignment]  # the mistake under test

    with capture_events() as captured:
        assert captured.plane.publish(Own("e", "v", subject="s", page="/x")) is Status.QUEUED
        with pytest.raises(TypeError, match="publish takes an event"):
            captured.plane.publish(Stranger("e", "v", subject="s"))
        assert captured.payloads()[0]["page"] == "/x"
        assert (captured.plane.ledger().total.acknowledged, captured.plane.ledger().total.dropped) == (1, 1)


def test_redaction_finds_what_hides() -> None:
    """In tuples, and behind names that hold dots themselves."""
    hiding: list[dict[str, Any]] = [
        {"user": ({"email": "a@b.c"},)},
        {"user.email": "a@b.c"},
        {"user": {"email": "a@b.c"}, "user.email": "a@b.c"},
    ]
    for mode in ("mask", "drop"):
        redaction = PiiRedaction(redact_fields=("attributes.user.email",), mode=mode)
        with capture_events(Plane(pii_redaction=redaction)) as captured:
            for attributes in hiding:
                captured.plane.outcome("e", subject="s", metric="m", attributes=attributes)
            assert len(captured.envelopes()) == len(hiding)
            assert not any(b"a@b.c" in bytes(one.payload) for one in captured.envelopes())


HEAD = b'{"format":"experiment-backplane/runtime","version":1,"minorVersion":0,'


@pytest.mark.parametrize("raw", [HEAD + b'"x":NaN}', HEAD + b'"x":1e999}', HEAD + b'"x":"\\ud800"}', b"[" * 100_000])
def test_a_config_that_no_compiler_wrote(raw: bytes) -> None:
    """One kind of error."""
    with pytest.raises(ConfigError):
        parse_config(raw)


def test_a_path_that_no_file_can_have() -> None:
    """The same kind of error."""
    with pytest.raises(ConfigError, match="cannot be read"):
        DataPlane.open(Path("a\0b"))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers that interrupt")
def test_a_signal_handler_may_publish_while_its_thread_publishes() -> None:
    """Without waiting for itself: exposures that are remembered, and warnings about a closed data plane."""
    plane = DataPlane(InMemory(), plane=Plane(exposure_semantics="onFirstUse"))
    closed = DataPlane(InMemory())
    closed.close()
    calls = 0

    def publish(*_: object) -> None:
        nonlocal calls
        calls += 1
        plane.exposure("e", "v", subject=f"user-{calls}")
        closed.outcome("e", subject="s", metric="m")

    before = signal.signal(signal.SIGVTALRM, publish)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.0003, 0.0003)
    try:
        while calls < 3000:  # the signals' own calls end it
            publish()
            calls -= 1
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        plane.close()
    for one in (plane, closed):
        total = one.ledger().total
        assert total.published == total.accounted
        assert total.in_flight == 0


class Unhashable(str):
    """A text that cannot be a key."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]  # the point of it


class Incomparable(str):
    """A text that cannot be found again."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not comparable")


@pytest.mark.parametrize("name", [Unhashable("e"), Incomparable("e"), "half a \ud800 pair"])
@pytest.mark.parametrize("semantics", ["onDecision", "onFirstUse"])
def test_names_that_the_ledger_cannot_count_as_they_are(semantics: Any, name: str) -> None:
    """They are counted all the same, and the ledger can be written as JSON."""
    with DataPlane(InMemory(), plane=Plane(exposure_semantics=semantics)) as plane:
        assert plane.exposure(name, "v", subject="s") is Status.DROPPED
        assert plane.exposure("e", name, subject="s") is Status.DROPPED
        assert plane.ledger().total.dropped == 2
        msgspec.json.encode(plane.ledger())


@pytest.mark.parametrize("name", [None, 5])
def test_a_caller_without_a_name(name: object, caplog: pytest.LogCaptureFixture) -> None:
    """Code that `exec` runs may call its module anything."""
    with DataPlane(InMemory()) as plane:
        exec("plane.publish(5)", {"__name__": name, "plane": plane})  # noqa: S102 - the case under test
        assert plane.ledger().total.dropped == 1
    assert "(<string>:1)" in caplog.text
