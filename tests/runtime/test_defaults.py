"""Contexts: defaults for all that is published inside of them, in this thread or task and in no other."""

import asyncio
import contextvars
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from backplane_runtime import Status, context
from backplane_runtime.events import AnalysisSignal, Outcome
from backplane_runtime.testing import CapturedEvents, capture_events

pytestmark = pytest.mark.runtime_only


@pytest.fixture
def captured() -> Iterator[CapturedEvents]:
    with capture_events() as events:
        yield events


def publish(captured: CapturedEvents) -> None:
    captured.plane.publish(Outcome("e", subject="s", metric="m"))


def correlations(captured: CapturedEvents) -> list[str | None]:
    return [one.correlation_id for one in captured.envelopes()]


def test_a_context_holds_inside_and_ends_outside(captured: CapturedEvents) -> None:
    """Nested ones too, and also when the block is left by an exception."""
    with context(tenant="acme", correlation="outer", metadata={"a": 1, "b": 1}):
        inner = context(correlation="inner", metadata={"b": 2})
        with suppress(LookupError), inner:
            publish(captured)
            raise LookupError
        publish(captured)
    publish(captured)
    assert correlations(captured) == ["inner", "outer", None]
    assert [one.metadata for one in captured.envelopes()] == [{"a": 1, "b": 2}, {"a": 1, "b": 1}, None]
    assert [one.get("tenantId") for one in captured.payloads()] == ["acme", "acme", None]


def test_every_kind_of_event_and_every_plane_takes_it() -> None:
    """Also an analysis signal, which has no tenant."""
    with capture_events() as one, capture_events() as other, context(tenant="acme", correlation="r"):
        for captured in (one, other):
            assert captured.plane.publish(AnalysisSignal("e", "custom", "m")) is Status.QUEUED
            captured.plane.error("e", "t", "m")
            assert correlations(captured) == ["r", "r"]
            assert [payload.get("tenantId") for payload in captured.payloads()] == [None, "acme"]


def test_each_task_has_its_own(captured: CapturedEvents) -> None:
    """However their steps are mixed; a task inherits from its maker, and `to_thread` hands on."""

    async def request(name: str, barrier: asyncio.Barrier) -> None:
        with context(correlation=name):
            for _ in range(3):
                await barrier.wait()
                publish(captured)
            await asyncio.gather(asyncio.to_thread(publish, captured), inherits())

    async def inherits() -> None:
        publish(captured)

    async def serve() -> None:
        barrier = asyncio.Barrier(4)
        await asyncio.gather(*(request(f"r-{number}", barrier) for number in range(4)))
        publish(captured)

    asyncio.run(serve())
    found = correlations(captured)
    assert sorted(one or "" for one in found) == ["", *sorted(f"r-{number}" for number in range(4) for _ in range(5))]
    assert len(set(found[:4])) == 4  # the steps were mixed indeed


def test_a_new_thread_starts_without_one(captured: CapturedEvents) -> None:
    """As Python's own context variables do; `copy_context().run` takes it along."""
    with context(correlation="r"):
        inherited = contextvars.copy_context()
        # Free-threaded builds hand the context to new threads; an empty one is given to be sure.
        for target in (contextvars.Context().run, inherited.run):
            thread = threading.Thread(target=target, args=(publish, captured))
            thread.start()
            thread.join()
    assert correlations(captured) == [None, "r"]


def test_leaving_it_elsewhere_is_told() -> None:
    """The two halves of a generator, run by a framework in two tasks: nothing was in effect in between."""
    opened = context(correlation="r")
    contextvars.copy_context().run(opened.__enter__)
    with pytest.raises(RuntimeError, match="another task or thread"):
        opened.__exit__(None, None, None)


def test_wrong_arguments_are_refused() -> None:
    """Where the mistake is, not where the event is published."""
    with pytest.raises(TypeError, match="metadata is a mapping"), context(metadata="text"):  # type: ignore[arg-type]
        pass
    with pytest.raises(TypeError, match=r"plane\.bind"), context(correlation=lambda: "r"):  # type: ignore[arg-type]
        pass


def test_the_module_does_not_hide_the_function() -> None:
    """A submodule named `context` would take the function's place as soon as it is imported."""
    code = "import backplane_runtime.data_plane, backplane_runtime as b; print(b.context(tenant='t').__enter__())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"
