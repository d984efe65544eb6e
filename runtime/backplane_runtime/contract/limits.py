"""How a backplane is called while it is checked: on one thread, each call with a time limit; and in a forked child."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Self

import msgspec

from backplane_runtime.backplanes.api import Backplane, Rejected, UnavailableError, Verdict
from backplane_runtime.envelope import Record

PATIENCE_SECONDS = 30.0  # how long a server may take to acknowledge a small batch
HEALTH_SECONDS = 5.0  # that `health` and `close` are given
GRACE_SECONDS = 1.0  # for the machine, on top of a time limit
_THREAD = "backplane-contract"
_FILES = next((place for place in ("/proc/self/fd", "/dev/fd") if os.path.isdir(place)), None)  # noqa: PTH112 - once

Verdicts = Sequence[Verdict | Rejected]


class DeliveryThread:
    """The one thread that starts, sends and closes, with a time limit for each: a backplane that hangs is found."""

    def __init__(self, send_seconds: float) -> None:
        self._send_seconds = send_seconds
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=_THREAD, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._work.put(None)
        self._thread.join(GRACE_SECONDS)

    def start(self, backplane: Backplane) -> None:
        """Start *backplane*, again while it is unavailable."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self._call(backplane.start, PATIENCE_SECONDS, "`start` ends")
            except UnavailableError:
                expect(time.monotonic() < deadline, f"`start` succeeds within {PATIENCE_SECONDS:g} s")
                time.sleep(0.1)
            else:
                return

    @contextmanager
    def started(self, backplane: Backplane) -> Iterator[Backplane]:
        """Give *backplane* after `start`, and close it afterwards."""
        try:
            self.start(backplane)
            yield backplane
        except BaseException:
            with suppress(AssertionError):  # the first fault says more than what it leads to
                self._close(backplane)
            raise
        self._close(backplane)

    def _close(self, backplane: Backplane) -> None:
        self.close(backplane, HEALTH_SECONDS, "`close` never raises, and ends in time")

    def send(self, backplane: Backplane, batch: Sequence[Record]) -> Verdicts:
        """Send *batch*; raises `UnavailableError`, and for anything else `AssertionError`."""
        found: Verdicts = self._call(lambda: backplane.send(batch), self._send_seconds, "`send` returns within seconds")
        return found

    def close(self, backplane: Backplane, timeout: float, sentence: str) -> None:
        """Close *backplane*."""
        self._call(lambda: backplane.close(timeout), timeout + GRACE_SECONDS, sentence)

    def _call(self, work: Callable[[], Any], seconds: float, sentence: str) -> Any:
        answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

        def attempt() -> None:
            try:
                answers.put((work(), None))
            except BaseException as error:  # noqa: BLE001 - told on the other thread
                answers.put((None, error))

        self._work.put(attempt)
        try:
            value, error = answers.get(timeout=seconds + GRACE_SECONDS)
        except queue.Empty:
            raise AssertionError(f"{sentence}: it did not within {seconds:g} s") from None
        if error is None or isinstance(error, UnavailableError):
            if error is not None:
                raise error
            return value
        raise AssertionError(f"{sentence}, and raises nothing but `UnavailableError`: {error!r}") from error

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()


def in_child(work: Callable[[], None]) -> int:
    """Run *work* in a forked child and return its exit code; a child that hangs is killed."""
    return exit_code(forked(work))


def forked(work: Callable[[], None]) -> int:
    """Return a forked child that runs *work* and ends with 0, or says why it could not and ends with 1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, which is what is checked
        child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException as error:  # noqa: BLE001 - this process ends here, and must not go on as its parent would
            os.write(2, f"in the forked child: {error!r}\n".encode())
        finally:
            os._exit(code)
    return child


def exit_code(child: int) -> int:
    """Return the exit code of *child* when it has ended; one that hangs is killed."""
    deadline = time.monotonic() + 2 * PATIENCE_SECONDS
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -signal.SIGKILL


class Held(msgspec.Struct, frozen=True):
    """What this process holds: names of threads, and how many files and sockets."""

    threads: frozenset[str]
    files: int

    def __le__(self, other: Held) -> bool:
        return self.threads <= other.threads and self.files <= other.files


def held() -> Held:
    """Return what this process holds now, without the contract's own thread."""
    files = 0 if _FILES is None else len(os.listdir(_FILES))  # noqa: PTH208 - only their number
    return Held(frozenset(one.name for one in threading.enumerate() if one.name != _THREAD), files)


def expect_at_last(holds: Callable[[], bool], sentence: str) -> None:
    """Expect that soon *holds* says yes."""
    deadline = time.monotonic() + 5 * GRACE_SECONDS
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    expect(holds(), sentence)


def expect(holds: bool, sentence: str) -> None:  # noqa: FBT001 - reads like `assert`
    """Raise `AssertionError` with *sentence* unless it *holds*."""
    if not holds:
        raise AssertionError(sentence)
