"""What holds for all states: the algebra of diff and apply, order, and the plan file."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backplane_compiler.infra.state import InfraState
from backplane_compiler.plan import (
    Acknowledgement,
    Observation,
    Plan,
    PlanFormatError,
    PlanOptions,
    apply_changes,
    build_plan,
    diff,
    drift_lines,
    explain_plan,
    plan_from_bytes,
    plan_text,
    plan_to_bytes,
)
from backplane_compiler.plan.freshness import moved
from backplane_runtime.config import digest_of
from tests.compiler.plan.worlds import KINDS, LAW, states, target, thing


def planned(live: InfraState, wanted: InfraState) -> Plan:
    seen = Observation(target=target(*wanted.resources), identity="id", description="a system", state=live)
    return build_plan([seen], PlanOptions(kinds=KINDS, document_digest="sha256:0"))


@LAW
@given(states(live=True), states())
def test_applying_the_difference_leaves_none(live: InfraState, wanted: InfraState) -> None:
    after = apply_changes(diff(live, wanted), live)
    assert diff(after, wanted) == ()


@LAW
@given(states(live=True), states())
def test_what_the_document_does_not_name_is_left_alone(live: InfraState, wanted: InfraState) -> None:
    named = wanted.by_address()
    after = apply_changes(diff(live, wanted), live).by_address()
    for resource in live.resources:
        now = after[resource.address].properties
        asked = named[resource.address].properties if resource.address in named else {}
        for name, item in resource.properties.items():
            assert name in asked or now[name] == item


@LAW
@given(states(live=True))
def test_a_state_does_not_differ_from_itself(state: InfraState) -> None:
    assert diff(state, state) == ()
    assert planned(state, state).is_empty


@LAW
@given(states(live=True), states(), st.randoms(use_true_random=False))
def test_the_order_of_resources_does_not_matter(live: InfraState, wanted: InfraState, chance: random.Random) -> None:
    shuffled = [*wanted.resources]
    chance.shuffle(shuffled)
    assert plan_to_bytes(planned(live, wanted)) == plan_to_bytes(planned(live, InfraState.of(shuffled)))


@LAW
@given(states(live=True), states())
def test_steps_come_after_what_they_need(live: InfraState, wanted: InfraState) -> None:
    done: set[str] = set()
    steps = [*planned(live, wanted).steps()]
    planned_addresses = {step.address for step in steps}
    for step in steps:
        assert planned_addresses.intersection(step.change.resource.depends_on) <= done
        done.add(step.address)


@LAW
@given(states(live=True), states(), st.sets(st.sampled_from(Acknowledgement)))
def test_a_plan_is_the_same_after_a_file(live: InfraState, wanted: InfraState, kinds: set[Acknowledgement]) -> None:
    plan = planned(live, wanted).with_allowed((kind, "test.thing.1") for kind in kinds)
    raw = plan_to_bytes(plan)
    again = plan_from_bytes(raw)
    assert again == plan
    assert plan_to_bytes(again) == raw
    assert [step.change.resource.traits for step in again.steps()] == [
        step.change.resource.traits for step in plan.steps()
    ]
    for render in (plan_text, explain_plan):
        assert render(again, KINDS) == render(plan, KINDS)
    assert [*drift_lines(again, KINDS)] == [*drift_lines(plan, KINDS)]


@LAW
@given(states(live=True), states(), st.data())
def test_a_world_on_its_way_has_not_moved(live: InfraState, wanted: InfraState, data: st.DataObject) -> None:
    """An apply that was interrupted after any of its steps can be continued with the same plan."""
    plan = planned(live, wanted)
    changes = [step.change for step in plan.steps()]
    done = data.draw(st.integers(0, len(changes)))
    assert [*moved(plan.targets[0], apply_changes(changes[:done], live))] == []


def test_a_step_that_was_half_done_has_not_moved() -> None:
    """A step may be several calls to its server; each value is either as it was or as it will be."""
    live = InfraState.of([thing("x", {"partitions": 3, "retention.ms": 1, "flush.ms": 5})])
    plan = planned(live, InfraState.of([thing("x", {"partitions": 6, "retention.ms": 2, "max.message.bytes": 7})]))
    for values, has_moved in [
        ({"partitions": 6, "retention.ms": 1, "flush.ms": 5}, False),
        ({"partitions": 3, "retention.ms": 2, "flush.ms": 5, "max.message.bytes": 7}, False),
        ({"partitions": 4, "retention.ms": 1, "flush.ms": 5}, True),
        ({"partitions": 6, "retention.ms": 1, "flush.ms": 6}, True),
        ({"partitions": 6, "retention.ms": 1}, True),
    ]:
        assert bool([*moved(plan.targets[0], InfraState.of([thing("x", values)]))]) == has_moved, values


def test_true_is_not_one() -> None:
    yes, one = InfraState.of([thing("x", {"sessions": True})]), InfraState.of([thing("x", {"sessions": 1})])
    assert diff(yes, one)
    assert diff(one, yes)


@LAW
@given(states(live=True), states(), states(live=True))
def test_another_world_has_moved(live: InfraState, wanted: InfraState, other: InfraState) -> None:
    """Where nothing is said to have moved, the plan's steps have the effect that was planned."""
    plan = planned(live, wanted)
    if not [*moved(plan.targets[0], other)]:
        changes = [step.change for step in plan.steps()]
        assert diff(apply_changes(changes, other), InfraState.of(change.resource for change in changes)) == ()


