"""Execution of plans on the in-memory twin: order, refusals, faults, interruption."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backplane_compiler.apply import ApplyOptions, PlanBlockedError, StalePlanError, apply_plan
from backplane_compiler.apply_report import ApplyReport, Event, Fate, StepDone, StepFailed, StepStarted
from backplane_compiler.infra.state import InfraState, Resource
from backplane_compiler.plan import (
    Acknowledgement,
    Change,
    Plan,
    PlanOptions,
    diff,
    plan_from_bytes,
    plan_to_bytes,
)
from backplane_compiler.providers.api import ProviderError
from backplane_compiler.providers.memory import MemorySystem
from backplane_compiler.providers.observe import observe_and_plan, open_target
from backplane_compiler.providers.registry import Registration, register_provider, unregister_provider
from backplane_runtime.settings import InMemory
from tests.compiler.plan.worlds import KINDS, LAW, states, target, thing


@dataclass
class World:
    """A system in memory, and the two calls that a command line makes."""

    system: MemorySystem = field(default_factory=MemorySystem)
    events: list[Event] = field(default_factory=list)

    def plan(self, wanted: InfraState) -> Plan:
        return observe_and_plan([target(*wanted.resources)], {}, PlanOptions(kinds=KINDS))

    def apply(self, plan: Plan, *, batch_size: int = 1) -> ApplyReport:
        options = ApplyOptions(on_event=self.events.append, batch_size=batch_size)
        return apply_plan(plan, lambda each: open_target(each, {}), options)


@contextmanager
def memory(state: InfraState | None = None) -> Iterator[World]:
    world = World(MemorySystem(state or InfraState()))
    register_provider("test", Registration(world.system.opener, InMemory))
    try:
        yield world
    finally:
        unregister_provider("test")
    assert world.system.open_providers == 0


@pytest.fixture
def world() -> Iterator[World]:
    with memory() as made:
        yield made


def everything(plan: Plan) -> Plan:
    """Acknowledge all that can be acknowledged."""
    return plan.with_allowed((kind, step.address) for step in plan.steps() for kind in Acknowledgement)


def chain(length: int) -> InfraState:
    """Return resources of which each needs the one before."""
    return InfraState.of(
        thing(f"{at:02}", {"partitions": at}, depends_on=(f"{at - 1:02}",) if at else ()) for at in range(length)
    )


def alone(length: int) -> InfraState:
    return InfraState.of(thing(f"{at:02}", {"partitions": at}) for at in range(length))


def failing(name: str, error: BaseException) -> Callable[[Change, int], None]:
    def hook(change: Change, number: int) -> None:
        del number
        if change.resource.name == name:
            raise error

    return hook


def fates(report: ApplyReport) -> dict[str, str]:
    return {result.address.removeprefix("test.thing."): result.fate.value for result in report.results}


def test_after_an_apply_the_plan_is_empty(world: World) -> None:
    report = world.apply(world.plan(chain(5)))
    assert report.succeeded
    assert world.plan(chain(5)).is_empty
    assert [type(event) for event in world.events] == [StepStarted, StepDone] * 5


@LAW
@given(states(live=True), states())
def test_after_any_apply_the_plan_is_empty(live: InfraState, wanted: InfraState) -> None:
    with memory(live) as world:
        plan = everything(world.plan(wanted))
        if plan.is_blocked:
            with pytest.raises(PlanBlockedError):
                world.apply(plan)
            assert world.system.state == live
        else:
            assert world.apply(plan).succeeded
            assert world.plan(wanted).is_empty


@LAW
@given(states(live=True), states(), st.integers(0, 4), st.booleans(), st.integers(1, 3))
def test_a_fault_anywhere_then_a_second_apply_gives_the_same_end(
    live: InfraState,
    wanted: InfraState,
    at: int,
    after: bool,  # noqa: FBT001 - drawn by Hypothesis
    batch_size: int,
) -> None:
    """The fault is a provider's death before or after the work of a step: as after SIGKILL, the plan is applied again."""

    def hook(change: Change, number: int) -> None:
        if number == at:
            raise RuntimeError(change.address)

    with memory(live) as world:
        plan = plan_from_bytes(plan_to_bytes(everything(world.plan(wanted))))
        if plan.is_blocked:
            return
        setattr(world.system, "after_change" if after else "before_change", hook)
        if len([*plan.steps()]) > at:
            with pytest.raises(RuntimeError):
                world.apply(plan, batch_size=batch_size)
        assert world.apply(plan, batch_size=batch_size).succeeded
        assert diff(world.system.state, wanted) == ()


def test_a_failure_stops_what_depends_on_it_and_nothing_else(world: World) -> None:
    wanted = InfraState.of([*chain(3).resources, thing("other", {})])
    world.system.before_change = failing("01", ProviderError("no quota left", "ask for more"))
    report = world.apply(world.plan(wanted), batch_size=10)
    assert fates(report) == {"00": "done", "01": "failed", "02": "notDone", "other": "done"}
    reasons = {result.address: result.reason for result in report.results}
    assert reasons["test.thing.01"] == "no quota left"
    assert reasons["test.thing.02"] == "needs test.thing.01, which was not done"
    (failure,) = (event for event in world.events if isinstance(event, StepFailed))
    assert (failure.reason, failure.hint) == ("no quota left", "ask for more")
    world.system.before_change = None
    assert world.apply(world.plan(wanted)).succeeded
    assert world.plan(wanted).is_empty


