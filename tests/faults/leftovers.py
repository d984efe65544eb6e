"""What waits in a spool to be delivered."""

from __future__ import annotations

import time
from pathlib import Path

from backplane_runtime.spool.inspection import folders, look_at


def await_empty(root: Path, seconds: float) -> None:
    """Return when no folder under *root* holds an event that waits.

    Raises:
        TimeoutError: if that takes more than *seconds*.
    """
    until = time.monotonic() + seconds
    while waiting(root):
        if time.monotonic() > until:
            raise TimeoutError(f"{waiting(root)} events wait in {root}")
        time.sleep(0.005)


def waiting(root: Path) -> int:
    """Return how many deliveries wait under *root*."""
    total = 0
    for path in folders(root):
        try:
            total += sum(one.waiting for one in look_at(path).backlogs)
        except FileNotFoundError:
            continue  # its owner removed it meanwhile
    return total
