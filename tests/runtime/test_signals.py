"""Signal handlers that publish, and signal handlers that raise, in the middle of `publish`."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Collection
from types import FrameType
from typing import Any

import pytest

from backplane_runtime import DataPlane, Outcome
from backplane_runtime.backplanes.in_memory import InMemoryBackplane
from backplane_runtime.envelope import Draft
from backplane_runtime.settings import InMemory, Plane

pytestmark = pytest.mark.runtime_only


class _OverTimeError(Exception):
    """What a task queue raises in a task that takes too long."""


def _raise(number: int, frame: FrameType | None) -> None:
    raise _OverTimeError


def _publish_torn(plane: DataPlane, times: int) -> None:
    """Publish under a handler that raises every so often, until that was seen so many *times*."""
    seen = 0
    while seen < times:
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-5 + seen % 97 * 3e-6)
                for _ in range(20):
                    plane.outcome("checkout", subject="u", metric="m")
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except _OverTimeError:
            seen += 1


# The handler may strike in a finalizer, where Python itself swallows what it raises.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("durability", ["memory", "process", "processStrict"])
def test_a_signal_handler_that_raises_upsets_no_count(durability: Any) -> None:
    """An event that a backplane gets is counted once, and nothing is ever less than none in flight."""
    options = Plane(max_queue_size=10_000_000, flush_interval_ms=1, durability=durability)
    plane = DataPlane(InMemory(capacity=10_000_000), plane=options)
    backplane = plane.backplane("inMemory")
    assert isinstance(backplane, InMemoryBackplane)
    plane.outcome("checkout", subject="u", metric="m")
    before = signal.signal(signal.SIGALRM, _raise)
    try:
        _publish_torn(plane, 200)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert plane.flush(30)
    total, of_backplane = plane.ledger().total, plane.ledger().by_backplane["inMemory"]
    assert total.in_flight == total.spooled == of_backplane.in_flight == 0
    assert total.published == total.accounted
    assert total.acknowledged == of_backplane.acknowledged == len(backplane.records)
    assert len({record.event_id for record in backplane.records}) == len(backplane.records)
    plane.close()


class _Interrupted(deque[Draft]):
    """A queue in which a signal comes right after the first event was appended."""

    def __init__(self, plane: DataPlane) -> None:
        super().__init__()
        self._plane: DataPlane | None = plane

    def append(self, entry: Draft, /) -> None:
        super().append(entry)
        plane, self._plane = self._plane, None
        if plane is not None:
            plane.outcome("checkout", subject="handler", metric="m")


def test_an_event_of_a_signal_handler_does_not_put_the_thread_to_sleep() -> None:
    """The queue goes from nothing to two events, and the thread that waits for the first is woken all the same."""
    plane = DataPlane(InMemory(), plane=Plane(flush_interval_ms=1))
    plane.outcome("checkout", subject="first", metric="m")
    assert plane.flush()
    plane._queue = plane._writer.queue = _Interrupted(plane)
    plane.outcome("checkout", subject="publisher", metric="m")
    until = time.monotonic() + 5
    while plane.ledger().total.acknowledged < 3 and time.monotonic() < until:
        time.sleep(0.01)
    assert plane.ledger().total.acknowledged == 3
    plane.close()


def _threads(name: str, before: Collection[threading.Thread]) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name and thread not in before]


@pytest.mark.parametrize("name", ["backplane-inMemory", "backplane-writer"])
def test_a_start_that_was_torn_apart_leaves_one_thread(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Two threads of one lane would take each other's events out of the hand."""
    start, before = threading.Thread.start, threading.enumerate()
    torn: list[threading.Thread] = []

    def start_and_raise(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == name and not torn:
            torn.append(thread)
            raise _OverTimeError

    monkeypatch.setattr(threading.Thread, "start", start_and_raise)
    plane = DataPlane(InMemory(), plane=Plane(flush_interval_ms=1))
    with pytest.raises(_OverTimeError):  # it is the application's own, and what it tears was not published
        plane.publish(Outcome("checkout", subject="u", metric="m"))
    for _ in range(100):
        plane.publish(Outcome("checkout", subject="u", metric="m"))
    assert plane.flush()
    assert torn
    until = time.monotonic() + 5
    while len(_threads(name, before)) > 1 and time.monotonic() < until:
        time.sleep(0.01)
    assert len(_threads(name, before)) == 1
    plane.close()
    assert not _threads(name, before)
    total = plane.ledger().total
    assert (total.published, total.acknowledged, total.dropped) == (100, 100, 0)
