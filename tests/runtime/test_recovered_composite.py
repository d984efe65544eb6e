"""What an earlier process left for a composite is counted once, whichever lane reads it first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backplane_runtime import DataPlane, Exposure, Outcome
from backplane_runtime.backplanes.api import UnavailableError
from backplane_runtime.events import EventType
from backplane_runtime.settings import Composite, Member, Plane, Spool, Sqlite

ALL = tuple(EventType)


def opened(folder: Path, down: dict[str, bool], events: dict[str, Any]) -> DataPlane:
    members = tuple(
        Member(name=name, settings=Sqlite(path=str(folder / f"{name}.db")), events=events.get(name, ALL))
        for name in down
    )
    plane = DataPlane(
        Composite(backplanes=members),
        plane=Plane(flush_interval_ms=10, close_timeout_ms=500, spool=Spool(directory=str(folder / "spool"))),
    )
    for name, is_down in down.items():
        if is_down:

            def refuse(batch: Any) -> Any:
                raise UnavailableError("down")

            plane.backplane(name).send = refuse  # type: ignore[method-assign]
    return plane


def lawful(plane: DataPlane) -> None:
    view = plane.ledger()
    for counts in (view.total, *view.by_type.values(), *(one.counts for one in view.by_variant)):
        assert counts.published == counts.accounted, view
        assert min(getattr(counts, name) for name in counts.__struct_fields__) >= 0, view
    for one in view.by_backplane.values():
        assert min(getattr(one, name) for name in one.__struct_fields__) >= 0, view


def publish(plane: DataPlane, first: int, stop: int) -> None:
    for number in range(first, stop):
        plane.publish(Exposure("e", "v", subject=f"s{number}"))
        plane.publish(Outcome("e", subject=f"s{number}", metric="m"))


def test_members_that_take_different_types(tmp_path: Path) -> None:
    events = {"a": (EventType.EXPOSURE,), "b": (EventType.OUTCOME,)}
    with opened(tmp_path, {"a": True, "b": True}, events) as plane:
        publish(plane, 0, 1000)
    with opened(tmp_path, {"a": False, "b": False}, events) as plane:
        assert plane.flush(20)
        lawful(plane)
        total = plane.ledger().total
        assert (total.published, total.recovered, total.acknowledged, total.spooled) == (2000, 2000, 2000, 0)
        assert {name: (one.taken, one.in_flight) for name, one in plane.ledger().by_backplane.items()} == {
            "a": (1000, 0),
            "b": (1000, 0),
        }


@pytest.mark.parametrize("ahead", ["a", "b"])
@pytest.mark.parametrize("events", [{}, {"a": (EventType.EXPOSURE,)}, {"b": (EventType.EXPOSURE,)}])
def test_members_of_which_one_was_ahead(tmp_path: Path, ahead: str, events: dict[str, Any]) -> None:
    down = {name: name != ahead for name in "ab"}
    with opened(tmp_path, down, events) as plane:
        publish(plane, 0, 700)
        plane.flush(2)
        plane.backplane(ahead).send = plane.backplane("a" if ahead == "b" else "b").send  # type: ignore[method-assign]
        publish(plane, 700, 1500)
        plane.flush(1)
        before = plane.ledger().total
    with opened(tmp_path, {"a": False, "b": False}, events) as plane:
        assert plane.flush(20)
        lawful(plane)
        total = plane.ledger().total
        assert total.acknowledged == total.published == total.recovered == before.spooled + before.in_flight
        assert all(one.in_flight == 0 for one in plane.ledger().by_backplane.values())


def test_a_member_that_takes_less_now_still_gets_what_was_promised_to_it(tmp_path: Path) -> None:
    with opened(tmp_path, {"a": True}, {}) as plane:
        publish(plane, 0, 50)
    with opened(tmp_path, {"a": False}, {"a": (EventType.EXPOSURE,)}) as plane:
        assert plane.flush(20)
        lawful(plane)
        assert plane.ledger().total.acknowledged == 100
