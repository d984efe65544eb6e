"""The laws of the spool, against a disk that drops, tears and reorders what was not synced, and dies at any call.

- What `append(sync=True)` or `sync` returned for is there after a loss of power at any later moment.
- What `append` returned for is there after the death of the process.
- Nothing is read that was not appended, nothing whose append raised OSError, nothing twice, everything in order.
- The cursor never goes beyond what was settled, and no segment goes before the cursor is durable.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from backplane_runtime.spool import Destination, SpoolLog, SpoolOptions, SpoolReader, adopt
from backplane_runtime.spool.cursor import REMEMBERED_BATCHES
from tests.runtime.spool.disk import Crashed, Disk, Interrupted

ROOT = Path("/spool")
DESTINATIONS = (Destination(name="a", type="t", target="1"), Destination(name="b", type="t", target="2"))
OPTIONS = SpoolOptions(destinations=DESTINATIONS, segment_bytes=400)
EXAMPLES = int(os.environ.get("BACKPLANE_MODEL_EXAMPLES", "300"))

destinations = st.sampled_from(["a", "b"])
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True, scope="module")
def leaving_at_once() -> Iterator[None]:
    """A last segment is left as soon as it can be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backplane_runtime.spool.log.LEAVE_SECONDS", 0.0)
        yield


