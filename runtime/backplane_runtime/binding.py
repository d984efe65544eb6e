"""Bound data planes: the same `publish` and shorthands, with what all events of one place have in common said once.

    shop = plane.bind(tenant="acme", metadata={"service": "shop"})
    user = shop.bind(subject="user-42", correlation="request-7")
    user.exposure("checkout-button", "blue")

A bound plane is immutable and holds nothing but its defaults: make one for a module or for a request, and use it from any
thread or task. What a call says itself wins, and metadata is merged; see `defaults`. To close, flush and count is left to
the data plane itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Unpack, overload

from backplane_runtime.defaults import Correlation, Defaults, Metadata, copied
from backplane_runtime.events import AnalysisSignal, Assignment, Error, Event, EventType, Exposure, Outcome
from backplane_runtime.exposing import exposes
from backplane_runtime.fields import AssignmentFields, ExposureFields, OutcomeFields
from backplane_runtime.notices import Notices
from backplane_runtime.publisher import Publisher, publishes, refuses_calls
from backplane_runtime.receipts import Receipt
from backplane_runtime.status import Status


@overload
def bind(
    plane: SubjectPlane,
    *,
    tenant: str | None = None,
    correlation: Correlation | None = None,
    metadata: Metadata | None = None,
    subject: str | None = None,
) -> SubjectPlane: ...


@overload
def bind(
    plane: Publisher,
    *,
    subject: str,
    tenant: str | None = None,
    correlation: Correlation | None = None,
    metadata: Metadata | None = None,
) -> SubjectPlane: ...


@overload
def bind(
    plane: Publisher,
    *,
    tenant: str | None = None,
    correlation: Correlation | None = None,
    metadata: Metadata | None = None,
) -> BoundPlane: ...


def bind(
    plane: Publisher,
    *,
    tenant: str | None = None,
    correlation: Correlation | None = None,
    metadata: Metadata | None = None,
    subject: str | None = None,
) -> BoundPlane:
    """Return *plane* with defaults; with a *subject*, its shorthands can be called without one.

    Args:
        plane: a data plane, or a bound one, whose defaults hold where these say nothing.
        tenant: of events that can have one and do not say it.
        correlation: id of what the events belong to; or a function that is called at each `publish` and returns it, such
            as the id of the current trace, or `None`. Where it raises, that is logged and the event goes without.
        metadata: free data beside the payload; it is copied, and it is not redacted.
        subject: of events that do not say it.

    Raises:
        TypeError: if *metadata* is not a mapping.
    """
    given = Defaults(tenant, correlation, copied(metadata), subject)
    if isinstance(plane, BoundPlane):
        return plane._with(given)  # noqa: SLF001 - of this module
    return _bound(plane, given)


def _bound(plane: Publisher, defaults: Defaults) -> BoundPlane:
    return BoundPlane(plane, defaults) if defaults.subject is None else SubjectPlane(plane, defaults)


class BoundPlane:
    """A data plane with defaults; `bind` makes it."""

    __slots__ = ("_defaults", "_plane")

    def __init__(self, plane: Publisher, defaults: Defaults) -> None:
        self._plane = plane
        self._defaults = defaults

    @overload
    def publish(
        self,
        event: Event,
        *,
        correlation: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        automatic: bool = False,
        receipt: Literal[False] = False,
    ) -> Status: ...

    @overload
    def publish(
        self,
        event: Event,
        *,
        correlation: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        automatic: bool = False,
        receipt: Literal[True],
    ) -> Receipt: ...

    def publish(
        self,
        event: Event,
        *,
        correlation: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        automatic: bool = False,
        receipt: bool = False,
    ) -> Status | Receipt:
        """Do what `DataPlane.publish` does, with the defaults of this plane."""
        foreign = None
        try:
            event, correlation, metadata = self._completed(event, correlation, metadata)
        except Exception as error:  # noqa: BLE001 - the plane meets it again, unless a signal handler raised it
            foreign = error
        answer: Status | Receipt
        if receipt:
            answer = self._plane.publish(
                event, correlation=correlation, metadata=metadata, automatic=automatic, receipt=True
            )
        else:
            answer = self._plane.publish(event, correlation=correlation, metadata=metadata, automatic=automatic)
        if foreign is not None and (answer.status if isinstance(answer, Receipt) else answer) is not Status.DROPPED:
            raise foreign
        return answer

    exposure = publishes(Exposure)
    assignment = publishes(Assignment)
    outcome = publishes(Outcome)
    signal = publishes(AnalysisSignal)
    error = publishes(Error)

    bind = bind
    exposes = exposes

    def lose(self, kind: EventType, error: Exception) -> Status:
        """Do what `DataPlane.lose` does."""
        return self._plane.lose(kind, error)

    def refuse(self, kind: EventType | None, reason: str) -> Status:
        """Do what `DataPlane.refuse` does."""
        return self._plane.refuse(kind, reason)

    @property
    def notices(self) -> Notices:
        """Return the log of the data plane."""
        return self._plane.notices

    def _completed(
        self, event: Event, correlation: str | None, metadata: Metadata | None
    ) -> tuple[Event, str | None, Metadata | None]:
        defaults = self._defaults
        if correlation is None and callable(defaults.correlation):
            correlation = self._correlation(defaults.correlation)
        return defaults.applied(event, correlation, metadata)

    def _correlation(self, given: Callable[[], str | None]) -> str | None:
        try:
            return given()
        except Exception as error:  # noqa: BLE001 - the event matters more than what it belongs to
            # Without its text and its trace: they are the application's own, and may hold an identifier.
            self.notices.warn("correlation", f"events go without correlation: it raised {type(error).__name__}")
            return None

    def _with(self, inner: Defaults) -> BoundPlane:
        return _bound(self._plane, self._defaults.with_inner(inner))


class SubjectPlane(BoundPlane):
    """A data plane bound to one subject: the shorthands can be called without it."""

    __slots__ = ()

    @refuses_calls(EventType.EXPOSURE)
    def exposure(self, experiment: str, variant: str, **fields: Unpack[ExposureFields]) -> Status:
        """Publish `Exposure(…)` with the defaults of this plane."""
        fields.setdefault("subject", self._subject)
        return super().exposure(experiment, variant, **fields)

    @refuses_calls(EventType.ASSIGNMENT)
    def assignment(self, experiment: str, previous: str, new: str, **fields: Unpack[AssignmentFields]) -> Status:
        """Publish `Assignment(…)` with the defaults of this plane."""
        fields.setdefault("subject", self._subject)
        return super().assignment(experiment, previous, new, **fields)

    @refuses_calls(EventType.OUTCOME)
    def outcome(self, experiment: str, *, metric: str, **fields: Unpack[OutcomeFields]) -> Status:
        """Publish `Outcome(…)` with the defaults of this plane."""
        fields.setdefault("subject", self._subject)
        return super().outcome(experiment, metric=metric, **fields)

    @property
    def _subject(self) -> str:
        return self._defaults.subject or ""
