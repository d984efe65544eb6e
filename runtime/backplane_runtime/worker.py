"""A background thread of the data plane: one for each job, however often it is started and by whomever it is interrupted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backplane_runtime import native


class Worker:
    """Does *work* once, on a thread called *name*; *lock* is a lock that `start` may be called with."""

    def __init__(self, work: Callable[[], None], name: str, lock: Any) -> None:
        self._work = work
        self._name = name
        self._lock = lock
        self._is_running = False
        self._thread: native.Thread | None = None

    @property
    def is_started(self) -> bool:
        """Say whether there has been a thread."""
        return self._thread is not None

    @property
    def is_alive(self) -> bool:
        """Say whether there is a thread that has not ended."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def is_here(self) -> bool:
        """Say whether the caller is the worker."""
        return native.current_thread() is self._thread

    def start(self) -> None:
        """Start the thread unless that was done.

        Raises:
            RuntimeError: if none can be had.
        """
        if self._thread is None:
            thread = native.thread(self._run, self._name)
            thread.start()
            self._thread = thread

    def join(self, timeout: float) -> None:
        """Wait for the end of the thread, for at most *timeout* seconds; the thread itself does not wait."""
        if self._thread is not None and not self.is_here:
            self._thread.join(timeout)

    def _run(self) -> None:
        with self._lock:
            if self._is_running:
                return  # a signal handler raised while the first thread was started, so a second one was
            self._is_running, self._thread = True, native.current_thread()
        self._work()
