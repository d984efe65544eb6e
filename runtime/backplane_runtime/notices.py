"""Log lines at a bounded rate: what goes wrong ten thousand times a second is said once a minute, with its number."""

from __future__ import annotations

import logging
import threading
import time

PERIOD_SECONDS = 60.0

_LOGGER = logging.getLogger("backplane")


class Notices:
    """Warnings of one data plane; each kind at most once in `PERIOD_SECONDS`, and none is forgotten in the count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: dict[str, tuple[float, int]] = {}  # kind -> when it was last said, how often it came up since

    def warn(self, kind: str, text: str, count: int = 1) -> None:
        """Log *text*, unless this *kind* was logged just now; *count* is how many events it stands for."""
        total = self._due(kind, count)
        if total > 1:
            _LOGGER.warning("%s (%d events since this was last said)", text, total)
        elif total:
            _LOGGER.warning("%s", text)

    def _due(self, kind: str, count: int) -> int:
        moment = time.monotonic()
        with self._lock:
            last, held = self._said.get(kind, (float("-inf"), 0))
            if moment - last < PERIOD_SECONDS:
                self._said[kind] = (last, held + count)
                return 0
            self._said[kind] = (moment, 0)
            return held + count
