"""Backplanes that break the contract: nothing is lost without a word, the others go on, and health answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from backplane_runtime import DataPlane, Outcome, Registration, Status, register_backplane
from backplane_runtime.backplanes.api import BackplaneHealth, Rejected, UnavailableError, Verdict
from backplane_runtime.envelope import Record
from backplane_runtime.settings import Plane, Settings, Spool
from tests.runtime.scripted import wait_until

pytestmark = pytest.mark.runtime_only

Answer = Callable[[], Any]


class Wild(Settings, frozen=True, kw_only=True):
    """Settings of `WildBackplane`."""

    key: str


class WildBackplane:
    """Answers the first call of each method as a test says, and then as it should."""

    by_key: dict[str, WildBackplane] = {}  # noqa: RUF012 - tests find theirs here

    def __init__(self, settings: Wild) -> None:
        self.on_send: Answer | None = None
        self.on_health: Answer | None = None
        self.on_close: Answer | None = None
        self.taken: list[Record] = []
        self.by_key[settings.key] = self

    def start(self) -> None:
        """Do nothing."""

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        """Take *batch*, from the second call on."""
        answer, self.on_send = self.on_send, None
        if answer is not None:
            return cast("Sequence[Verdict | Rejected]", answer())
        self.taken += batch
        return [Verdict.ACKNOWLEDGED] * len(batch)

    def health(self, timeout: float) -> BackplaneHealth:  # noqa: ARG002 - the contract's signature
        """Say how it is."""
        return BackplaneHealth(healthy=True, message="up") if self.on_health is None else self.on_health()

    def close(self, timeout: float) -> None:  # noqa: ARG002 - the contract's signature
        """Let go."""
        if self.on_close is not None:
            self.on_close()


register_backplane("wild", Registration(make=WildBackplane, settings_type=Wild))


@pytest.fixture
def wild(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[DataPlane, WildBackplane]]:
    """A data plane and its backplane."""
    key = str(request.node.nodeid)
    options = Plane(flush_interval_ms=10, close_timeout_ms=500, spool=Spool(directory=str(tmp_path / "spool")))
    plane = DataPlane(Wild(key=key), plane=options)
    yield plane, WildBackplane.by_key[key]
    plane.close()


def raising(error: BaseException) -> Answer:
    def answer() -> Any:
        raise error

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        raising(SystemExit(3)),
        raising(KeyboardInterrupt()),
        raising(GeneratorExit()),
        raising(UnavailableError("half a \ud800 pair")),
        raising(UnavailableError()),
        lambda: None,
        lambda: [None],
        lambda: ["fine"],
        lambda: [True],
        lambda: [Rejected],
    ],
)
def test_what_is_no_verdict_is_sent_again(
    wild: tuple[DataPlane, WildBackplane], caplog: pytest.LogCaptureFixture, answer: Answer
) -> None:
    """The lane lives on, and says what it met."""
    plane, backplane = wild
    backplane.on_send = answer
    plane.publish(Outcome("e", subject="s", metric="m"))
    assert plane.flush(20)
    assert [record.subject for record in backplane.taken] == ["s"]
    assert plane.ledger().total.acknowledged == 1
    said = [record.getMessage() for record in caplog.records if "takes no events" in record.getMessage()]
    assert len(said) == 1
    assert not said[0].endswith(": ")
    said[0].encode()


@pytest.mark.parametrize("reason", ["half a \ud800 pair", None, "x" * 1_000_000])
def test_a_reason_that_cannot_be_kept_as_it_is(wild: tuple[DataPlane, WildBackplane], reason: Any) -> None:
    """What is rejected is set aside all the same, and holds up nobody."""
    plane, backplane = wild
    backplane.on_send = lambda: [Rejected(reason)]
    plane.publish(Outcome("e", subject="s", metric="m"))
    assert plane.flush(20)
    assert plane.ledger().by_backplane["wild"].set_aside == 1
    health = plane.health().spool
    assert health is not None
    assert health.held_bytes < 100_000


@pytest.mark.parametrize(
    "answer",
    [
        lambda: None,
        lambda: "fine",
        lambda: BackplaneHealth(healthy=True, message=cast("Any", None)),
        lambda: BackplaneHealth(healthy=cast("Any", "yes"), message="up"),
        lambda: BackplaneHealth(healthy=True, message="up", details={"pool": object()}),
        lambda: BackplaneHealth(healthy=True, message="half a \ud800 pair"),
        raising(SystemExit()),
    ],
)
def test_an_answer_that_is_no_health(wild: tuple[DataPlane, WildBackplane], answer: Answer) -> None:
    """Is unhealthy, at once, and can be written as JSON."""
    plane, backplane = wild
    backplane.on_health = answer
    health = plane.health(20)
    assert not health.healthy
    assert "no answer within" not in health.message
    msgspec.json.encode(health)


def test_a_backplane_that_ends_its_thread_when_it_is_closed(
    wild: tuple[DataPlane, WildBackplane], caplog: pytest.LogCaptureFixture
) -> None:
    """Is told in the log."""
    plane, backplane = wild
    backplane.on_close = raising(SystemExit())
    plane.start()
    plane.close()
    assert wait_until(lambda: "could not be closed" in caplog.text)


@pytest.mark.parametrize("timeout", [float("inf"), 1e300, 1e12, -1.0])
def test_a_timeout_of_any_length(wild: tuple[DataPlane, WildBackplane], timeout: float) -> None:
    """Is no reason to raise."""
    plane, _ = wild
    plane.publish(Outcome("e", subject="s", metric="m"))
    assert plane.flush(timeout) is (timeout > 0)
    assert plane.health(timeout).backplanes


@pytest.mark.parametrize("which", ["spooled", "acknowledged"])
def test_a_callback_of_a_receipt_that_ends_threads(
    wild: tuple[DataPlane, WildBackplane], caplog: pytest.LogCaptureFixture, which: str
) -> None:
    """Ends none of ours: what is published afterwards is delivered without anybody's help."""
    plane, backplane = wild
    called: list[int] = []

    def end(_: object) -> None:
        called.append(threading.get_ident())
        raise SystemExit(3)

    with plane._writer._draining:  # so that the callback is there in time
        receipt = plane.publish(Outcome("e", subject="s", metric="m"), receipt=True)
        getattr(receipt, which).add_done_callback(end)
    assert wait_until(lambda: bool(called))
    assert called != [threading.get_ident()]
    plane.publish(Outcome("e", subject="s", metric="m"))
    assert wait_until(lambda: len(backplane.taken) == 2, 5)
    assert "a callback of a receipt raised SystemExit" in caplog.text


