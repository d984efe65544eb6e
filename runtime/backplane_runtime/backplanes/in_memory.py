"""Events kept in memory, for tests: the in-memory twin of the other backplanes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from backplane_runtime.backplanes.api import BackplaneHealth, Rejected, Verdict
from backplane_runtime.envelope import Record
from backplane_runtime.settings import InMemory


class InMemoryBackplane:
    """Keeps the newest `capacity` records; older ones go, though they count as acknowledged."""

    def __init__(self, settings: InMemory) -> None:
        self.records: deque[Record] = deque(maxlen=settings.capacity)

    def start(self) -> None:
        """Do nothing: memory is there."""

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        """Keep *batch*."""
        self.records.extend(batch)
        return [Verdict.ACKNOWLEDGED] * len(batch)

    def health(self, timeout: float) -> BackplaneHealth:  # noqa: ARG002 - the contract's signature
        """Say how many records are kept."""
        return BackplaneHealth(healthy=True, message=f"{len(self.records)} events in memory")

    def close(self, timeout: float) -> None:
        """Do nothing: what was kept stays readable."""
