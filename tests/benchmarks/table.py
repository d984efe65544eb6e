"""One row of the benchmark table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A median in seconds beside that of a peer, which `what` names."""

    what: str
    ours: float
    peer: float

    @staticmethod
    def shown(seconds: float) -> str:
        """Return *seconds* in the unit that fits."""
        if seconds < 1e-3:
            return f"{seconds * 1e6:.2f} µs"
        return f"{seconds * 1e3:.1f} ms"