def test_a_log_handler_that_ends_threads(wild: tuple[DataPlane, WildBackplane]) -> None:
    """Ends none of ours: a backplane that comes back is found alive."""

    class Ending(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise SystemExit(record.levelno)

    plane, backplane = wild
    backplane.on_send = raising(UnavailableError("away"))
    handler = Ending()
    logging.getLogger("backplane").addHandler(handler)
    try:
        plane.publish(Outcome("e", subject="s", metric="m"))
        assert plane.flush(20)
    finally:
        logging.getLogger("backplane").removeHandler(handler)
    assert len(backplane.taken) == 1


def test_what_a_callback_of_a_receipt_raises_is_said_once_and_not_quoted(
    wild: tuple[DataPlane, WildBackplane], caplog: pytest.LogCaptureFixture
) -> None:
    """Ends none of ours: neither the one that writes nor the one that sends."""
    plane, backplane = wild

    def end(_: object) -> None:
        raise SystemExit("secret-42")

    for _ in range(3):
        receipt = plane.publish(Outcome("e", subject="s", metric="m"), receipt=True)
        receipt.spooled.add_done_callback(end)
        receipt.acknowledged.add_done_callback(end)
        assert plane.flush(20)
        assert receipt.acknowledged.result(0) is Status.ACKNOWLEDGED
    assert len(backplane.taken) == 3
    assert [record.getMessage() for record in caplog.records] == ["a callback of a receipt raised SystemExit"]
    assert "secret-42" not in caplog.text