class SpoolMachine(RuleBasedStateMachine):
    """One process after the other on one disk."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = Disk()
        self.lines = 0
        self.log: SpoolLog | None = None  # before the first
        self.forget()

    def forget(self) -> None:
        """Begin a new folder: nothing was written there."""
        self.written: dict[int, bytes] = {}
        self.doubtful: dict[int, set[bytes]] = {}  # of calls that a crash or an interrupt ended
        self.failed: dict[int, set[bytes]] = {}  # of calls that raised OSError
        self.end = 1
        self.visible = 1
        self.durable = 1
        self.settled = {"a": 1, "b": 1}
        self.noted = {"a": 1, "b": 1}  # the least that the cursor may say after the death of the process
        self.read_up_to = {"a": 1, "b": 1}
        self.batches: dict[str, list[list[tuple[int, bytes]]]] = {"a": [], "b": []}  # as they were read
        self.is_noted = {"a": True, "b": True}  # the journal has all of them
        self.replayed: list[tuple[int, bytes]] = []

    @initialize()
    def start(self) -> None:
        self.log = SpoolLog.create(ROOT, OPTIONS, files=self.disk)
        self.forget()

    @contextmanager
    def dying(self, seed: int) -> Iterator[None]:
        """Let the process die in the middle, where a fault says so."""
        try:
            yield
        except Crashed:
            self.die(seed, has_power=seed % 2 == 0)

    @rule(kind=st.sampled_from(["error", "crash", "interrupt", "sync"]), calls=st.integers(1, 25))
    def arm(self, kind: str, calls: int) -> None:
        self.disk.arm(kind, calls)

    @rule(sizes=st.lists(st.integers(0, 150), min_size=1, max_size=4), sync=st.booleans(), seed=seeds)
    def append(self, sizes: list[int], sync: bool, seed: int) -> None:  # noqa: FBT001
        assert self.log is not None
        lines = [b'"%d %s"' % (self.lines + index, b"x" * size) for index, size in enumerate(sizes)]
        self.lines += len(sizes)
        first = self.end
        assert self.log.appended == first
        with self.dying(seed):
            try:
                self.log.append(lines, sync=sync)
            except OSError:
                self.doubt(self.failed, first, lines)
                assert self.log.appended == first
                return
            except (Interrupted, Crashed) as error:
                self.doubt(self.doubtful, first, lines)
                if isinstance(error, Crashed):
                    raise
                assert self.log.appended == first
                return
            self.take(first, lines)
            if sync:
                self.durable = self.end

    def doubt(self, where: dict[int, set[bytes]], first: int, lines: list[bytes]) -> None:
        for number, line in enumerate(lines, first):
            where.setdefault(number, set()).add(line)

    def take(self, first: int, lines: list[bytes]) -> None:
        self.written.update(enumerate(lines, first))
        self.end = first + len(lines)
        for number, others in self.doubtful.items():  # cut off, or replaced: only a loss of power can bring them back
            self.failed.setdefault(number, set()).update(others)
        self.doubtful.clear()

    @rule()
    def commit(self) -> None:
        assert self.log is not None
        self.log.commit()
        self.visible = self.end

    @rule(seed=seeds)
    def sync(self, seed: int) -> None:
        assert self.log is not None
        with self.dying(seed):
            try:
                self.log.sync()
            except (OSError, Interrupted):
                return
            self.durable = self.end

    @rule(name=destinations, count=st.integers(1, 6), size=st.integers(1, 400), seed=seeds)
    def read(self, name: str, count: int, size: int, seed: int) -> None:
        assert self.log is not None
        with self.dying(seed), self.uninterrupted():
            faults = self.disk.faults
            try:
                batch = self.log.reader(name).read(count, size)
            except OSError:
                return
            self.got(name, batch)
            if batch:
                self.noted_all(name, self.disk.faults == faults)
            assert len(batch) <= count
            assert self.read_up_to[name] == self.visible or batch

    def got(self, name: str, batch: list[tuple[int, bytes]]) -> None:
        """Check what a reader gave in the life of its process: every event, in order."""
        first = self.read_up_to[name]
        assert batch == [(number, self.written[number]) for number in range(first, first + len(batch))]
        if batch:
            assert len(batch) == 1 or sum(len(line) for _, line in batch) <= 400
            self.read_up_to[name] = batch[-1][0] + 1
            self.batches[name].append(batch)

    def noted_all(self, name: str, succeeded: bool) -> None:  # noqa: FBT001
        """Remember what the journal says: an error there is logged, and then events may come again."""
        self.is_noted[name] = succeeded
        if succeeded:
            self.noted[name] = self.settled[name]

    @rule(name=destinations, share=st.floats(0, 1), seed=seeds)
    def settle(self, name: str, share: float, seed: int) -> None:
        assert self.log is not None
        reader = self.log.reader(name)
        before = self.settled[name] + round(share * (self.read_up_to[name] - self.settled[name]))
        with self.dying(seed), self.uninterrupted():
            faults, is_news = self.disk.faults, before > self.settled[name]
            self.settled[name] = before  # also if the process dies in the call: it may have noted it
            reader.settle(before)
            assert reader.position == before
            if is_news:
                self.noted_all(name, self.disk.faults == faults)

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Readers live in threads, where signal handlers do not run."""
        if self.disk.fault == "interrupt":
            self.disk.disarm()
        yield

    @rule(seed=seeds, share=st.floats(0.5, 1))
    def deliver(self, seed: int, share: float) -> None:
        """Do what a long life is made of: see everything, settle most of it, release."""
        self.commit()
        for name in ("a", "b"):
            while self.read_up_to[name] < self.visible:
                self.read(name, 1000, 400, seed)
            self.settle(name, share, seed)
        self.release(seed)

    @rule(seed=seeds)
    def release(self, seed: int) -> None:
        assert self.log is not None
        with self.dying(seed), self.uninterrupted():
            try:
                self.log.release()
            except OSError:
                return

    @rule(seed=seeds, how=st.sampled_from(["kill", "power", "close"]))
    def end_process(self, seed: int, how: str) -> None:
        if how == "close":
            self.close(seed)
        else:
            self.die(seed, has_power=how == "kill")

    def teardown(self) -> None:
        """Whatever happened: the power goes."""
        if self.log is not None:
            self.die(self.lines, has_power=False)

    def die(self, seed: int, *, has_power: bool) -> None:
        """End the process, or the power with it; the next one takes over."""
        if has_power:
            self.disk.kill()
        else:
            self.disk.lose_power(random.Random(seed))  # noqa: S311 - it must come again, not be secret
        self.log = None
        self.successor(has_power=has_power)

    def close(self, seed: int) -> None:
        """End the process well; the next one takes over."""
        assert self.log is not None
        with self.dying(seed), self.uninterrupted():
            self.log.close()
            self.log = None
            self.disk.kill()
            self.successor(has_power=True)

    def successor(self, *, has_power: bool) -> None:
        """Take over what there is, check all of it, and begin anew."""
        self.disk.disarm()
        logs = adopt(ROOT, DESTINATIONS, files=self.disk)
        assert len(logs) <= 1
        for name in ("a", "b"):
            self.check(name, logs[0] if logs else None, has_power=has_power)
        for log in logs:
            for name in ("a", "b"):
                log.reader(name).settle(log.end)
            assert log.is_drained
            log.release()
            log.close()
        for name in self.disk.names(ROOT):
            assert not has_power
            assert self.disk.exists(ROOT / name / "quarantine")  # for people
            self.disk.throw_away(ROOT / name)
        self.start()

    def check(self, name: str, log: SpoolLog | None, *, has_power: bool) -> None:
        must = self.end if has_power else self.durable
        if log is None:
            assert self.settled[name] >= must
            return
        reader = log.reader(name)
        assert reader.position <= self.settled[name]
        if has_power:
            assert reader.position >= self.noted[name]
        position = reader.position
        if has_power:
            self.check_batches(name, reader)
        events = [*self.replayed, *_drained(reader)] if has_power else _drained(reader)
        numbers = [number for number, _ in events]
        assert numbers == sorted(set(numbers))
        assert set(range(position, must)) <= set(numbers)
        assert reader.skipped == 0 or not has_power
        for number, line in events:
            allowed = {self.written.get(number)} | self.doubtful.get(number, set())
            if not has_power and number >= self.durable:
                allowed |= self.failed.get(number, set())
            assert line in allowed, number

    def check_batches(self, name: str, reader: SpoolReader) -> None:
        """Check that the batches on their way come again as they were, but for what is settled."""
        self.replayed = []
        if not self.is_noted[name] or self.noted[name] != self.settled[name]:
            return
        open_batches = [batch for batch in self.batches[name] if batch[-1][0] >= reader.position]
        for batch in open_batches[:REMEMBERED_BATCHES]:
            rest = [event for event in batch if event[0] >= reader.position]
            assert reader.read(1, 1) == rest
            self.replayed += rest

    @invariant()
    def numbers_agree(self) -> None:
        if self.log is not None:
            assert (self.log.end, self.log.appended) == (self.visible, self.end)


def _drained(reader: SpoolReader) -> list[tuple[int, bytes]]:
    read: Callable[[], list[tuple[int, bytes]]] = lambda: reader.read(3, 200)  # noqa: E731
    return [event for batch in iter(read, []) for event in batch]


SpoolMachine.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestSpool = SpoolMachine.TestCase
