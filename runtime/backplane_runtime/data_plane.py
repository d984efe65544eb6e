"""The data plane: what an application publishes to.

`publish` (`publishing`) decides, redacts, encodes and queues on the caller's thread, and returns. A writer's thread moves
what is queued to the log, threads of the lanes send it; all of them start with the first event (`delivery`). Nothing here
touches the network.

After a fork, the child starts anew: with an empty queue, counts at zero, a spool folder and connections of its own. What
was in the parent's memory is the parent's to deliver.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from backplane_runtime import health as health_check
from backplane_runtime import process
from backplane_runtime.assembly import assemble, assembly_of
from backplane_runtime.backplanes.api import Backplane
from backplane_runtime.backplanes.inherited import leak
from backplane_runtime.config import ConfigError, FrozenConfig, load_config
from backplane_runtime.health import Health
from backplane_runtime.ledger import LedgerView
from backplane_runtime.notices import Notices
from backplane_runtime.publishing import PublishError, Publishing
from backplane_runtime.settings import Composite, Plane, Settings

if TYPE_CHECKING:
    from backplane_runtime.ledger_signals import LedgerSignals

DEFAULT_TIMEOUT = 5.0  # seconds, of `flush` and `health`

P = ParamSpec("P")
T = TypeVar("T")

__all__ = ["DEFAULT_TIMEOUT", "DataPlane", "PublishError"]


class DataPlane(Publishing):
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
        assembly = assemble(settings) if isinstance(settings, FrozenConfig) else assembly_of(settings, plane or Plane())
        super().__init__(assembly, strict=strict)
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
        super()._connect()
        if self._assembly.plane.ledger_signals:
            from backplane_runtime.ledger_signals import LedgerSignals  # noqa: PLC0415 - few ask for it

            signals = LedgerSignals(self._assembly.catalog, first_use=self._admission.is_first_use)
            self._delivery.upkeep.on_minute = lambda: self._publish_signals(signals)

    def flush(self, timeout: float = DEFAULT_TIMEOUT) -> bool:
        """Send everything published so far now; say whether all of it was settled within *timeout* seconds."""
        if self._is_fresh:
            self._first_event()
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

    def _publish_signals(self, signals: LedgerSignals) -> None:
        rows = {(one.event_type, one.experiment, one.variant): one.counts for one in self.ledger().by_variant}
        for signal in signals.signals(rows):
            self.publish(signal)

    def _first_event(self) -> None:
        super()._first_event()
        if self._closed:
            return
        if process.is_ending():  # a hook of the application that runs after ours, or a finalizer
            self.begin_leaving()
            self.leave()
        else:
            process.hold(self)

    def hurry(self) -> None:
        """Have each event on disk before its `publish` returns; called by `process` when the process is told to end."""
        self._delivery.hurry()

    def save(self, timeout: float) -> None:
        """Put what is in memory on disk; called by `process` before a fork and when the process is told to end."""
        self._delivery.writer.save(timeout)

    def begin_leaving(self) -> None:
        """Save what is in memory and begin to send it; called by `process` when the process ends."""
        self._delivery.begin_leaving(self._assembly.plane.close_timeout_ms / 1000)

    def leave(self) -> None:
        """Do what `close` does, but go on to put on disk what comes afterwards; called by `process`."""
        self._delivery.close(self._assembly.plane.close_timeout_ms / 1000)
        process.release(self)

    def after_fork(self) -> None:
        """Start anew in a forked child; called by `process`, nobody else."""
        self._delivery.forget()
        if any(lane.worker.is_started for lane in self._delivery.lanes):  # what they hold open is the parent's
            leak(self._delivery)
        self._notices = Notices()
        self._admission.after_fork()
        self._connect()
        if self._closed:
            self._delivery.close(0)


async def _in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    import asyncio  # noqa: PLC0415 - slow to import, and who awaits has it already

    return await asyncio.to_thread(call, *args, **kwargs)
