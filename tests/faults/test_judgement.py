"""The judge of the fault matrix: every sentence of the law can be broken, and is then told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.faults.__main__ import summary
from tests.faults.judgement import Promise, judge
from tests.faults.orders import LastWords
from tests.faults.sinks import Arrival
from tests.faults.stage import Stage
from tests.faults.tally import ACCEPTED, ACKNOWLEDGED, ON_DISK, REFUSED

SIZE = 4
WORDS = LastWords(
    first=0,
    stop=SIZE,
    published=SIZE,
    recovered=0,
    accounted=SIZE,
    acknowledged=SIZE,
    duplicates=0,
    dropped=0,
    left=0,
)


class _Sink:
    """Holds what a test says."""

    def __init__(self, *, tells_repeats: bool) -> None:
        self.kind = "inMemory"
        self.options: dict[str, Any] = {}
        self.tells_repeats = tells_repeats
        self.there = [_arrival(number) for number in range(SIZE)]

    def arrivals(self) -> Iterator[Arrival]:
        """Yield it."""
        return iter(self.there)


class _Case:
    """All of four events were accepted, acknowledged, and are there; a test changes one thing."""

    def __init__(self, folder: Path, *, tells_repeats: bool = False) -> None:
        self.sink = _Sink(tells_repeats=tells_repeats)
        self.stage = Stage(folder, self.sink, SIZE)
        for number in range(SIZE):
            self.stage.tally.publish(number, ACCEPTED)

    def says(self, **changes: Any) -> None:
        """Let a program that ended in order say *WORDS* with *changes*."""
        with (self.stage.folder / "report").open("ab") as file:
            file.write(msgspec.json.encode(msgspec.structs.replace(WORDS, **changes)) + b"\n")

    def problems(self, promise: Promise | None = None) -> tuple[str, ...]:
        """Return what the judge says is wrong."""
        return judge(self.stage, promise or Promise()).problems


@pytest.fixture
def case(tmp_path: Path) -> _Case:
    """A case without a fault."""
    return _Case(tmp_path)


def _arrival(number: int, event_id: str | None = None) -> Arrival:
    return Arrival("e", number, event_id or f"id-{number}")


def test_nothing_is_wrong_where_all_is_there(case: _Case) -> None:
    """The starting point of the other tests."""
    case.says()
    assert case.problems() == ()


def test_a_lost_event_is_told(case: _Case) -> None:
    """Unless the promise allows it."""
    del case.sink.there[2]
    assert "1 lost" in case.problems()
    assert case.problems(Promise(loss=1)) == ()


@pytest.mark.parametrize(("said", "problem"), [(ACKNOWLEDGED, "acknowledged"), (ON_DISK, "said to be on disk")])
def test_what_a_receipt_said_and_is_not_there_is_told(case: _Case, said: int, problem: str) -> None:
    """Even where the promise allows a loss."""
    case.stage.tally.tell(2, said)
    del case.sink.there[2]
    assert any(problem in one for one in case.problems(Promise(loss=SIZE)))


def test_what_was_refused_and_is_there_is_told(case: _Case) -> None:
    """`publish` said that it was dropped."""
    case.stage.tally.publish(2, REFUSED)
    assert case.problems() == ("1 said to be dropped, and there",)


def test_what_nobody_published_and_is_there_is_told(tmp_path: Path) -> None:
    """But for the one of a thread that was killed before it could note it."""
    stage = Stage(tmp_path, _Sink(tells_repeats=False), SIZE)
    for number in range(SIZE - 1):
        stage.tally.publish(number, ACCEPTED)
    assert judge(stage, Promise()).problems == ("1 arrived, though publish had not returned for them",)
    stage.unfinished = 1
    assert judge(stage, Promise()).problems == ()


def test_an_event_that_is_there_twice_is_told(tmp_path: Path) -> None:
    """At a sink that can tell it is told even where repeats are allowed."""
    (tmp_path / "tells").mkdir()
    case, telling = _Case(tmp_path), _Case(tmp_path / "tells", tells_repeats=True)
    for one in (case, telling):
        one.sink.there.append(_arrival(1))
    assert case.problems() == ("1 twice",)
    assert case.problems(Promise(repeats=True)) == ()
    assert telling.problems(Promise(repeats=True)) == ("1 twice at a sink that can tell",)


def test_an_event_under_two_ids_is_told(case: _Case) -> None:
    """Nobody could tell that it is one."""
    case.sink.there.append(_arrival(1, "another"))
    assert case.problems(Promise(repeats=True)) == ("1 there under two ids",)


def test_a_wrong_order_is_told(case: _Case) -> None:
    """Unless nobody promised one."""
    case.sink.there.reverse()
    assert case.problems() == ("3 out of order",)
    assert case.problems(Promise(is_ordered=False)) == ()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"accounted": SIZE - 1}, "does not add up"),
        ({"published": SIZE + 1, "accounted": SIZE + 1}, "and the program counted 4"),
        ({"published": SIZE + 1, "accounted": SIZE + 1, "recovered": 1, "acknowledged": SIZE + 1}, "and 4 there"),
    ],
)
def test_a_ledger_that_is_wrong_is_told(case: _Case, changes: dict[str, int], problem: str) -> None:
    """Its sum, what it says was published, what it says was acknowledged."""
    case.says(**changes)
    assert any(problem in one for one in case.problems())


def test_a_loss_that_no_ledger_counted_is_told(case: _Case) -> None:
    """Where every program ended in order, one of them has it among the dropped."""
    del case.sink.there[2]
    case.says(acknowledged=SIZE - 1, left=1)
    assert case.problems(Promise(loss=1)) == ("1 lost and 0 refused, and 0 counted as dropped",)


def test_a_loss_that_a_ledger_counted_is_not_told(case: _Case) -> None:
    """It is among the dropped, beside one that `publish` refused."""
    case.stage.tally.publish(3, REFUSED)
    del case.sink.there[2:]
    case.says(acknowledged=SIZE - 2, dropped=2)
    assert case.problems(Promise(loss=1)) == ()


def test_a_program_that_did_not_publish_all_is_told(tmp_path: Path) -> None:
    """Else a row in which nothing is published would lose nothing."""
    sink = _Sink(tells_repeats=False)
    sink.kind, sink.there = "nothing is called so", []
    stage = Stage(tmp_path, sink, SIZE)
    stage.run(count=SIZE)
    assert judge(stage, Promise()).problems == ("a program ended with exit code 1 and published 0 of 4",)


def test_a_row_that_was_not_played_is_told() -> None:
    """Nobody is to think that it kept its promise."""
    assert summary(Counter(kept=2)) == "every promise was kept"
    assert summary(Counter(kept=2, skipped=1)) == "every promise was kept; 1 of 3 rows were skipped"
    assert summary(Counter(kept=2, broken=1)) == "1 of 3 rows broke a promise"
    assert summary(Counter(skipped=3)) == "nothing was played; 3 of 3 rows were skipped"
