"""The writer: the one thread that moves events from the queue into the log.

`publish` only appends to the queue, without a lock; every `PERIOD_SECONDS` the writer takes all that is in it. So a
process that is killed loses what was published in the last few milliseconds, and nothing more, at `durability: process`.
Whoever cannot wait for the writer (`processStrict`, or a queue that is nearly full) drains the queue itself.

An exception that a signal handler raises may tear `drain` apart anywhere, where the main thread drains. So a batch is
remembered until all is done, the next drain goes on with it, and every step can be taken twice: a draft is sealed once, the
log tells whether it has the batch, so does the ledger, and events leave the queue last.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import islice

from backplane_runtime import native
from backplane_runtime.chain import Chain, Link
from backplane_runtime.envelope import Draft, seal
from backplane_runtime.ledger import Key, Ledger
from backplane_runtime.log import Log
from backplane_runtime.notices import Notices
from backplane_runtime.receipts import Receipt
from backplane_runtime.worker import Worker

PERIOD_SECONDS = 0.005
IDLE_SECONDS = 1.0  # between looks at the queue, when nobody publishes: should it ever miss the call
_STEP_SECONDS = 0.0005  # between looks at a queue that gets shorter
_AT_ONCE = 2_000  # drafts; what is sealed in one go holds the interpreter


class Writer:
    """Owns the queue of one data plane; `on_append` is called with the ledger's lock held."""

    def __init__(self, chain: Chain, ledger: Ledger, notices: Notices, *, syncs: bool) -> None:
        self.queue: deque[Draft] = deque()
        self.is_asleep = False
        self.on_append: Callable[[Sequence[Draft]], None] = lambda _: None
        self.on_straggler: Callable[[], None] = lambda: None
        """Called after `end` by whoever had found room in the queue before, and used it only now."""
        self._chain = chain
        self._ledger = ledger
        self._notices = notices
        self._syncs = syncs
        self._draining = native.RLock()
        self._is_draining = False
        # A bare lock as a gate, held by whoever waits at it: to open it is one call of C. An `Event` or a `Condition` takes
        # its own lock in Python code, and a signal handler that raises there leaves it locked for ever.
        self._gate = native.Lock()
        self._batch: _Batch | None = None
        self._untold: deque[tuple[str | None, list[Receipt]]] = deque()  # what must not be told under our locks
        self._serial = 0
        self._volatile = 0  # the last batch that went to a log in memory
        self._ending = False
        self.worker = Worker(self._run, "backplane-writer", ledger.lock)

    def wake(self) -> None:
        """Have the thread look at the queue now."""
        if self._ending:
            self.on_straggler()
        self._open_gate()

    def _open_gate(self) -> None:
        if self._gate.locked():
            with contextlib.suppress(RuntimeError):  # another thread opened it meanwhile
                self._gate.release()

    def drain(self) -> bool:
        """Move what is queued into the log; say whether there was something."""
        with self._draining:
            if self._is_draining:
                return False  # a signal handler publishes in the middle of it; the outer one goes on until all is done
            self._is_draining = True
            try:
                moved = False
                while self._drain_some():
                    moved = True
            finally:
                self._is_draining = False
        self._tell()
        return moved

    def relieve(self, length: int, timeout: float) -> None:
        """Let the thread work until the queue is shorter than *length*, for at most *timeout* seconds."""
        until = time.monotonic() + timeout
        while len(self.queue) >= length and time.monotonic() < until:
            self.wake()
            time.sleep(_STEP_SECONDS)  # what the thread needs is the interpreter

    def save(self, timeout: float) -> bool:
        """Have all that is queued by now in the log; say whether that was possible within *timeout* seconds."""
        if self._is_mine():
            while self._drain_some():  # a signal handler stopped us in the middle of it, and nobody will go on
                pass
        elif not self.worker.is_alive:
            self.drain()
        else:
            return self._await_thread(time.monotonic() + timeout)
        return True

    def end(self, timeout: float) -> None:
        """Move what is left, and end the thread, in at most *timeout* seconds."""
        self._ending = True
        self._open_gate()
        self.worker.join(timeout)
        self.is_asleep = True  # for ever: who appends from now on is a straggler
        if not self.worker.is_alive:
            self.save(timeout)

    def is_durable(self, draft: Draft) -> bool:
        """Say whether *draft* went to a log on disk."""
        return self._volatile < draft.batch <= self._ledger.last_batch

    def alone(self, work: Callable[[], None], timeout: float) -> None:
        """Do *work* while no other thread drains; or while one does, if it goes on for *timeout* seconds: its disk hangs."""
        is_inner = self._is_mine()
        try:  # before the lock is taken: a signal handler may raise right after that
            self._draining.acquire(timeout=timeout)
            work()
        finally:
            if self._is_mine() and not is_inner:
                self._draining.release()
        self._tell()

    def _is_mine(self) -> bool:
        return bool(self._draining._is_owned())  # noqa: SLF001 - as `Condition` asks it

    def go_on_with(self, log: Log) -> bool:
        """Put what comes from now on into *log*; not while a batch is on its way to another one."""
        with self._draining, self._ledger.lock:
            if self._batch is not None or self._is_draining:
                return False
            self._chain.go_on_with(log)
            return True

    def _run(self) -> None:
        while not self._ending:
            moved = self._round()
            if moved:
                native.sleep(PERIOD_SECONDS)
                continue
            self._gate.acquire(blocking=False)  # shut it, if it is open
            self.is_asleep = True
            if not self.queue and not self._ending:
                self._gate.acquire(timeout=IDLE_SECONDS)
            self.is_asleep = False
        self.is_asleep = True  # see `end`

    def _round(self) -> bool:
        try:
            return self.drain()
        except Exception as error:  # noqa: BLE001 - without this thread nothing is delivered any more
            self._notices.warn("writer", f"the writer failed, and goes on: unexpected {type(error).__name__}", error)
            return True  # not again at once

    def complete(self) -> None:
        """Take from the queue what the ledger has; ledger's lock held."""
        batch = self._batch
        if batch is None or not self._ledger.has_entered(batch.number):
            return
        link = batch.link
        if link is not None:
            link.log.commit()
        while self.queue and self.queue[0].batch == batch.number:
            self.queue.popleft()

    def _drain_some(self) -> bool:
        batch = self._batch = self._batch or self._next_batch()
        if batch is None:
            return False
        self._append(batch)
        with self._ledger.lock:
            self._enter(batch)
            self.complete()
            self.on_append(batch.drafts)
        self._batch = None
        is_durable = batch.link is not None and batch.link.is_durable
        receipts = [one.receipt for one in batch.drafts if one.receipt is not None] if is_durable else []
        if receipts or batch.problem is not None:  # not the batch itself: it would keep the memory that new events use
            self._untold.append((batch.problem, receipts))
        return True

    def _tell(self) -> None:
        """Tell receipts and people; without locks, because their callbacks and log handlers are the application's."""
        while self._untold:
            try:
                problem, receipts = self._untold.popleft()
            except IndexError:  # another thread tells it
                return
            if problem is not None:
                self._notices.warn("disk", problem)
            for receipt in receipts:
                receipt.on_disk()

    def _await_thread(self, until: float) -> bool:
        """Wait for the thread to move what is queued by now."""
        try:
            last = self.queue[-1]
        except IndexError:
            return True
        while self.queue and not 0 < last.batch <= self._ledger.last_batch:
            if time.monotonic() > until:
                return False
            self._open_gate()
            time.sleep(_STEP_SECONDS)
        return True

    def _next_batch(self) -> _Batch | None:
        drafts = self._peek()
        if not drafts:
            return None
        self._serial += 1
        for one in drafts:
            one.batch = self._serial
        numbers: Counter[Key] = Counter((one.form.kind, one.experiment, one.variant) for one in drafts)
        return _Batch(self._serial, drafts, seal(drafts), numbers)

    def _peek(self) -> list[Draft]:
        while True:
            try:
                return list(islice(self.queue, _AT_ONCE))
            except RuntimeError:  # a finalizer published while we looked
                continue

    def _append(self, batch: _Batch) -> None:
        """Have the lines of *batch* in the last log of the chain: on disk, or in memory where that fails."""
        if not self._chain.is_open:
            log = self._chain.make()
            with self._ledger.lock:
                self._chain.open(log)
            self._note_problem(batch, "events are held in memory only")
        try:
            self._append_to(self._chain.last, batch)
        except OSError as error:
            with self._ledger.lock:
                self._chain.retreat(error)
            self._note_problem(batch, "events wait in memory until it can")
            self._append_to(self._chain.last, batch)

    def _append_to(self, link: Link, batch: _Batch) -> None:
        if batch.link is not link:
            batch.first = link.log.appended
            batch.link = link
        if not link.is_durable:
            self._volatile = batch.number
        if link.log.appended == batch.first:
            link.log.append(batch.lines, sync=self._syncs)

    def _enter(self, batch: _Batch) -> None:
        link = batch.link or self._chain.last  # another thread may have found the disk well again meanwhile
        if not self._ledger.has_entered(batch.number):
            link.outstanding.update(batch.numbers)
        for number, one in enumerate(batch.drafts, batch.first):
            if one.receipt is not None:
                link.receipts[number] = one.receipt
        self._ledger.enter_batch(batch.numbers, link.status, batch.number)

    def _note_problem(self, batch: _Batch, consequence: str) -> None:
        if self._chain.problem is not None:
            batch.problem = f"{self._chain.problem}; {consequence}"


class _Batch:
    """Drafts on their way from the queue to the log; `first` is the number of the first one in *link*'s log."""

    def __init__(self, number: int, drafts: list[Draft], lines: list[bytes], numbers: Counter[Key]) -> None:
        self.number = number
        self.drafts = drafts
        self.lines = lines
        self.numbers = numbers
        self.link: Link | None = None
        self.first = 0
        self.problem: str | None = None  # of the disk
