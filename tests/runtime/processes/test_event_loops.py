"""In asyncio, with its own loop and with uvloop: `publish` is called as it is, and what waits does not block the loop."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import pytest

from backplane_runtime import DataPlane, Outcome, Status
from backplane_runtime.settings import Plane, Sqlite
from tests.runtime.processes.programs import expected, names
from tests.runtime.processes.sinks import gated

pytestmark = [pytest.mark.runtime_only]

Run = Callable[[Callable[[], Awaitable[None]]], None]


def _asyncio(main: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner() as runner:
        runner.run(_awaited(main))


def _uvloop(main: Callable[[], Awaitable[None]]) -> None:
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_awaited(main))


async def _awaited(main: Callable[[], Awaitable[None]]) -> None:
    await main()


LOOPS = pytest.mark.parametrize("run", [_asyncio, _uvloop], ids=["asyncio", "uvloop"])


class Ticking:
    """Knows the longest time for which the loop did not get round to it."""

    async def __aenter__(self) -> Self:
        self.longest = 0.0
        self._task = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _tick(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            self.longest = max(self.longest, time.monotonic() - before)


@LOOPS
def test_a_hundred_tasks(tmp_path: Path, run: Run) -> None:
    """Each event is delivered once; `async with` closes."""
    path = tmp_path / "events.db"
    settings = Sqlite(path=str(path), enable_idempotency=False)

    async def work(plane: DataPlane, mine: int) -> None:
        for number in range(20):
            plane.outcome(f"task {mine * 20 + number}", subject="s", metric="m")
            await asyncio.sleep(0)

    async def main() -> None:
        async with DataPlane(settings, plane=Plane(flush_interval_ms=1)) as plane:
            async with asyncio.TaskGroup() as group:
                for mine in range(100):
                    group.create_task(work(plane, mine))
            assert await plane.aflush(30)
            assert (await plane.ahealth(5)).healthy
        assert plane.outcome("e", subject="s", metric="m") is Status.DROPPED

    run(main)
    assert names(path) == expected({"task": 2000})


@LOOPS
@pytest.mark.parametrize("durability", ["memory", "process", "processStrict"])
def test_a_backplane_that_hangs_does_not_block_the_loop(run: Run, durability: Any) -> None:
    """Nor do `aflush` and `aclose`, which wait for it."""
    settings, gate = gated()
    options = Plane(flush_interval_ms=1, close_timeout_ms=300, durability=durability)

    async def main() -> None:
        plane = DataPlane(settings, plane=options)
        async with Ticking() as ticking:
            for _ in range(200):
                plane.outcome("e", subject="s", metric="m")
                await asyncio.sleep(0.001)
            assert not await plane.aflush(0.3)
            await plane.aclose()
        assert ticking.longest < 0.3

    run(main)
    gate.set()


@LOOPS
def test_receipts(run: Run) -> None:
    """A coroutine waits for one by `asyncio.wrap_future`."""
    settings, gate = gated()

    async def main() -> None:
        async with DataPlane(settings, plane=Plane(flush_interval_ms=1)) as plane:
            receipts = [plane.publish(Outcome("e", subject="s", metric="m"), receipt=True) for _ in range(20)]
            spooled = await asyncio.gather(*(asyncio.wrap_future(one.spooled) for one in receipts))
            assert set(spooled) == {Status.SPOOLED}
            assert not any(one.acknowledged.done() for one in receipts)
            gate.set()
            acknowledged = await asyncio.gather(*(asyncio.wrap_future(one.acknowledged) for one in receipts))
            assert set(acknowledged) == {Status.ACKNOWLEDGED}

    run(main)
