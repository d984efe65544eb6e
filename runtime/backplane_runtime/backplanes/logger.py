"""Events as lines of a Python logger.

A logger that would discard them is not silently fed: a level that nobody set is set, and one that forbids, or a logger
without any handler, makes this backplane unavailable, with the reason in `health()`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from backplane_runtime.backplanes.api import BackplaneHealth, Rejected, UnavailableError, Verdict
from backplane_runtime.envelope import Record
from backplane_runtime.settings import Logging


class LoggerBackplane:
    """Writes each event as one log record: the envelope as JSON, or a line for people."""

    def __init__(self, settings: Logging) -> None:
        self._logger = logging.getLogger(settings.logger)
        self._level = logging.getLevelNamesMapping()[settings.level.upper()]
        self._is_json = settings.format == "json"

    def start(self) -> None:
        """Let the logger pass our level, unless somebody has decided about it."""
        if self._logger.level == logging.NOTSET and not self._logger.isEnabledFor(self._level):
            self._logger.setLevel(self._level)

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        """Log *batch*."""
        if problem := self._problem():
            raise UnavailableError(problem)
        for record in batch:
            self._logger.log(self._level, "%s", record.envelope.decode() if self._is_json else as_line(record))
        return [Verdict.ACKNOWLEDGED] * len(batch)

    def health(self, timeout: float) -> BackplaneHealth:  # noqa: ARG002 - the contract's signature
        """Say whether the logger takes events."""
        self.start()
        problem = self._problem()
        return BackplaneHealth(healthy=problem is None, message=problem or f"logger `{self._logger.name}`")

    def close(self, timeout: float) -> None:
        """Do nothing: handlers belong to the application."""

    def _problem(self) -> str | None:
        name = self._logger.name
        if not self._logger.isEnabledFor(self._level):
            return f"logger `{name}` discards level {logging.getLevelName(self._level)}; lower its level"
        if not self._logger.hasHandlers():
            return f"logger `{name}` has no handler; add one, or call `logging.basicConfig()`"
        return None


def as_line(record: Record) -> str:
    """Return *record* as one line for people: type, experiment, variant, subject, id."""
    parts = [record.event_type.wire_name, record.experiment]
    named = {"variant": record.variant, "subject": record.subject, "tenant": record.tenant, "id": record.event_id}
    return " ".join([*parts, *(f"{name}={value!r}" for name, value in named.items() if value is not None)])
