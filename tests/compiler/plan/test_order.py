"""Order by dependencies."""

from __future__ import annotations

import pytest

from backplane_compiler.plan import Create, Delete, DependencyCycleError
from backplane_compiler.plan.order import in_order, waves
from tests.compiler.plan.worlds import thing


def names(groups: object) -> list[list[str]]:
    return [[change.resource.name for change in group] for group in groups]  # type: ignore[attr-defined]


def test_what_is_needed_comes_first_and_the_rest_by_address() -> None:
    changes = [
        Create(thing("a", {}, depends_on=("z",))),
        Create(thing("z", {})),
        Create(thing("m", {}, depends_on=("elsewhere",))),
    ]
    assert names(waves(changes)) == [["m", "z"], ["a"]]


def test_deletions_go_the_other_way() -> None:
    changes = [Delete(thing("table", {})), Delete(thing("index", {}, depends_on=("table",)))]
    assert [change.resource.name for change in in_order(changes)] == ["index", "table"]


def test_a_cycle_is_named_in_order() -> None:
    changes = [
        Create(thing("a", {}, depends_on=("b",))),
        Create(thing("b", {}, depends_on=("c",))),
        Create(thing("c", {}, depends_on=("a",))),
    ]
    with pytest.raises(DependencyCycleError) as caught:
        waves(changes)
    said = str(caught.value)
    assert said.startswith("these need each other: ")
    assert said.count("->") == 3
    assert "test.thing.a -> test.thing.b" in said
