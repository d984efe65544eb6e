"""What an application says once instead of at every call: defaults of a bound data plane, and of a context.

    with context(tenant="acme", correlation=request.id):
        plane.exposure("checkout-button", "blue", subject="user-42")

A value is looked for in this order: what the call or the event itself says, what `bind` said, what the innermost
`context` said, what the contexts around it said. `None` means "not said". Metadata is merged key by key in that order.

A context is kept in a context variable (PEP 567): each asyncio task has its own, a task inherits that of its maker, and
`asyncio.to_thread` hands it on. A new `threading.Thread`, and what `run_in_executor` runs, start without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import msgspec

from backplane_runtime.events import Event, EventType, is_event

Metadata = Mapping[str, Any]
Correlation = str | Callable[[], str | None]


class Defaults(msgspec.Struct, frozen=True):
    """What applies where an event and its call do not say it themselves."""

    tenant: str | None = None
    correlation: Correlation | None = None
    metadata: Metadata | None = None
    subject: str | None = None

    def with_inner(self, inner: Defaults) -> Defaults:
        """Return both as one; what *inner* says wins."""
        return Defaults(
            self.tenant if inner.tenant is None else inner.tenant,
            self.correlation if inner.correlation is None else inner.correlation,
            merged(self.metadata, inner.metadata),
            self.subject if inner.subject is None else inner.subject,
        )

    def filled(self, event: Event) -> Event:
        """Return *event* with tenant and subject where it can have them and does not; what is no event, as it is."""
        if not is_event(event):
            return event
        changes: dict[str, str] = {}
        kind = event.event_type
        if self.tenant is not None and kind is not EventType.ANALYSIS_SIGNAL and event.tenant is None:
            changes["tenant"] = self.tenant
        if self.subject is not None and kind is EventType.ERROR and event.subject is None:
            changes["subject"] = self.subject  # the other kinds cannot be made without one
        return msgspec.structs.replace(event, **changes) if changes else event

    def applied(
        self, event: Event, correlation: str | None, metadata: Metadata | None
    ) -> tuple[Event, str | None, Metadata | None]:
        """Return an event and what a call said beside it, completed; a correlation that is a function is not called."""
        if correlation is None and not callable(self.correlation):
            correlation = self.correlation
        return self.filled(event), correlation, merged(self.metadata, metadata)


NO_DEFAULTS = Defaults()

_current: ContextVar[Defaults | None] = ContextVar("backplane_defaults", default=None)

# The one call that `publish` makes where no context is used.
current: Callable[[], Defaults | None] = _current.get


@contextmanager
def context(
    *, tenant: str | None = None, correlation: str | None = None, metadata: Metadata | None = None
) -> Iterator[None]:
    """Give what is published inside of the `with` block, to any data plane, these defaults.

    Args:
        tenant: of events that can have one and do not say it.
        correlation: id of what the events belong to, such as a request or a trace.
        metadata: free data beside the payload; it is copied, and it is not redacted.

    Raises:
        TypeError: if *metadata* is not a mapping, or *correlation* is a function (`bind` takes one).
        RuntimeError: at the end of the block, if it is left in another task or thread than it was entered in, as
            happens when enter and exit stand on two sides of the `yield` of a generator that a framework runs.
    """
    if callable(correlation):
        raise TypeError("`context` takes the correlation itself; a function that returns it is for `plane.bind(…)`")
    given = Defaults(tenant, correlation, copied(metadata))
    token = _current.set((_current.get() or NO_DEFAULTS).with_inner(given))
    try:
        yield
    finally:
        _reset(token)


def copied(metadata: Metadata | None) -> Metadata | None:
    """Return a copy, so that what the caller changes later changes nothing here.

    Raises:
        TypeError: if *metadata* is not a mapping.
    """
    if metadata is None:
        return None
    if not isinstance(metadata, Mapping):
        raise TypeError(f"metadata is a mapping such as {{'service': 'shop'}}, not {type(metadata).__name__}")
    return dict(metadata)


def merged(outer: Metadata | None, inner: Metadata | None) -> Metadata | None:
    """Return the keys of both; *inner* wins. What is no mapping is handed on, for `publish` to refuse and count."""
    if not outer or not isinstance(inner, Mapping):
        return outer if inner is None else inner
    return {**outer, **inner}


def _reset(token: Any) -> None:
    try:
        _current.reset(token)
    except ValueError:
        raise RuntimeError(
            "`context(…)` was left in another task or thread than it was entered in; enter and leave it in one function"
        ) from None
