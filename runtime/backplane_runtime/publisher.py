"""What a binding, a decorator or an integration needs of a data plane, bound or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from backplane_runtime.events import Event, EventType
from backplane_runtime.notices import Notices
from backplane_runtime.status import Status


class Publisher(Protocol):
    """Something to publish to."""

    def publish(
        self,
        event: Event,
        *,
        correlation: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        automatic: bool = False,
    ) -> Status:
        """Send *event* on its way; see `DataPlane.publish`."""

    def lose(self, kind: EventType, error: Exception) -> Status:
        """Count an event of *kind* that could not even be made, and log why; raise *error* where the plane is strict."""

    @property
    def notices(self) -> Notices:
        """Return the plane's log of bounded rate."""
