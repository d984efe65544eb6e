"""The twin of a live system, in memory: what tests plan against and apply to, with faults on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from backplane_compiler.infra.state import InfraState
from backplane_compiler.plan.change import Change
from backplane_compiler.plan.diff import apply_changes
from backplane_compiler.providers.api import Identity, Provider, ProviderError
from backplane_runtime.settings import Settings


@dataclass(slots=True)
class MemorySystem:
    """What lives: its state outlasts the providers that are opened on it.

    `before_change` and `after_change` are called with each change, and the number of changes begun before; what they
    raise is what happens. A `ProviderError` fails that one change, anything else ends the provider's call at once.
    """

    state: InfraState = field(default_factory=InfraState)
    key: str = "memory"
    before_change: Callable[[Change, int], None] | None = None
    after_change: Callable[[Change, int], None] | None = None
    begun: int = 0
    calls: list[tuple[str, ...]] = field(default_factory=list)
    open_providers: int = 0

    def opener(self, settings: Settings, environment: Mapping[str, str]) -> Provider:
        """Open a provider on this system; there is nothing in *settings* or *environment* that it needs."""
        del settings, environment
        self.open_providers += 1
        return MemoryProvider(self)


class MemoryProvider:
    """A provider on a `MemorySystem`."""

    def __init__(self, system: MemorySystem) -> None:
        self._system = system
        self._closed = False

    def identity(self) -> Identity:
        """Say which system this is."""
        return Identity(self._system.key, "in memory")

    def observe(self, desired: InfraState) -> InfraState:
        """Return what is live of the resources that *desired* names."""
        names = desired.by_address()
        return InfraState.of(resource for resource in self._system.state.resources if resource.address in names)

    def apply(self, changes: Sequence[Change]) -> Mapping[str, ProviderError]:
        """Bring *changes* about, one after the other."""
        self._system.calls.append(tuple(change.address for change in changes))
        failed: dict[str, ProviderError] = {}
        for change in changes:
            try:
                self._apply(change)
            except ProviderError as error:
                failed[change.address] = error
        return failed

    def close(self) -> None:
        """Let the system forget this provider."""
        if not self._closed:
            self._closed = True
            self._system.open_providers -= 1

    def _apply(self, change: Change) -> None:
        system = self._system
        number = system.begun
        system.begun += 1
        if system.before_change is not None:
            system.before_change(change, number)
        system.state = apply_changes([change], system.state)
        if system.after_change is not None:
            system.after_change(change, number)
