"""Log lines at a bounded rate: what goes wrong ten thousand times a second is said once a minute, with its number."""

from __future__ import annotations

import logging
import threading
import time

from backplane_runtime import native

PERIOD_SECONDS = 60.0

_LOGGER = logging.getLogger("backplane")


class Notices:
    """Warnings of one data plane; each kind at most once in `PERIOD_SECONDS`, and none is forgotten in the count."""

    def __init__(self) -> None:
        self.failed_handlers = 0
        self._lock = native.RLock()  # a signal handler may publish while its own thread is in here
        self._said: dict[str, tuple[float, int]] = {}  # kind -> when it was last said, how often it came up since

    def warn(self, kind: str, text: str, error: BaseException | None = None) -> None:
        """Log *text*, unless this *kind* was logged just now; never raises, whatever the application's handlers do.

        The trace of *error* is added at level DEBUG only: its text is a client library's own.
        """
        total = self._due(kind)
        try:
            if total > 1:
                _LOGGER.warning("%s (%d times since this was last said)", text, total)
            elif total:
                _LOGGER.warning("%s", text)
            if total and error is not None:
                _LOGGER.debug("%s", text, exc_info=error)
        except BaseException as failure:
            # A log handler of the application failed; its own event is counted all the same. Ctrl-C passes, and what else
            # ends a program; but a thread of ours would only end itself, and nothing would be delivered any more.
            if not isinstance(failure, Exception) and threading.current_thread() is threading.main_thread():
                raise
            self.failed_handlers += 1

    def _due(self, kind: str) -> int:
        moment = time.monotonic()
        with self._lock:
            last, held = self._said.get(kind, (float("-inf"), 0))
            if moment - last < PERIOD_SECONDS:
                self._said[kind] = (last, held + 1)
                return 0
            self._said[kind] = (moment, 0)
            return held + 1
