"""What `publish` costs its caller beside what people use instead, all measured by the same functions in one run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from backplane_runtime import DataPlane, Exposure
from backplane_runtime.settings import InMemory, PiiRedaction, Plane, Spool
from tests.benchmarks.loopback import running_sink
from tests.benchmarks.measuring import Call, Measured, measured
from tests.benchmarks.peers import EXPERIMENT, PEERS, REASON, VARIANT

EVERYTHING = ", sampled, first use, pseudonyms"

# Printed, never enforced: machines differ. Beside a peer, how many times faster a plain `publish` is meant to be; else the
# seconds of CPU that our own call may take.
AIMS: Mapping[str, float] = {"OpenTelemetry logger": 8, "Segment": 17, "PostHog": 40}
OWN_AIMS: Mapping[str, float] = {"`publish`": 1e-6, f"`publish`{EVERYTHING}": 2e-6}
_KEY = "BACKPLANE_BENCHMARK_KEY"


def ours() -> Iterator[Measured]:
    """Yield what our calls cost, the plain one first: `publish` of an event, and the shorthand, which makes it, too."""
    for suffix, options in (("", _plain), (EVERYTHING, _everything)):
        with _plane(**options()) as plane:
            yield measured(f"`publish`{suffix}", plane.publish, _event)
        with _plane(**options()) as plane:
            yield measured(f"`plane.exposure(…)`{suffix}", _shorthand(plane))
    with _plane(**_everything()) as plane:
        yield measured(f"`publish`{EVERYTHING}; four experiments a subject", plane.publish, _one_of_four)


def theirs() -> Iterator[Measured]:
    """Yield what each peer's call costs."""
    with running_sink() as sink:
        for name, peer in PEERS.items():
            with peer(sink) as call:
                yield measured(name, call)


def _event(subject: str) -> Exposure:
    return Exposure(EXPERIMENT, VARIANT, subject=subject, reason=REASON)


def _one_of_four(subject: str) -> Exposure:
    name, _, number = subject.rpartition("-")
    whose, which = divmod(int(number), 4)
    return Exposure(f"{EXPERIMENT}-{which}", VARIANT, subject=f"{name}-{whose}", reason=REASON)


def _shorthand(plane: DataPlane) -> Call:
    return lambda subject: plane.exposure(EXPERIMENT, VARIANT, subject=subject, reason=REASON)


def _plain() -> dict[str, Any]:
    return {}


def _everything() -> dict[str, Any]:
    os.environ[_KEY] = "a key of the benchmark alone"
    redaction = PiiRedaction(redact_subject_ids=True, mode="pseudonymize", key_ref=f"${{env:{_KEY}}}")
    # Nearly every subject is inside the sample, so that nearly every call goes the whole way.
    return {"sampling_rate": 0.999, "exposure_semantics": "onFirstUse", "pii_redaction": redaction}


@contextmanager
def _plane(**options: Any) -> Iterator[DataPlane]:
    """Give a data plane with the default durability, whose events are delivered to memory meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Plane(spool=Spool(directory=folder), **options)
        with DataPlane(InMemory(capacity=10_000), plane=settings) as plane:
            yield plane
            if dropped := plane.ledger().total.dropped:
                raise RuntimeError(f"{dropped} events were dropped, so these figures are of another thing")
