"""A backplane of the tests that keeps nothing but counts: for backlogs that no real sink would take in a reasonable time.

It is away for as long as the file `gate` is there. Its counts are a mapping, a byte for each event, with their order.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Sequence
from pathlib import Path

from backplane_runtime.backplanes.api import BackplaneHealth, Rejected, UnavailableError, Verdict
from backplane_runtime.backplanes.registry import Registration, register_backplane
from backplane_runtime.envelope import Record
from backplane_runtime.settings import Settings


class Null(Settings, frozen=True, kw_only=True):
    """Settings of the backplane; `delay` is what one batch takes, in seconds."""

    gate: str
    counts: str
    batch_size: int = 500
    delay: float = 0.0


class NullBackplane:
    """See the module."""

    def __init__(self, settings: Null) -> None:
        self._settings = settings
        self._counts: mmap.mmap | None = None

    def start(self) -> None:
        """Map the counts."""
        with Path(self._settings.counts).open("r+b") as file:
            self._counts = mmap.mmap(file.fileno(), 0)

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        """Count each of *batch*."""
        if self._counts is None:
            self.start()
        if self._counts is None or Path(self._settings.gate).exists():
            raise UnavailableError("the gate is shut")
        time.sleep(self._settings.delay)
        for record in batch:
            self._counts[int(record.subject or 0)] += 1
        return [Verdict.ACKNOWLEDGED] * len(batch)

    def health(self, timeout: float) -> BackplaneHealth:  # noqa: ARG002 - the contract's signature
        """Say that all is well."""
        return BackplaneHealth(healthy=True, message="counts")

    def close(self, timeout: float) -> None:
        """Do nothing: the mapping is a file's."""


def register() -> None:
    """Make the type `null` known."""
    register_backplane("null", Registration(make=NullBackplane, settings_type=Null), replace=True)
