"""What a row found, held against what was promised.

The law: what is acknowledged is at the sink; what is published is the sum of its fates; what was said to be on disk arrives;
nothing arrives that nobody published, or that `publish` said was dropped; a sink that can tell has nothing twice; events of
one key arrive in the order of their publishing; and what a program lost that ended in order is among its dropped. A program
that nobody struck published all that it was to: where nothing is published, nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.faults.sinks import Arrival
from tests.faults.stage import Stage
from tests.faults.tally import ACCEPTED, ACKNOWLEDGED, NOTHING, REFUSED


@dataclass(frozen=True)
class Promise:
    """What holds for a row: at most `loss` events are lost, and `text` says it to people.

    `repeats`: events may arrive twice, under one id, at a sink that cannot tell. `is_ordered`: each stream in its order.
    `keeps_disk`: what was said to be on disk arrives, whatever happens.
    """

    text: str = "0"
    loss: int = 0
    repeats: bool = False
    is_ordered: bool = True
    keeps_disk: bool = True


@dataclass(frozen=True)
class Outcome:
    """The numbers of a row; `problems` are what broke the promise or the law, each in a line."""

    published: int
    dropped: int
    acknowledged: int | None
    found: int
    duplicates: int
    lost: int
    promise: str
    note: str = ""
    problems: tuple[str, ...] = ()

    def broken(self, problem: str) -> Outcome:
        """Return the same with one more problem."""
        return replace(self, problems=(*self.problems, problem))


class Arrivals:
    """What is at a sink, counted."""

    def __init__(self, arrivals: Iterator[Arrival], size: int) -> None:
        self.counts = bytearray(size)
        self.renamed = 0  # events that are there under two ids
        self.misplaced = 0  # events that arrived after a later one of their stream and experiment
        latest: dict[str, int] = {}
        ids: dict[int, int] = {}
        for experiment, number, event_id in arrivals:
            if self.counts[number]:
                self.renamed += ids[number] != hash(event_id)
            elif number < latest.get(experiment, -1):
                self.misplaced += 1
            ids[number] = hash(event_id)
            latest[experiment] = max(number, latest.get(experiment, -1))
            self.counts[number] = min(255, self.counts[number] + 1)


def judge(stage: Stage, promise: Promise, note: str = "") -> Outcome:
    """Return the numbers of what happened on *stage*, with all that is wrong."""
    there = Arrivals(stage.sink.arrivals(), stage.tally.size)
    published, told = stage.tally.published(), stage.tally.told()
    lost = sum(kind == ACCEPTED and not count for kind, count in zip(published, there.counts, strict=True))
    duplicates = sum(there.counts) - (len(there.counts) - there.counts.count(0))
    words = stage.last_words()
    problems = [
        *_of_fates(published, told, there, promise),
        *_of_programs(stage),
        *_of_ledgers(stage, sum(there.counts)),
        *_of_losses(stage, lost, published.count(REFUSED)),
        *_of_promise(promise, lost, duplicates, there),
    ]
    foreign = sum(kind == NOTHING and count > 0 for kind, count in zip(published, there.counts, strict=True))
    if foreign > stage.unfinished:
        problems.append(f"{foreign} arrived, though publish had not returned for them")
    if duplicates and stage.sink.tells_repeats:
        problems.append(f"{duplicates} twice at a sink that can tell")
    return Outcome(
        published=len(published) - published.count(NOTHING),
        dropped=published.count(REFUSED),
        acknowledged=sum(one.acknowledged for one in words) if words else None,
        found=len(there.counts) - there.counts.count(0),
        duplicates=duplicates,
        lost=lost,
        promise=promise.text,
        note=note,
        problems=tuple(problems),
    )


def _of_fates(published: bytes, told: bytes, there: Arrivals, promise: Promise) -> Iterator[str]:
    rows = list(zip(published, told, there.counts, strict=True))
    unkept = sum(said == ACKNOWLEDGED and not count for _, said, count in rows)
    if unkept:
        yield f"{unkept} acknowledged, and not there"
    unkept = sum(said > 0 and not count for _, said, count in rows)
    if unkept and promise.keeps_disk:
        yield f"{unkept} said to be on disk, and not there"
    undead = sum(kind == REFUSED and count > 0 for kind, _, count in rows)
    if undead:
        yield f"{undead} said to be dropped, and there"


def _of_programs(stage: Stage) -> Iterator[str]:
    for program in stage.programs:
        wanted, done = program.stop - program.orders.first, program.published()
        if done < wanted and not program.was_struck:
            yield f"a program ended with exit code {program.code} and published {done} of {wanted}"


def _of_losses(stage: Stage, lost: int, refused: int) -> Iterator[str]:
    words = stage.last_words()
    dropped = sum(one.dropped for one in words)
    if words and not stage.unfinished and lost + refused > dropped:
        yield f"{lost} lost and {refused} refused, and {dropped} counted as dropped"


def _of_ledgers(stage: Stage, found: int) -> Iterator[str]:
    words = stage.last_words()
    for one in words:
        if one.published != one.accounted:
            yield f"a ledger does not add up: {one}"
        counted = stage.tally.count(one.first, one.stop)
        if counted != one.published - one.recovered:
            yield f"a ledger has {one.published - one.recovered} published, and the program counted {counted}"
    stored = sum(one.acknowledged - one.duplicates for one in words)
    if stored > found:
        yield f"{stored} acknowledged, and {found} there"


def _of_promise(promise: Promise, lost: int, duplicates: int, there: Arrivals) -> Iterator[str]:
    if lost > promise.loss:
        yield f"{lost} lost"
    if there.renamed:
        yield f"{there.renamed} there under two ids"
    if duplicates and not promise.repeats:
        yield f"{duplicates} twice"
    if there.misplaced and promise.is_ordered:
        yield f"{there.misplaced} out of order"
