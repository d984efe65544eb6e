"""Laggards: a backplane of a composite that is so far behind that its events take the room of the others' new ones.

Where a single backplane is away, new events are dropped when the room is full (`overflow`): there is nobody else to have
them. In a composite the others are well, and must not lose what they could have: so from half full on, long before new events are dropped, the one that
is behind gives up its oldest events, a quarter of what waits for it at a time. They are counted as dropped, for it and
for each variant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

from backplane_runtime.chain import Link

FROM = 0.5  # of the room
SHARE = 4  # what a laggard gives up at once: one part in so many of its backlog
FAR_BEHIND = 4  # times the backlog of the least of them


class Reading(Protocol):
    """A lane, as this module sees it."""

    @property
    def name(self) -> str:
        """Return the name of its backplane."""


L = TypeVar("L", bound=Reading)


def backlog(lane: Reading, links: Sequence[Link]) -> int:
    """Return how many events of *links* the lane has not settled."""
    return sum(link.log.end - link.readers[lane.name].position for link in links if lane.name in link.readers)


def given_up(lanes: Sequence[L], links: Sequence[Link]) -> Iterator[tuple[L, Link, int]]:
    """Yield each laggard with the log and the number before which it gives up its events there."""
    waiting = {lane.name: backlog(lane, links) for lane in lanes}
    least = min(waiting.values(), default=0)
    for lane in lanes:
        if waiting[lane.name] <= least * FAR_BEHIND + SHARE:
            continue
        for link in links:
            reader = link.readers.get(lane.name)
            if reader is not None and reader.position < link.log.end:
                left = link.log.end - reader.position
                yield lane, link, reader.position + min(left, max(1, waiting[lane.name] // SHARE))
                break
