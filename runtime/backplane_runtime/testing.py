"""For tests: events captured in memory, and the contract that every backplane passes, ours and those of extensions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from backplane_runtime.backplanes.in_memory import InMemoryBackplane
from backplane_runtime.contract import ContractOptions, StoredEvent, check_backplane_contract, sample_records
from backplane_runtime.data_plane import DataPlane
from backplane_runtime.envelope import Envelope
from backplane_runtime.events import EventType
from backplane_runtime.settings import InMemory, Plane

__all__ = [
    "CapturedEvents",
    "ContractOptions",
    "StoredEvent",
    "capture_events",
    "check_backplane_contract",
    "sample_records",
]


class CapturedEvents:
    """The events that were published to `plane`, which is strict: losing one raises."""

    def __init__(self, plane: Plane | None = None) -> None:
        self.plane = DataPlane(InMemory(), plane=plane, strict=True)

    def envelopes(self) -> list[Envelope]:
        """Return what was published so far, in order."""
        self.plane.flush()
        backplane = self.plane.backplane("inMemory")
        records = backplane.records if isinstance(backplane, InMemoryBackplane) else ()
        return [msgspec.json.decode(record.envelope, type=Envelope) for record in records]

    def payloads(self, kind: EventType | None = None) -> list[dict[str, Any]]:
        """Return the payloads published so far, in order; of one *kind* where it is given."""
        envelopes = self.envelopes()
        wanted = [one for one in envelopes if kind is None or one.event_type == kind.wire_name]
        return [msgspec.json.decode(one.payload) for one in wanted]


@contextmanager
def capture_events(plane: Plane | None = None) -> Iterator[CapturedEvents]:
    """Give a data plane whose events stay in memory, and close it at the end."""
    captured = CapturedEvents(plane)
    with captured.plane:
        yield captured
