"""What stands in the way of a change."""

from __future__ import annotations

import pytest

from backplane_compiler.diagnostics.codes import is_registered
from backplane_compiler.infra.state import InfraState, Value
from backplane_compiler.plan import Acknowledgement, Delete, Observation, Obstacle, PlanOptions, build_plan
from backplane_compiler.plan.plan import parse_acknowledgement
from backplane_compiler.plan.risks import obstacles
from tests.compiler.plan.worlds import KINDS, target, thing

ORDERING, DATA_LOSS = Acknowledgement.ORDERING, Acknowledgement.DATA_LOSS


def found(name: str, before: Value, after: Value, *, keyed: bool = False) -> tuple[Obstacle, ...]:
    live, wanted = thing("x", {name: before}), thing("x", {name: after}, keyed=keyed)
    seen = Observation(target=target(wanted), identity="id", description="", state=InfraState.of([live]))
    (step,) = build_plan([seen], PlanOptions(kinds=KINDS)).steps()
    return step.obstacles


@pytest.mark.parametrize(
    ("name", "before", "after", "codes"),
    [
        ("partitions", 6, 3, ["plan-decrease"]),
        ("partitions", 3, 6, []),
        ("replicationFactor", 3, 2, ["plan-not-yet"]),
        ("replicationFactor", ("1", "3"), 3, ["plan-not-yet"]),
        ("sessions", False, True, ["plan-replace"]),
        ("retention.ms", 2, 1, ["plan-data-loss"]),
        ("retention.ms", -1, 1, ["plan-data-loss"]),
        ("retention.ms", 1, -1, []),
        ("retention.ms", 1, 2, []),
        ("cleanup.policy", ("compact",), ("delete",), ["plan-data-loss"]),
        ("max.message.bytes", 2, 1, []),
        ("flush.ms", 2, 1, []),
    ],
)
def test_the_table_of_the_kind_decides(name: str, before: Value, after: Value, codes: list[str]) -> None:
    assert [obstacle.code for obstacle in found(name, before, after)] == codes


def test_more_partitions_put_order_at_risk_where_records_have_keys() -> None:
    (obstacle,) = found("partitions", 3, 6, keyed=True)
    assert (obstacle.code, obstacle.needs) == ("plan-ordering", ORDERING)


def test_a_step_is_free_when_all_of_its_obstacles_are_acknowledged() -> None:
    live = InfraState.of([thing("x", {"partitions": 3, "retention.ms": 2})])
    wanted = thing("x", {"partitions": 6, "retention.ms": 1}, keyed=True)
    seen = Observation(target=target(wanted), identity="id", description="", state=live)
    plan = build_plan([seen], PlanOptions(kinds=KINDS))
    assert plan.is_blocked
    assert plan.with_allowed([(ORDERING, "test.thing.x")]).is_blocked
    assert plan.with_allowed([(ORDERING, "test.thing.x"), (DATA_LOSS, "test.thing.y")]).is_blocked
    free = plan.with_allowed([(ORDERING, "test.thing.x"), (DATA_LOSS, "test.thing.x")])
    assert not free.is_blocked
    assert free.unused_acknowledgements == ()
    typo = (DATA_LOSS, "test.thing.y")
    assert free.with_allowed([typo]).unused_acknowledgements == (typo,)


def test_what_cannot_be_done_is_freed_by_no_acknowledgement() -> None:
    live, wanted = InfraState.of([thing("x", {"partitions": 6})]), thing("x", {"partitions": 3})
    seen = Observation(target=target(wanted), identity="id", description="", state=live)
    everything = frozenset((kind, "test.thing.x") for kind in Acknowledgement)
    assert build_plan([seen], PlanOptions(kinds=KINDS, allowed=everything)).is_blocked


def test_a_deletion_needs_a_word() -> None:
    (obstacle,) = obstacles(Delete(thing("x", {})), KINDS)
    assert obstacle.needs is DATA_LOSS


def test_an_acknowledgement_names_a_kind_and_an_address() -> None:
    assert parse_acknowledgement("ordering:kafka.topic.a:b") == (ORDERING, "kafka.topic.a:b")
    for wrong in ("", "ordering", "ordering:", "all:kafka.topic.a", ":x"):
        with pytest.raises(ValueError, match="data-loss, ordering, replace, downtime, unmanaged"):
            parse_acknowledgement(wrong)


@pytest.mark.parametrize("code", ["decrease", "not-yet", "replace", "no-provider", "ordering", "data-loss"])
def test_every_obstacle_has_a_page(code: str) -> None:
    assert is_registered(f"plan-{code}")
