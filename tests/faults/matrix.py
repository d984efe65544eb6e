"""All rows, in the order of the table."""

from __future__ import annotations

from tests.faults import backlog, brokers, clocks, damage, disks, endings, forks, kills, networks, soak
from tests.faults.scene import Row

ROWS: tuple[Row, ...] = (
    *endings.ROWS,
    *kills.ROWS,
    *forks.ROWS,
    *disks.ROWS,
    *damage.ROWS,
    *clocks.ROWS,
    *networks.ROWS,
    *brokers.ROWS,
    *backlog.ROWS,
    *soak.ROWS,
)
