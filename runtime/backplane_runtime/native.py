"""Threads and locks of the operating system, also where gevent has put greenlets in their place.

Under gevent's monkey patching a thread is a greenlet: a client library that waits in C would stop all of them, and with them
the application. So our threads stay threads. What is used here is taken when this module is imported, before gevent patches
or, by `gevent.monkey.get_original`, after it. Without gevent these are the standard library's own.

A greenlet may wait for one of these locks, and then the others wait with it: for microseconds, because nobody holds one of
them while it waits for anything else. What an application waits for itself (`flush`, `close`, room under `failureMode: block`) lets the others go on (`wait_for`).
"""

from __future__ import annotations

import _thread
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

_STEP_SECONDS = 0.001


def _original(module: str, name: str) -> Any:
    monkey = sys.modules.get("gevent.monkey")
    return getattr(sys.modules[module], name) if monkey is None else monkey.get_original(module, name)


_start_new_thread: Callable[[Callable[[], None], tuple[()]], int] = _original("_thread", "start_new_thread")
_allocate_lock: Callable[[], Any] = _original("_thread", "allocate_lock")
_get_ident: Callable[[], int] = _original("_thread", "get_ident")

TIMEOUT_MAX = threading.TIMEOUT_MAX
RLock: Callable[[], Any] = _thread.RLock  # gevent leaves it as it is
Lock = _allocate_lock
sleep: Callable[[float], None] = _original("time", "sleep")


def is_patched() -> bool:
    """Say whether threads of `threading` are greenlets."""
    return _thread.start_new_thread is not _start_new_thread


class Condition(threading.Condition):
    """The standard library's, on native locks."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until notified, or for *timeout* seconds; say whether it was the former."""
        waiter = _allocate_lock()
        waiter.acquire()
        self._waiters.append(waiter)  # type: ignore[attr-defined]  # see `threading.Condition.wait`
        state = self._release_save()  # type: ignore[attr-defined]
        is_notified = False
        try:
            is_notified = bool(waiter.acquire(True, -1 if timeout is None else max(0.0, timeout)))  # noqa: FBT003 - C takes no names
        finally:
            self._acquire_restore(state)  # type: ignore[attr-defined]
            if not is_notified and waiter in self._waiters:  # type: ignore[attr-defined]
                self._waiters.remove(waiter)  # type: ignore[attr-defined]
        return is_notified

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """Wait until *predicate* holds, for at most *timeout* seconds, and return its last value."""
        if not is_patched() or _get_ident() in _ours:
            return super().wait_for(predicate, timeout)
        until = time.monotonic() + (TIMEOUT_MAX if timeout is None else timeout)
        while not (found := predicate()) and time.monotonic() < until:
            state = self._release_save()  # type: ignore[attr-defined]
            try:
                time.sleep(_STEP_SECONDS)  # in a greenlet: the others go on
            finally:
                self._acquire_restore(state)  # type: ignore[attr-defined]
        return found


class GreenletProofThread:
    """As much of `threading.Thread` as we use, where that one would be a greenlet."""

    daemon = True

    def __init__(self, target: Callable[[], None], name: str) -> None:
        self.name = name
        self._target = target
        self._running = _allocate_lock()

    def start(self) -> None:
        """Start it."""
        self._running.acquire()
        try:
            _start_new_thread(self._run, ())
        except BaseException:
            self._running.release()
            raise

    def join(self, timeout: float) -> None:
        """Wait until it has ended, for at most *timeout* seconds; greenlets go on meanwhile."""
        until = time.monotonic() + timeout
        while self.is_alive() and time.monotonic() < until:
            time.sleep(_STEP_SECONDS)  # as the application sleeps

    def is_alive(self) -> bool:
        """Say whether it runs."""
        return bool(self._running.locked())

    def _run(self) -> None:
        _ours[_get_ident()] = self
        try:
            self._target()
        finally:
            del _ours[_get_ident()]
            self._running.release()


Thread = threading.Thread | GreenletProofThread

_ours: dict[int, GreenletProofThread] = {}
_A_GREENLET = object()


def current_thread() -> Any:
    """Return the thread that `thread` made, or the standard library's; under gevent nothing that is equal to one of ours."""
    ours = _ours.get(_get_ident())
    if ours is not None or is_patched():
        return ours or _A_GREENLET
    return threading.current_thread()


def start(target: Callable[[], None]) -> None:
    """Start a thread that nobody waits for, without a lock of Python code: safe in a signal handler.

    Raises:
        RuntimeError: if there is none to be had.
    """
    _start_new_thread(target, ())


def thread(target: Callable[[], None], name: str) -> Thread:
    """Return a daemon thread that is one of the operating system's."""
    if is_patched():
        return GreenletProofThread(target, name)
    return threading.Thread(target=target, name=name, daemon=True)
