"""What `apply` tells while it works, and what it says at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from backplane_compiler.infra.state import Server
from backplane_compiler.plan.plan import Step


class Fate(StrEnum):
    """What became of a step."""

    DONE = "done"
    FAILED = "failed"
    NOT_DONE = "notDone"


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step is handed to its server; several may be at once."""

    server: Server
    step: Step


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step is done, and seen by its server."""

    server: Server
    step: Step


@dataclass(frozen=True, slots=True)
class StepFailed:
    """A step is not done; `reason` is one line, `hint` one action."""

    server: Server
    step: Step
    reason: str
    hint: str | None = None


Event = StepStarted | StepDone | StepFailed
OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What became of one step, and why where it was not done."""

    server: Server
    address: str
    fate: Fate
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyReport:
    """Every step of the plan with its fate, in the plan's order; `interrupted` where somebody asked to stop."""

    results: tuple[StepResult, ...]
    interrupted: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether everything is done."""
        return all(result.fate is Fate.DONE for result in self.results)

    def with_fate(self, fate: Fate) -> tuple[StepResult, ...]:
        """Return the steps that *fate* befell."""
        return tuple(result for result in self.results if result.fate is fate)
