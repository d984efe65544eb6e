"""The data plane: what an application publishes to.

`publish` decides (`admission`), redacts, encodes (`envelope`) and queues (`delivery`) on the caller's thread, and returns;
sending happens on threads of the lanes, which start with the first event. Nothing here touches the network.

After a fork, the child starts anew: with empty queues, counts at zero and connections of its own. What was in the
parent's memory is the parent's to deliver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import msgspec

from backplane_runtime import binding, defaults, exposing, process
from backplane_runtime import health as health_check
from backplane_runtime.admission import Admission
from backplane_runtime.assembly import assemble, assembly_of
from backplane_runtime.backplanes.api import Backplane
from backplane_runtime.config import ConfigError, FrozenConfig, load_config
from backplane_runtime.delivery import Delivery
from backplane_runtime.envelope import NO_CONTEXT, Context, InvalidEventError, canonical_timestamp, encode_record
from backplane_runtime.events import EVENTS, AnalysisSignal, Assignment, Error, Event, EventType, Exposure, Outcome
from backplane_runtime.health import Health
from backplane_runtime.lane import Lane
from backplane_runtime.ledger import Ledger, LedgerView, total
from backplane_runtime.notices import Notices
from backplane_runtime.settings import Composite, Plane, Settings
from backplane_runtime.status import Status

DEFAULT_TIMEOUT = 5.0  # seconds, of `flush` and `health`

P = ParamSpec("P")
T = TypeVar("T")

_PUBLISHABLE = tuple(EVENTS.values())


class PublishError(Exception):
    """An event was lost, and the data plane is strict."""


def _publishes(event: Callable[P, Event]) -> Callable[Concatenate[DataPlane, P], Status]:
    """Return a method that makes an *event* of its arguments and publishes it."""

    def shorthand(self: DataPlane, /, *args: P.args, **kwargs: P.kwargs) -> Status:
        return self.publish(event(*args, **kwargs))

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
        """Build what belongs to one process: counts, queues, backplanes. Opens nothing."""
        self._ledger = Ledger()
        lanes = [Lane(options, self._ledger, self._notices) for options in self._assembly.lanes]
        self._delivery = Delivery(
            lanes, self._ledger, self._notices, blocks=self._assembly.plane.failure_mode == "block"
        )
        self._is_fresh = True

    def publish(
        self,
        event: Event,
        *,
        correlation: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        automatic: bool = False,
    ) -> Status:
        """Send *event* on its way and say what became of it. Returns in microseconds, unless `failureMode: block`.

        Args:
            event: one of the five.
            correlation: id of what the event belongs to, such as a request.
            metadata: free data beside the payload; it is not redacted.
            automatic: the application did not ask for this event itself; under `exposureSemantics: explicit` it is not
                published.

        Raises:
            TypeError: if *event* is not an event. Whatever else goes wrong is counted and logged, and then, with
                `strict` only, raised as `InvalidEventError` or `PublishError`.
        """
        if not isinstance(event, _PUBLISHABLE) or event.event_type not in EVENTS:
            raise TypeError(f"publish takes an event such as `Exposure(…)`, not {type(event).__name__}")
        admitted = kept = False
        try:
            contextual = defaults.current()
            if contextual is not None:
                event, correlation, metadata = contextual.applied(event, correlation, metadata)
            refusal = self._admission.refusal(event, automatic=automatic)
            if refusal is not None:
                return self._ledger.count(event.event_type, refusal)
            admitted = True
            context = Context(correlation, metadata) if correlation is not None or metadata else NO_CONTEXT
            status = self._enqueue(event, context)
            kept = status is not Status.DROPPED
        except Exception as error:  # noqa: BLE001 - a request must not fail because its telemetry does
            return self._lose(event.event_type, error)
        finally:
            if admitted and not kept:
                self._admission.forget(event)
        if self._strict and not kept:
            raise PublishError("the event was dropped: the queue is full, or the data plane is closed")
        return status

    exposure = _publishes(Exposure)
    assignment = _publishes(Assignment)
    outcome = _publishes(Outcome)
    signal = _publishes(AnalysisSignal)
    error = _publishes(Error)

    bind = binding.bind
    exposes = exposing.exposes

    def lose(self, kind: EventType, error: Exception) -> Status:
        """Count an event of *kind* that could not even be made, and log why; for integrations. Raises where it is strict."""
        return self._lose(kind, error)

    @property
    def notices(self) -> Notices:
        """Return the log of bounded rate, for integrations."""
        return self._notices

    def flush(self, timeout: float = DEFAULT_TIMEOUT) -> bool:
        """Send everything published so far now; say whether all of it was settled within *timeout* seconds."""
        return self._delivery.flush(timeout)

    def health(self, timeout: float = DEFAULT_TIMEOUT) -> Health:
        """Ask every backplane, and answer within *timeout* seconds; works before the first event, and never raises."""
        return health_check.ask(self._delivery.lanes, timeout)

    def ledger(self) -> LedgerView:
        """Return the counts of every fate, all of one moment."""
        with self._ledger.lock:
            by_type = self._ledger.by_type()
            by_backplane = {lane.options.name: lane.counts() for lane in self._delivery.lanes}
        return LedgerView(total=total(by_type), by_type=by_type, by_backplane=by_backplane)

    def backplane(self, name: str) -> Backplane:
        """Return the backplane *name*, for tests that look at what it holds; it belongs to its delivery thread.

        Raises:
            KeyError: if there is none.
        """
        return {lane.options.name: lane.backplane for lane in self._delivery.lanes}[name]

    def close(self) -> None:
        """Send what is left for at most `closeTimeoutMs`, then let go; what is lost is counted and logged.

        A second call does nothing. Also happens when the interpreter exits. Events published afterwards are dropped.
        """
        self._closed = True
        self._delivery.close(self._assembly.plane.close_timeout_ms / 1000)
        process.release(self)

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

    def _enqueue(self, event: Event, context: Context) -> Status:
        if self._is_fresh:
            self._first_event()
        event = canonical_timestamp(event)
        rate = self._admission.rate_of(event)
        if rate < 1.0:
            context = msgspec.structs.replace(context, metadata={**(context.metadata or {}), "samplingRate": rate})
        body = self._redactor(event) if self._redactor else event
        return self._delivery.put(encode_record(event, body, context))

    def _lose(self, kind: EventType, error: Exception) -> Status:
        self._ledger.count(kind, Status.DROPPED)
        # The text of a foreign exception may quote the event; that of ours names a place in it.
        reason = str(error) if isinstance(error, InvalidEventError) else f"unexpected {type(error).__name__}"
        self._notices.warn("invalid", f"an event was dropped: {reason}")
        if self._strict:
            raise error
        return Status.DROPPED

    def _first_event(self) -> None:
        self._is_fresh = False
        if self._closed:
            return
        process.hold(self)
        plane = self._assembly.plane
        if plane.failure_mode == "spool" and plane.durability != "memory":
            process.say_memory_only()

    def after_fork(self) -> None:
        """Start anew in a forked child; called by `process`, nobody else."""
        if any(lane.is_started for lane in self._delivery.lanes):
            process.leak(self._delivery)
        self._notices = Notices()
        self._admission.after_fork()
        self._connect()
        if self._closed:
            self._delivery.close(0)


async def _in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    import asyncio  # noqa: PLC0415 - slow to import, and who awaits has it already

    return await asyncio.to_thread(call, *args, **kwargs)
