"""What `publish` costs its caller beside what people use instead, all measured by the same functions in one run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from backplane_runtime import DataPlane, Exposure
from backplane_runtime.settings import InMemory, PiiRedaction, Plane, Spool
from tests.benchmarks.loopback import running_sink
from tests.benchmarks.measuring import Call, Measured, measured
from tests.benchmarks.peers import EXPERIMENT, PEERS, REASON, VARIANT

# Printed, never enforced: machines differ. Beside a peer, how many times faster a plain `publish` is meant to be; else the
# seconds of CPU that our own call may take.
AIMS: Mapping[str, float] = {"OpenTelemetry logger": 8, "Segment": 17, "PostHog": 40}
OWN_AIMS: Mapping[str, float] = {"`publish` of a ready event": 1e-6, "the same, sampled, first use, pseudonyms": 2e-6}
_KEY = "BACKPLANE_BENCHMARK_KEY"


def ours() -> Iterator[Measured]:
    """Yield what our calls cost, the plain one first."""
    for name, prepare in _OURS.items():
        with prepare() as call:
            yield measured(name, call)


def theirs() -> Iterator[Measured]:
    """Yield what each peer's call costs."""
    with running_sink() as sink:
        for name, peer in PEERS.items():
            with peer(sink) as call:
                yield measured(name, call)


@contextmanager
def _ready_event() -> Iterator[Call]:
    with _plane() as plane:
        event = Exposure(EXPERIMENT, VARIANT, subject="user-42", reason=REASON)
        yield lambda _subject: plane.publish(event)


@contextmanager
def _shorthand() -> Iterator[Call]:
    with _plane() as plane:
        yield lambda subject: plane.exposure(EXPERIMENT, VARIANT, subject=subject, reason=REASON)


@contextmanager
def _with_everything() -> Iterator[Call]:
    os.environ[_KEY] = "a key of the benchmark alone"
    redaction = PiiRedaction(redact_subject_ids=True, mode="pseudonymize", key_ref=f"${{env:{_KEY}}}")
    # Nearly every subject is inside the sample, so that nearly every call goes the whole way.
    with _plane(sampling_rate=0.999, exposure_semantics="onFirstUse", pii_redaction=redaction) as plane:
        yield lambda subject: plane.exposure(EXPERIMENT, VARIANT, subject=subject, reason=REASON)


@contextmanager
def _plane(**options: object) -> Iterator[DataPlane]:
    """Give a data plane with the default durability, whose events are delivered to memory meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Plane(spool=Spool(directory=folder), **options)  # type: ignore[arg-type]  # checked when constructed
        with DataPlane(InMemory(capacity=10_000), plane=settings) as plane:
            yield plane
            if dropped := plane.ledger().total.dropped:
                raise RuntimeError(f"{dropped} events were dropped, so these figures are of another thing")


_OURS: Mapping[str, Callable[[], AbstractContextManager[Call]]] = {
    "`publish` of a ready event": _ready_event,
    "`plane.exposure(…)`": _shorthand,
    "the same, sampled, first use, pseudonyms": _with_everything,
}
