"""Admission: whether an event goes on at all, decided before anything is encoded.

- *Toggles*: a type that is switched off, or that no backplane takes, is `DISABLED`.
- *Sampling* is by subject: all events of one subject share one fate, in every process and every release. The subject's
  64-bit BLAKE2b hash, personalised with `backplane-rate`, is compared with the rate. The hash is this module's own on
  purpose: one that also assigned variants would keep more of one variant than of another. An event without a subject is
  about the experiment as a whole, and always goes.
- *Exposures*: `onDecision` publishes each; `onFirstUse` the first of (experiment, version, variant, subject) that this
  process has seen, within the last `REMEMBERED`; `explicit` only what the application publishes itself: an exposure that
  an integration publishes on its behalf (`publish(..., automatic=True)`) is `DISABLED`. The version is the attribute
  `experimentVersion`, where there is one.
"""

from __future__ import annotations

import threading
from collections.abc import Collection

from backplane_runtime.events import Event, EventType, Exposure
from backplane_runtime.settings import Plane
from backplane_runtime.status import Status

REMEMBERED = 100_000
VERSION_ATTRIBUTE = "experimentVersion"

_ExposureKey = tuple[str, object, str, str]


class Admission:
    """Decides for one data plane; safe to use from many threads."""

    def __init__(self, plane: Plane, taken: Collection[EventType]) -> None:
        self._enabled = enabled_types(plane) & frozenset(taken)
        self._rate = plane.sampling_rate
        self._threshold = int(plane.sampling_rate * 2**64)
        self._first_use = plane.exposure_semantics == "onFirstUse"
        self._explicit = plane.exposure_semantics == "explicit"
        self._seen: dict[_ExposureKey, None] = {}  # insertion order is age
        self.after_fork()

    def after_fork(self) -> None:
        """Make the lock new: whoever held it at the fork does not exist in the child."""
        self._lock = threading.RLock()  # a signal handler may publish while its own thread is in here

    def refusal(self, event: Event, *, automatic: bool = False) -> Status | None:
        """Return why *event* does not go on, or nothing if it does."""
        if event.event_type not in self._enabled:
            return Status.DISABLED
        if self._rate < 1.0 and not self._is_sampled(event):
            return Status.SAMPLED_OUT
        if isinstance(event, Exposure):
            if self._explicit and automatic:
                return Status.DISABLED
            if self._first_use and not self._is_first(event):
                return Status.DUPLICATE
        return None

    def rate_of(self, event: Event) -> float:
        """Return the share of events like *event* that go on; below 1 it belongs into the metadata."""
        return 1.0 if event.subject is None else self._rate

    def forget(self, event: Event) -> None:
        """Take back that *event* was seen, because it was not kept: its next repeat must not be suppressed."""
        if self._first_use and isinstance(event, Exposure):
            with self._lock:
                self._seen.pop(_exposure_key(event), None)

    def _is_sampled(self, event: Event) -> bool:
        if event.subject is None:
            return True
        return subject_hash(event.subject) < self._threshold

    def _is_first(self, event: Exposure) -> bool:
        key = _exposure_key(event)
        with self._lock:
            if key in self._seen:
                return False
            if len(self._seen) >= REMEMBERED:
                del self._seen[next(iter(self._seen))]
            self._seen[key] = None
            return True


def subject_hash(subject: str) -> int:
    """Return the number in [0, 2**64) by which *subject* is sampled."""
    import hashlib  # noqa: PLC0415 - costs 5 ms, and only sampling needs it

    digest = hashlib.blake2b(subject.encode("utf-8", "surrogatepass"), digest_size=8, person=b"backplane-rate").digest()
    return int.from_bytes(digest, "big")


def enabled_types(plane: Plane) -> frozenset[EventType]:
    """Return the event types that *plane* publishes."""
    toggles = {
        EventType.EXPOSURE: plane.enable_exposure_events,
        EventType.ASSIGNMENT: plane.enable_assignment_events,
        EventType.OUTCOME: plane.enable_outcome_events,
        EventType.ANALYSIS_SIGNAL: plane.enable_analysis_signals,
        EventType.ERROR: plane.enable_error_events,
    }
    return frozenset(kind for kind, enabled in toggles.items() if enabled)


def _exposure_key(event: Exposure) -> _ExposureKey:
    version = event.attributes.get(VERSION_ATTRIBUTE) if event.attributes else None
    return (event.experiment, version, event.variant, event.subject)
