"""Routes that no event takes: what is said about event types that are switched off, and members that get none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from backplane_compiler.diagnostics import Diagnostic
from backplane_compiler.model.model import Backplane, Model
from backplane_compiler.model.resolve import enabled_events, toggle_name
from backplane_compiler.rules.finding import at, is_written, place, warning
from backplane_compiler.schema.provisioning import ServiceBusProvisioning
from backplane_compiler.source import Path
from backplane_runtime.events import EventType

_BY_EVENT_TYPE: Final[tuple[Path, ...]] = (
    ("options", "topics"),
    ("options", "entities"),
    ("provisioning", "topics"),
    ("provisioning", "entities"),
)


def check(model: Model) -> Iterator[Diagnostic]:
    """Yield a warning for each route of a disabled event type, and for each backplane that no event reaches."""
    off = set(EventType) - set(enabled_events(model.plane))
    for backplane in model.backplanes:
        if not backplane.events:
            yield _no_events(model, backplane)
        for event_type in EventType:
            if event_type in off:
                for path in _routes(backplane, event_type):
                    if is_written(model, path):
                        yield _disabled(model, path, event_type)


def _routes(backplane: Backplane, event_type: EventType) -> Iterator[Path]:
    for section in _BY_EVENT_TYPE:
        yield (*backplane.path, *section, event_type.value)
    if isinstance(backplane.provisioning, ServiceBusProvisioning):
        for index, subscription in enumerate(backplane.provisioning.subscriptions):
            place: Path = (*backplane.path, "provisioning", "subscriptions", index)
            if subscription.topic is event_type:
                yield (*place, "topic")
            if subscription.filter is not None and subscription.filter.event_type is event_type:
                yield (*place, "filter", "eventType")


def _disabled(model: Model, path: Path, event_type: EventType) -> Diagnostic:
    message = f"this is for `{event_type}` events, and `{toggle_name(event_type)}: false` switches them off"
    span = model.span(at(model, path), key=path[-1] not in ("topic", "eventType"))
    return warning("route-disabled", message, span, hint="remove it, or switch them on")


def _no_events(model: Model, backplane: Backplane) -> Diagnostic:
    message = f"no event reaches the backplane `{backplane.name}`: every type that it takes is switched off"
    path: Path = (*backplane.path, "events")
    return warning("no-events", message, place(model, path), hint="give it other `events`, or remove it")
