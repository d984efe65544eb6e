"""What became of a published event, as far as that is known when it is asked."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """The answer of `publish`, and what receipts end with; the ledger counts each."""

    QUEUED = "queued"
    """In memory, on its way to a backplane."""
    SPOOLED = "spooled"
    """On local disk, on its way to a backplane."""
    SAMPLED_OUT = "sampledOut"
    """Its subject is outside the sampling rate."""
    DISABLED = "disabled"
    """Its type is switched off, or no backplane takes it."""
    DUPLICATE = "duplicate"
    """A repeated exposure under `onFirstUse`."""
    ACKNOWLEDGED = "acknowledged"
    """Every backplane that takes it has it; only a receipt can say so."""
    DROPPED = "dropped"
    """Lost: no room, not encodable, or the data plane is closed. The log says which."""