def change_at(plain: object, *path: str | int, value: object) -> bytes:
    place = plain
    for key in path[:-1]:
        place = place[key]  # type: ignore[index]
    place[path[-1]] = value  # type: ignore[index]
    return json.dumps(plain).encode()


EMPTY = json.loads(plan_to_bytes(planned(InfraState(), InfraState())))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\xff", "p.json: is not JSON"),
        (b"[" * 100_000, "p.json: is not JSON"),
        (b"[]", "p.json: is not a plan"),
        (b'{"format": "experiment-backplane/runtime"}', "p.json: is not a plan"),
        (json.dumps({**EMPTY, "version": 2}).encode(), "is of version 2, and this program reads version 1"),
        (json.dumps({**EMPTY, "more": 1}).encode(), "unknown field `more`"),
        (json.dumps({**EMPTY, "documentDigest": "sha256:1"}).encode(), "was changed after it was made"),
        (change_at(json.loads(json.dumps(EMPTY)), "targets", 0, "type", value=7), "$.targets[0].type"),
        (change_at(json.loads(json.dumps(EMPTY)), "targets", 0, "type", value="\ud800"), "surrogates not allowed"),
        (
            change_at(json.loads(json.dumps(EMPTY)), "targets", 0, "connection", value={"x": math.inf}),
            "not JSON compliant",
        ),
        (json.dumps({**EMPTY, "version": "\x1b[2J"}).encode(), r"is of version \x1b[2J, and"),
    ],
)
def test_what_is_no_usable_plan_is_refused_with_its_place(raw: bytes, said: str) -> None:
    with pytest.raises(PlanFormatError) as caught:
        plan_from_bytes(raw, name="p.json")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def signed(plain: dict[str, Any]) -> bytes:
    return json.dumps({**plain, "digest": digest_of(plain)}).encode()


def test_a_plan_that_somebody_signed_anew_is_still_read_with_care() -> None:
    """The digest keeps out accidents, not intent: steps that contradict themselves are refused with their place."""
    wanted = InfraState.of([thing("x", {"partitions": 1}), thing("y", {})])
    made = json.loads(plan_to_bytes(planned(InfraState(), wanted)))
    steps = made["targets"][0]["steps"]
    steps[0]["address"] = "test.thing.z"
    with pytest.raises(PlanFormatError, match=r"\$\.targets\[0\]\.steps\[0\]: its address is not that of"):
        plan_from_bytes(signed(made))
    steps[0] = steps[1]
    with pytest.raises(PlanFormatError, match=r"\$\.targets\[0\]: two steps have one address"):
        plan_from_bytes(signed(made))


def test_a_kind_that_this_version_does_not_know_is_shown() -> None:
    made = json.loads(plan_to_bytes(planned(InfraState(), InfraState.of([thing("x", {"partitions": 1})]))))
    made["targets"][0]["steps"][0]["after"]["kind"] = "test.else"
    plan = plan_from_bytes(signed(made))
    for text in (plan_text(plan, KINDS), explain_plan(plan, KINDS), "".join(drift_lines(plan, KINDS))):
        assert "test.thing.x" in text
