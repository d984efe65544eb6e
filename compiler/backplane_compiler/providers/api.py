"""What the plan engine asks of a live system; one module per family implements it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from backplane_compiler.infra.state import InfraState
from backplane_compiler.plan.change import Change
from backplane_compiler.plan.values import escaped
from backplane_runtime.settings import Settings


class ProviderError(Exception):
    """A live system that cannot be read or changed: one line that names the cause, and a hint with one action.

    The text quotes names and what servers say; whatever would break the line or move the cursor is escaped.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(escaped(message))
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers: `key` never changes for one system (a plan is bound to it), `description` is for people."""

    key: str
    description: str


class Provider(Protocol):
    """A live system. Every method may raise `ProviderError`, within 10 seconds where nobody answers."""

    def identity(self) -> Identity:
        """Say which system this is."""

    def observe(self, desired: InfraState) -> InfraState:
        """Return what is live of the resources that *desired* names; what does not exist is left out.

        Properties that the server fills in have the origin `DEFAULT`. Asks the system a bounded number of times,
        whatever the number of resources.
        """

    def apply(self, changes: Sequence[Change]) -> Mapping[str, ProviderError]:
        """Bring *changes* about, which do not depend on each other; return what failed, by address.

        When it returns, `observe` sees what was done. To repeat a change that is already done is no error. Several
        changes are handed over at once so that a server that takes them together is asked once.

        Raises:
            ProviderError: where nothing more can be expected of this system; which changes were done is then unknown.
        """

    def close(self) -> None:
        """Let go of connections; safe twice, and before any other call."""


# Takes the settings with their references, and the environment that these are resolved in at the moment of use.
Opener = Callable[[Settings, Mapping[str, str]], Provider]