def test_a_server_that_is_lost_gets_no_further_calls(world: World) -> None:
    plan = world.plan(alone(4))
    provider_type = type(open_target(plan.targets[0], {}))
    world.system.open_providers -= 1
    calls: list[int] = []

    class Lost(provider_type):  # type: ignore[misc, valid-type]
        def apply(self, changes: Sequence[Change]) -> Mapping[str, ProviderError]:
            calls.append(len(changes))
            raise ProviderError("the connection was lost")

    def opener(*_: object) -> Lost:
        world.system.open_providers += 1
        return Lost(world.system)

    register_provider("test", Registration(opener, InMemory))
    report = world.apply(plan, batch_size=2)
    assert fates(report) == {"00": "failed", "01": "failed", "02": "notDone", "03": "notDone"}
    assert report.results[3].reason == "not tried: the connection was lost"
    assert calls == [2]


def test_independent_steps_are_handed_over_together(world: World) -> None:
    world.apply(world.plan(alone(5)), batch_size=3)
    assert [len(call) for call in world.system.calls] == [3, 2]


def test_a_blocked_step_blocks_all(world: World) -> None:
    world.system.state = InfraState.of([thing("x", {"partitions": 5})])
    plan = world.plan(InfraState.of([thing("x", {"partitions": 3}), thing("new", {})]))
    with pytest.raises(PlanBlockedError, match=r"1 step is blocked, so nothing was applied: test.thing.x"):
        world.apply(plan)
    assert world.system.calls == []


MOVES: list[tuple[Resource | None, str]] = [
    (thing("x", {"retention.ms": 2, "flush.ms": 9}), "test.thing.x is not as it was when the plan was made: flush.ms"),
    (thing("x", {"retention.ms": 7}), "test.thing.x is not as it was when the plan was made: retention.ms changed"),
    (None, "test.thing.x existed when the plan was made, and does not now"),
]


@pytest.mark.parametrize(("now", "said"), MOVES)
def test_a_resource_that_moved_is_refused_by_name(world: World, now: Resource | None, said: str) -> None:
    world.system.state = InfraState.of([thing("x", {"retention.ms": 2})])
    plan = world.plan(InfraState.of([thing("x", {"retention.ms": 3}), thing("new", {})]))
    world.system.state = InfraState.of([] if now is None else [now])
    with pytest.raises(StalePlanError) as caught:
        world.apply(plan)
    assert said in str(caught.value)
    assert world.system.calls == []


def test_a_resource_that_somebody_else_created_differently_is_refused(world: World) -> None:
    plan = world.plan(alone(2))
    world.system.state = InfraState.of([thing("01", {"partitions": 99})])
    with pytest.raises(StalePlanError, match=r"test\.thing\.01 did not exist when the plan was made, and exists now"):
        world.apply(plan)


def test_another_system_is_refused(world: World) -> None:
    plan = world.plan(alone(2))
    world.system.key = "production"
    with pytest.raises(StalePlanError, match="here is another system"):
        world.apply(plan)
    assert world.system.calls == []


def test_what_is_done_already_is_not_done_again(world: World) -> None:
    plan = world.plan(chain(3))
    assert world.apply(plan).succeeded
    assert world.apply(plan).succeeded
    assert len(world.system.calls) == 3


def test_control_c_finishes_the_running_call_and_then_stops(world: World) -> None:
    def press(change: Change, number: int) -> None:
        del change
        if number == 1:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    world.system.before_change = press
    report = world.apply(world.plan(alone(4)))
    assert report.interrupted
    assert fates(report) == {"00": "done", "01": "done", "02": "notDone", "03": "notDone"}
    assert report.with_fate(Fate.NOT_DONE)[0].reason == "interrupted before it was begun"
    assert signal.getsignal(signal.SIGINT) is before
    world.system.before_change = None
    assert world.apply(world.plan(alone(4))).succeeded
    assert world.plan(alone(4)).is_empty


def test_a_second_control_c_tears_the_call_apart_and_still_reports(world: World) -> None:
    def press_twice(change: Change, number: int) -> None:
        del change
        if number == 1:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    world.system.before_change = press_twice
    report = world.apply(world.plan(alone(3)))
    assert report.interrupted
    assert fates(report) == {"00": "done", "01": "failed", "02": "notDone"}


def test_control_c_in_the_last_step_interrupts_nothing(world: World) -> None:
    world.system.before_change = lambda *_: os.kill(os.getpid(), signal.SIGINT)
    report = world.apply(world.plan(alone(1)))
    assert report.succeeded
    assert not report.interrupted


def test_apply_works_outside_of_the_main_thread(world: World) -> None:
    reports: list[ApplyReport] = []
    thread = threading.Thread(target=lambda: reports.append(world.apply(world.plan(alone(2)))))
    thread.start()
    thread.join()
    assert reports[0].succeeded


def test_a_server_without_provider_is_blocked_and_not_asked() -> None:
    wanted = target(thing("q", {}), type_name="azureServiceBus")
    plan = observe_and_plan([wanted], {}, PlanOptions(kinds=KINDS))
    with pytest.raises(PlanBlockedError):
        apply_plan(plan, lambda each: open_target(each, {}))
    (step,) = plan.steps()
    assert "deploy servicebus/template.json" in step.obstacles[0].message
