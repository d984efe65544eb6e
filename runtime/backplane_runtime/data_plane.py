"""The data plane: what an application publishes to.

`publish` decides (`admission`), redacts, encodes (`envelope`) and queues, on the caller's thread, and returns. A writer's
thread moves what is queued to the log, threads of the lanes send it; all of them start with the first event (`delivery`).
Nothing here touches the network.

Most events need no decision: their type is published as it is, and the fields are what they should be. For these,
`publish` is one check, one encoding and one append. Everything else takes the careful way, which says what is wrong.

After a fork, the child starts anew: with an empty queue, counts at zero, a spool folder and connections of its own. What
was in the parent's memory is the parent's to deliver.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, Self, TypeVar, overload

import msgspec

from backplane_runtime import binding, exposing, process
from backplane_runtime import health as health_check
from backplane_runtime.admission import Admission, exposure_key
from backplane_runtime.assembly import assemble, assembly_of
from backplane_runtime.backplanes.api import Backplane
from backplane_runtime.config import ConfigError, FrozenConfig, load_config
from backplane_runtime.defaults import current
from backplane_runtime.delivery import Delivery
from backplane_runtime.envelope import (
    NO_CONTEXT,
    Context,
    Draft,
    Identity,
    InvalidEventError,
    canonical_timestamp,
    draft,
    encode,
    subject_of,
)
from backplane_runtime.events import EVENTS, AnalysisSignal, Assignment, Error, Event, EventType, Exposure, Outcome
from backplane_runtime.health import Health
from backplane_runtime.ledger import Key, Ledger, LedgerView
from backplane_runtime.notices import Notices
from backplane_runtime.plain import Way, quick_ways
from backplane_runtime.receipts import Receipt
from backplane_runtime.settings import Composite, Plane, Settings
from backplane_runtime.status import Status

if TYPE_CHECKING:
    from backplane_runtime.ledger_signals import LedgerSignals

DEFAULT_TIMEOUT = 5.0  # seconds, of `flush` and `health`

P = ParamSpec("P")
T = TypeVar("T")

_PUBLISHABLE = tuple(EVENTS.values())


class PublishError(Exception):
    """An event was lost, and the data plane is strict."""


def _publishes(event: Callable[P, Event]) -> Callable[Concatenate[DataPlane, P], Status]:
    """Return a method that makes an *event* of its arguments and publishes it."""

    def shorthand(self: DataPlane, /, *args: P.args, **kwargs: P.kwargs) -> Status:
        try:
            made = event(*args, **kwargs)
        except TypeError as error:  # an argument is missing, or there is none of that name
            return self._refuse(event.event_type, str(error))  # type: ignore[attr-defined]  # one of the five classes
        return self.publish(made)

    shorthand.__doc__ = f"Publish `{getattr(event, '__name__', 'event')}(…)`; see its fields, and `publish`."
    return shorthand


class DataPlane:
    """Publishes experiment events; all methods are safe to call from many threads.

    Args:
        settings: of one backplane, or a `Composite` of several, or a frozen config that holds all of it.
        plane: options that hold for every backplane; a frozen config has its own.
        strict: raise where an event is lost; for tests.

    Raises:
        ConfigError: if a backplane is unknown or not installed, or the redaction cannot be done.
    """

    def __init__(
        self, settings: Settings | Composite | FrozenConfig, *, plane: Plane | None = None, strict: bool = False
    ) -> None:
        self._assembly = (
            assemble(settings) if isinstance(settings, FrozenConfig) else assembly_of(settings, plane or Plane())
        )
        self._strict = strict
        self._closed = False
        self._notices = Notices()
        self._redactor = self._assembly.redactor
        self._admission = Admission(self._assembly.plane, self._assembly.taken)
        self._ways = {} if strict else quick_ways(self._admission, self._assembly.redactor)
        self._connect()
        process.register(self)

    @classmethod
    def open(cls, path: str | Path, *, strict: bool = False) -> Self:
        """Return a data plane for the frozen config at *path*. No network and no thread yet.

        Raises:
            ConfigError: if the file cannot be used; the text says why and what to do.
        """
        config = load_config(path)
        try:
            return cls(config, strict=strict)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    def _connect(self) -> None:
        """Build what belongs to one process: counts, queue, backplanes. Opens nothing."""
        self._ledger = Ledger()
        self._delivery = Delivery(self._assembly, self._ledger, self._notices)
        self._writer = self._delivery.writer
        self._queue = self._writer.queue
        self._is_fresh = True
        if self._assembly.plane.ledger_signals:
            from backplane_runtime.ledger_signals import LedgerSignals  # noqa: PLC0415 - few ask for it

            signals = LedgerSignals(self._assembly.catalog, first_use=self._admission.is_first_use)
            self._delivery.on_minute = lambda: self._publish_signals(signals)

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
            if len(self._queue) < delivery.limit and len(made.payload) <= delivery.largest:
                self._queue.append(made)
                if self._writer.is_asleep:
                    self._writer.wake()
                return Status.QUEUED
            return self._put(event, made)
        if isinstance(made, Status):
            return self._ledger.count(_key(event), made)
        context = Context(correlation, metadata) if correlation is not None or metadata else NO_CONTEXT
        return self._look_twice(event, context, automatic, Receipt() if receipt else None, foreign)

    exposure = _publishes(Exposure)
    assignment = _publishes(Assignment)
    outcome = _publishes(Outcome)
    signal = _publishes(AnalysisSignal)
    error = _publishes(Error)

    bind = binding.bind
    exposes = exposing.exposes

    def lose(self, kind: EventType, error: Exception) -> Status:
        """Count an event of *kind* that could not even be made, and log why; for integrations. Raises where it is strict."""
        return self._lose((kind, "", None), error)

    @property
    def notices(self) -> Notices:
        """Return the log of bounded rate, for integrations."""
        return self._notices

    def flush(self, timeout: float = DEFAULT_TIMEOUT) -> bool:
        """Send everything published so far now; say whether all of it was settled within *timeout* seconds."""
        return self._delivery.flush(timeout)

    def health(self, timeout: float = DEFAULT_TIMEOUT) -> Health:
        """Ask every backplane, and answer within *timeout* seconds; works before the first event, and never raises."""
        return health_check.ask(self._delivery, timeout)

    def ledger(self) -> LedgerView:
        """Return the counts of every fate, all of one moment."""
        return self._delivery.view()

    def backplane(self, name: str) -> Backplane:
        """Return the backplane *name*, for tests that look at what it holds; it belongs to its delivery thread.

        Raises:
            KeyError: if there is none.
        """
        return {lane.options.name: lane.backplane for lane in self._delivery.lanes}[name]

    def close(self) -> None:
        """Put what is in memory on disk, send for at most `closeTimeoutMs`, then let go.

        What is on disk then is delivered by the next data plane; what is lost, where there is no spool, is counted and
        logged. A second call does nothing. Also happens when the interpreter exits. Events published afterwards are dropped.
        """
        self._closed = True
        self._delivery.close(self._assembly.plane.close_timeout_ms / 1000)
        process.release(self)

    def start(self) -> None:
        """Begin delivery now rather than with the first event: what an earlier process left is delivered.

        Not before a fork: the threads stay in the parent.
        """
        self._first_event()
        self._delivery.start()

    async def aflush(self, timeout: float = DEFAULT_TIMEOUT) -> bool:  # noqa: ASYNC109 - the twin of `flush`
        """Do what `flush` does without blocking the event loop."""
        return await _in_thread(self.flush, timeout)

    async def ahealth(self, timeout: float = DEFAULT_TIMEOUT) -> Health:  # noqa: ASYNC109 - the twin of `health`
        """Do what `health` does without blocking the event loop."""
        return await _in_thread(self.health, timeout)

    async def aclose(self) -> None:
        """Do what `close` does without blocking the event loop."""
        await _in_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _correlated(self, way: Way, event: Event, correlation: str) -> Draft | Status | None:
        """Take the quick way with a correlation, where nothing else stands beside the payload."""
        if correlation.__class__ is not str or self._admission.sampler is not None:
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
        if not isinstance(event, _PUBLISHABLE) or event.event_type not in EVENTS:
            return self._refuse(None, f"publish takes an event such as `Exposure(…)`, not {type(event).__name__}")
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

    def _identity(self, event: Exposure, made: Draft) -> Identity | None:
        """Return what makes the first use of a variant the same event, whoever saw it and however often."""
        if self._redactor is not None and self._redactor.hides_subjects:
            return None  # all subjects look alike
        subject, tenant = subject_of(made)
        return (made.experiment, exposure_key(event)[1], made.variant, subject, tenant)

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

    def _publish_signals(self, signals: LedgerSignals) -> None:
        rows = {(one.event_type, one.experiment, one.variant): one.counts for one in self.ledger().by_variant}
        for signal in signals.signals(rows):
            self.publish(signal)

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

    def _refuse(self, kind: EventType | None, reason: str) -> Status:
        """Count and log a call whose arguments make no event."""
        self._ledger.count((kind, "", None), Status.DROPPED)
        self._notices.warn("arguments", f"an event was dropped: {reason}{_called_from()}")
        if self._strict:
            raise TypeError(reason)
        return Status.DROPPED

    def _first_event(self) -> None:
        self._is_fresh = False
        if not self._closed:
            process.hold(self)

    def save(self) -> None:
        """Put what is in memory on disk, within milliseconds; called by `process` when the process is told to end."""
        self._delivery.save()

    def after_fork(self) -> None:
        """Start anew in a forked child; called by `process`, nobody else."""
        self._delivery.forget()
        if any(lane.is_started for lane in self._delivery.lanes):
            process.leak(self._delivery)
        self._notices = Notices()
        self._admission.after_fork()
        self._connect()
        if self._closed:
            self._delivery.close(0)


def _key(event: Event) -> Key:
    """Return the row of the ledger for *event*, whose fields may be anything."""
    experiment: object = event.experiment
    variant: object = event.variant
    return (
        event.event_type,
        experiment if isinstance(experiment, str) else "",
        variant if isinstance(variant, str) else None,
    )


def _called_from() -> str:
    """Return the line of the application that called us; nothing where that is our own command line."""
    frame = sys._getframe(1)  # noqa: SLF001 - `inspect` costs 10 ms to import, and does the same
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("backplane_runtime"):
        frame = frame.f_back
    if frame.f_globals.get("__name__", "").startswith("backplane_compiler"):
        return ""
    return f" ({frame.f_code.co_filename}:{frame.f_lineno})"


async def _in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    import asyncio  # noqa: PLC0415 - slow to import, and who awaits has it already

    return await asyncio.to_thread(call, *args, **kwargs)
