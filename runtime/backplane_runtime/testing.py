"""For tests: events captured in memory, and the contract that every backplane passes, ours and those of extensions."""

from __future__ import annotations

from backplane_runtime.capturing import AnyEvent, CapturedEvents, capture_events
from backplane_runtime.contract import ContractOptions, StoredEvent, check_backplane_contract, sample_records

__all__ = [
    "AnyEvent",
    "CapturedEvents",
    "ContractOptions",
    "StoredEvent",
    "capture_events",
    "check_backplane_contract",
    "sample_records",
]
