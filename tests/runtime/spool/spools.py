"""What the tests of the spool share: destinations, events, a folder of a process that is dead."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backplane_runtime.spool import Destination, SpoolLog, SpoolOptions, SpoolReader, adopt

KAFKA = Destination(name="kafka", type="kafka", target="t1", events=("exposure", "outcome"))
SQL = Destination(name="sql", type="postgresql", target="t2")
ONE = SpoolOptions(destinations=(KAFKA,))
SMALL = SpoolOptions(destinations=(KAFKA,), segment_bytes=1000)


def lines(first: int, count: int, pad: int = 0) -> list[bytes]:
    """Return *count* events, each of which says its number."""
    return [b'{"number":%d,"pad":"%s"}' % (number, b"x" * pad) for number in range(first, first + count)]


def put(log: SpoolLog, count: int, pad: int = 0) -> None:
    """Append and commit *count* events, each of which says the number that it should get."""
    log.append(lines(log.appended, count, pad))
    log.commit()


def numbered(first: int, count: int, pad: int = 0) -> list[tuple[int, bytes]]:
    """Return what a reader gives for `lines`."""
    return list(enumerate(lines(first, count, pad), first))


def read_all(reader: SpoolReader, count: int = 100) -> list[tuple[int, bytes]]:
    """Read up to the end, and settle nothing."""
    events: list[tuple[int, bytes]] = []
    while batch := reader.read(count, 1 << 20):
        events += batch
    return events


def die(log: SpoolLog) -> Path:
    """Leave the folder as a process does that is killed."""
    log.forget()
    return log.path


def adopted(root: Path, *destinations: Destination) -> SpoolLog:
    """Take over the only folder that there is to take over."""
    (log,) = adopt(root, destinations or (KAFKA,))
    return log


def segments(path: Path) -> Sequence[Path]:
    """Return the segment files of a folder, oldest first."""
    return sorted(path.glob("*.seg"))
