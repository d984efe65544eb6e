"""Execution of a plan: exactly its steps, on exactly the world that it was made for.

Nothing is touched while any step is blocked, or any system is another one, or any resource has moved. Then the steps go in
order. What fails stops what depends on it; what does not depend on it is still done. Nothing is rolled back: a second `apply`
of the same plan, or of the document, continues where this one ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from backplane_compiler.apply_report import (
    ApplyReport,
    Event,
    Fate,
    OnEvent,
    StepDone,
    StepFailed,
    StepResult,
    StepStarted,
)
from backplane_compiler.infra.state import InfraState
from backplane_compiler.interruption import StopWish, stop_on_interrupt
from backplane_compiler.plan.change import Change
from backplane_compiler.plan.freshness import is_done, moved
from backplane_compiler.plan.order import waves
from backplane_compiler.plan.plan import Plan, Step, TargetPlan
from backplane_compiler.plan.values import escaped
from backplane_compiler.providers.api import Provider, ProviderError

OpenTarget = Callable[[TargetPlan], Provider]


class PlanBlockedError(Exception):
    """A plan with a step that cannot be done, or not without an acknowledgement; nothing was touched."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self.steps = steps
        count = "1 step is" if len(steps) == 1 else f"{len(steps)} steps are"
        super().__init__(
            f"{count} blocked, so nothing was applied: {', '.join(escaped(step.address) for step in steps)}"
        )


class StalePlanError(Exception):
    """A plan whose world has moved; `moved` says what, a line each. Nothing was touched."""

    def __init__(self, what: tuple[str, ...]) -> None:
        self.moved = tuple(map(escaped, what))
        super().__init__("the plan no longer fits, so nothing was applied: " + "; ".join(self.moved))


def _ignore(event: Event) -> None:
    """Take an event and do nothing."""


def _do_nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions:
    """How a plan is executed: who hears of it, and how many changes one call to a server holds at most.

    Ctrl-C stops between two calls, so `batch_size` is what a call does within a second; `on_stop` hears of it at once, in
    the signal handler.
    """

    on_event: OnEvent = _ignore
    on_stop: Callable[[], None] = _do_nothing
    batch_size: int = 50


def apply_plan(plan: Plan, open_target: OpenTarget, options: ApplyOptions | None = None) -> ApplyReport:
    """Execute *plan* on the systems that *open_target* opens, and return what became of each step.

    Ctrl-C lets the running call end, then stops; the report says what was done and what was not. Every provider that was
    opened is closed, whatever happens.

    Raises:
        PlanBlockedError: if a step is blocked; nothing was touched.
        StalePlanError: if a system is not the one that was planned for, or a resource has moved; nothing was touched.
        ProviderError: if a system cannot be asked; nothing was touched.
    """
    blocked = tuple(step for step in plan.steps() if step.open_obstacles(plan.allowed))
    if blocked:
        raise PlanBlockedError(blocked)
    options = options or ApplyOptions()
    with ExitStack() as stack:
        walks = [
            _Walk(target, stack.enter_context(closing(open_target(target))), options)
            for target in plan.targets
            if target.steps
        ]
        _refuse_moved_world(walks)
        with stop_on_interrupt(options.on_stop) as wish:
            for walk in walks:
                walk.run(wish)
        results = tuple(result for walk in walks for result in walk.results())
        interrupted = bool(wish) and any(result.fate is not Fate.DONE for result in results)
        return ApplyReport(results=results, interrupted=interrupted)


def _refuse_moved_world(walks: Iterable[_Walk]) -> None:
    what = tuple(line for walk in walks for line in walk.look())
    if what:
        raise StalePlanError(what)


@dataclass(slots=True)
class _Walk:
    """The steps of one server, on their way. `why_not` holds a reason for each address that is not to be done any more."""

    target: TargetPlan
    provider: Provider
    options: ApplyOptions
    fates: dict[str, Fate] = field(default_factory=dict)
    why_not: dict[str, str] = field(default_factory=dict)
    halted: str | None = None

    def look(self) -> Iterator[str]:
        """Yield what has moved since the plan was made; remember what is already done."""
        found = self.provider.identity()
        if found.key != self.target.identity:
            yield (
                f"{self.target.server.label} is another system ({found.description}) "
                f"than the one that was planned for ({self.target.description})"
            )
            return
        observed = self.provider.observe(InfraState.of(step.change.resource for step in self.target.steps))
        yield from moved(self.target, observed)
        live = observed.by_address()
        self.fates = {
            step.address: Fate.DONE for step in self.target.steps if is_done(step.change, live.get(step.address))
        }

    def run(self, wish: StopWish) -> None:
        """Do what is to be done, until *wish* says to stop or the server fails as a whole."""
        for group in waves(step.change for step in self.target.steps):
            ready = [change for change in group if change.address not in self.fates and self._may(change)]
            for batch in _batches(ready, self.options.batch_size):
                if wish or self.halted is not None:
                    self.halted = self.halted or "interrupted before it was begun"
                    return
                self._call(batch, wish)

    def results(self) -> Iterator[StepResult]:
        """Yield what became of each step, in the plan's order."""
        for step in self.target.steps:
            fate = self.fates.get(step.address, Fate.NOT_DONE)
            reason = None if fate is Fate.DONE else self.why_not.get(step.address, self.halted)
            yield StepResult(server=self.target.server, address=step.address, fate=fate, reason=reason)

    def _may(self, change: Change) -> bool:
        failed = next((address for address in change.resource.depends_on if address in self.why_not), None)
        if failed is not None:
            self.why_not[change.address] = f"needs {failed}, which was not done"
        return failed is None

    def _call(self, batch: Sequence[Change], wish: StopWish) -> None:
        steps = {step.address: step for step in self.target.steps}
        for change in batch:
            self.options.on_event(StepStarted(self.target.server, steps[change.address]))
        for address, error in self._failures(batch, wish).items():
            self.fates[address] = Fate.FAILED
            self.why_not[address] = str(error)
            self.options.on_event(StepFailed(self.target.server, steps[address], str(error), error.hint))
        for change in batch:
            if self.fates.setdefault(change.address, Fate.DONE) is Fate.DONE:
                self.options.on_event(StepDone(self.target.server, steps[change.address]))

    def _failures(self, batch: Sequence[Change], wish: StopWish) -> dict[str, ProviderError]:
        try:
            return dict(self.provider.apply(batch))
        except ProviderError as error:
            self.halted = f"not tried: {error}"
            return dict.fromkeys((change.address for change in batch), error)
        except KeyboardInterrupt:
            # The second Ctrl-C: the call is torn apart, so nobody knows what the server made of it.
            wish.ask()
            torn = ProviderError("interrupted in the middle of the call", "run `backplane plan` to see what was done")
            return dict.fromkeys((change.address for change in batch), torn)


def _batches(changes: Sequence[Change], size: int) -> Iterator[Sequence[Change]]:
    for start in range(0, len(changes), size):
        yield changes[start : start + size]
