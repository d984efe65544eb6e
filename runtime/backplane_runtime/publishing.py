"""Publishing: the way of an event from the caller to the queue.

Most events need no decision: their type is published as it is, and the fields are what they should be. For these,
`publish` is one check, one encoding and one append (`plain`). Everything else takes the careful way, which says what is
wrong. Neither raises, but where the data plane is strict, and neither waits, but under `failureMode: block`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any, Literal, overload

import msgspec

from backplane_runtime import binding, exposing
from backplane_runtime.admission import Admission
from backplane_runtime.assembly import Assembly
from backplane_runtime.defaults import current
from backplane_runtime.delivery import Delivery
from backplane_runtime.envelope import (
    NO_CONTEXT,
    Context,
    Draft,
    InvalidEventError,
    canonical_timestamp,
    draft,
    encode,
    subject_of,
)
from backplane_runtime.events import (
    EVENTS,
    VERSION_ATTRIBUTE,
    AnalysisSignal,
    Assignment,
    Error,
    Event,
    EventType,
    Exposure,
    Outcome,
    is_event,
)
from backplane_runtime.ledger import Key, Ledger
from backplane_runtime.notices import Notices
from backplane_runtime.plain import Way, quick_ways
from backplane_runtime.publisher import publishes
from backplane_runtime.receipts import Receipt
from backplane_runtime.status import Status

_SHORT = 128  # characters of a correlation that is encoded at once


class PublishError(Exception):
    """An event was lost, and the data plane is strict."""


class Publishing:
    """The half of a data plane that takes events; `DataPlane` adds its life."""

    def __init__(self, assembly: Assembly, *, strict: bool) -> None:
        self._assembly = assembly
        self._strict = strict
        self._closed = False
        self._notices = Notices()
        self._redactor = assembly.redactor
        self._admission = Admission(assembly.plane, assembly.taken)
        self._ways = {} if strict else quick_ways(self._admission, assembly.redactor)
        self._connect()

    def _connect(self) -> None:
        """Build what belongs to one process: counts, queue, backplanes. Opens nothing."""
        self._ledger = Ledger()
        self._delivery = Delivery(self._assembly, self._ledger, self._notices)
        self._writer = self._delivery.writer
        self._queue = self._writer.queue
        self._is_fresh = True

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
        """Send *event* on its way and say what became of it. Returns in microseconds, unless `failureMode: block`.

        Args:
            event: one of the five.
            correlation: id of what the event belongs to, such as a request.
            metadata: free data beside the payload; it is not redacted.
            automatic: the application did not ask for this event itself; under `exposureSemantics: explicit` it is not
                published.
            receipt: return a `Receipt`, which tells later that the event is on disk, and that it was acknowledged.

        Whatever is wrong with the arguments is counted and logged, with the caller's line; with `strict` it is also raised.

        Raises:
            TypeError: with `strict` only, if *event* is not an event.
            InvalidEventError: with `strict` only, if no consumer could read it.
            PublishError: with `strict` only, if there is no room for it, or the data plane is closed.
        """
        made: Draft | Status | None = None
        foreign = None
        try:
            contextual = current()
            if contextual is not None:
                event, correlation, metadata = contextual.applied(event, correlation, metadata)
            way = self._ways.get(event.__class__)
            if way is not None and metadata is None and not receipt:
                made = way(event) if correlation is None else self._correlated(way, event, correlation)
        except Exception as error:  # noqa: BLE001 - the careful way meets it again, unless a signal handler raised it
            foreign = error
        if made.__class__ is Draft:
            delivery = self._delivery
            if len(self._queue) < delivery.limit and len(made.payload) + len(made.context) <= delivery.largest:
                self._queue.append(made)
                if self._writer.is_asleep:
                    self._writer.wake()
                return Status.QUEUED
            return self._put(event, made)
        if isinstance(made, Status):
            return self._ledger.count(_key(event), made)
        context = Context(correlation, metadata) if correlation is not None or metadata is not None else NO_CONTEXT
        return self._look_twice(event, context, automatic, Receipt(self._notices) if receipt else None, foreign)

    exposure = publishes(Exposure)
    assignment = publishes(Assignment)
    outcome = publishes(Outcome)
    signal = publishes(AnalysisSignal)
    error = publishes(Error)

    bind = binding.bind
    exposes = exposing.exposes

    def lose(self, kind: EventType, error: Exception) -> Status:
        """Count an event of *kind* that could not even be made, and log why; for integrations. Raises where it is strict."""
        return self._lose((kind, "", None), error)

    @property
    def notices(self) -> Notices:
        """Return the log of bounded rate, for integrations."""
        return self._notices

    def _correlated(self, way: Way, event: Event, correlation: str) -> Draft | Status | None:
        """Take the quick way with a correlation, where nothing else stands beside the payload."""
        if correlation.__class__ is not str or len(correlation) > _SHORT or not correlation.isascii():
            return None  # long, or perhaps what cannot be encoded
        if self._admission.keeps is not None:
            return None
        beside = b',"correlationId":' + encode(correlation)
        made = way(event)
        if isinstance(made, Draft):
            made.context = beside
        return made

    def _look_twice(
        self,
        event: Event,
        context: Context,
        automatic: bool,  # noqa: FBT001 - as `publish` was given it
        receipt: Receipt | None,
        foreign: Exception | None,
    ) -> Status | Receipt:
        """Publish *event* the careful way; *foreign* is what the quick one met, and whose it is shows now."""
        status = self._publish(event, context, automatic, receipt)
        if foreign is not None and status is not Status.DROPPED:
            raise foreign  # a signal handler's
        if receipt is None:
            return status
        receipt.status = status
        return receipt

    def _publish(self, event: Event, context: Context, automatic: bool, receipt: Receipt | None) -> Status:  # noqa: FBT001
        """Publish *event* the careful way."""
        if not is_event(event) or event.event_type not in EVENTS:
            reason = f"publish takes an event such as `Exposure(…)`, not {type(event).__name__}"
            return self._end(receipt, self.refuse(None, reason))
        admitted = False
        try:
            refusal = self._admission.refusal(event, automatic=automatic)
            if refusal is not None:
                return self._end(receipt, self._ledger.count(_key(event), refusal))
            admitted = True
            return self._put(event, self._draft(event, context, receipt))
        except PublishError:
            raise
        except Exception as error:  # noqa: BLE001 - a request must not fail because its telemetry does
            if admitted:
                self._admission.forget(event)
            return self._end(receipt, self._lose(_key(event), error))

    def _draft(self, event: Event, context: Context, receipt: Receipt | None) -> Draft:
        event = canonical_timestamp(event)
        rate = self._admission.rate_of(event)
        if rate < 1.0:
            context = msgspec.structs.replace(context, metadata={**(context.metadata or {}), "samplingRate": rate})
        made = draft(event, self._redactor(event) if self._redactor else event, context)
        if isinstance(event, Exposure) and self._admission.is_first_use:
            made.identity = self._identity(event, made)
        made.receipt = receipt
        return made

    def _identity(self, event: Exposure, made: Draft) -> Exposure | None:
        """Return what makes the first use of a variant the same event, whoever saw it and however often."""
        if self._redactor is not None and self._redactor.hides_subjects:
            return None  # all subjects look alike
        subject, tenant = subject_of(made)
        version = {VERSION_ATTRIBUTE: event.version}
        return Exposure(made.experiment, made.variant or "", subject=subject or "", tenant=tenant, attributes=version)

    def _put(self, event: Event, made: Draft) -> Status:
        """Find room for *made*; where there is none, its event was not seen."""
        if self._is_fresh:
            self._first_event()
        kept = False
        try:
            status = self._delivery.put(made, event.subject)
            kept = status is not Status.DROPPED
        finally:
            if not kept:
                self._admission.forget(event)
        if self._strict and not kept:
            raise PublishError("the event was dropped: the queue is full, or the data plane is closed")
        return status

    def _end(self, receipt: Receipt | None, status: Status) -> Status:
        if receipt is not None:
            receipt.end(status)
        return status

    def _lose(self, key: Key, error: Exception) -> Status:
        self._ledger.count(key, Status.DROPPED)
        # The text of a foreign exception may quote the event; that of ours names a place in it.
        reason = str(error) if isinstance(error, InvalidEventError) else f"unexpected {type(error).__name__}"
        self._notices.warn("invalid", f"an event was dropped: {reason}{_called_from()}")
        if self._strict:
            raise error
        return Status.DROPPED

    def refuse(self, kind: EventType | None, reason: str) -> Status:
        """Count and log a call whose arguments make no event; raise TypeError where it is strict."""
        self._ledger.count((kind, "", None), Status.DROPPED)
        self._notices.warn("arguments", f"an event was dropped: {reason}{_called_from()}")
        if self._strict:
            raise TypeError(reason)
        return Status.DROPPED

    def _first_event(self) -> None:
        self._is_fresh = False


def _key(event: Event) -> Key:
    """Return the row of the ledger for *event*, whose fields may be anything."""
    return event.event_type, _plain(event.experiment) or "", _plain(event.variant)


def _plain(name: object) -> str | None:
    """Return *name* as a text that can be counted and written as JSON; nothing where it is none."""
    if name.__class__ is str and name.isascii():  # nearly all are
        return name
    if not isinstance(name, str):
        return None
    return str.__str__(name).encode("utf-8", "replace").decode()


def _called_from() -> str:
    """Return the line of the application that called us; nothing where that is our own command line."""
    frame = sys._getframe(1)  # noqa: SLF001 - `inspect` costs 10 ms to import, and does the same
    while frame.f_back is not None and _module_of(frame).startswith("backplane_runtime"):
        frame = frame.f_back
    if _module_of(frame).startswith("backplane_compiler"):
        return ""
    return f" ({frame.f_code.co_filename}:{frame.f_lineno})"


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))  # which may be anything where `exec` runs the code
