"""Admission: whether an event goes on at all, decided before anything is encoded.

- *Toggles*: a type that is switched off, or that no backplane takes, is `DISABLED`.
- *Sampling* is by subject: all events of one subject share one fate, in every process and every release. The subject's
  64-bit XXH3 hash, with a seed of our own, is compared with the rate. The seed is ours on purpose: a hash that also
  assigned variants would keep more of one variant than of another. An event without a subject is about the experiment as a
  whole, and always goes.
- *Exposures*: `onDecision` publishes each; `onFirstUse` the first of (experiment, version, variant, subject) that this
  process has seen, within at least the last `REMEMBERED`; `explicit` only what the application publishes itself: an exposure that
  an integration publishes on its behalf (`publish(..., automatic=True)`) is `DISABLED`. The version is the attribute
  `experimentVersion`, where there is one. What is remembered is a 64-bit hash of the four with the interpreter's own secret:
  a hundred thousand ids need not be held for it, and a new exposure is taken for a repeat once in 10^14.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from backplane_runtime import native
from backplane_runtime.events import Event, EventType, Exposure
from backplane_runtime.settings import Plane
from backplane_runtime.status import Status

REMEMBERED = 100_000
_SEED = int.from_bytes(b"backrate")


class Admission:
    """Decides for one data plane; safe to use from many threads."""

    def __init__(self, plane: Plane, taken: Collection[EventType]) -> None:
        self.enabled = enabled_types(plane) & frozenset(taken)
        self.rate = plane.sampling_rate
        self.is_first_use = plane.exposure_semantics == "onFirstUse"
        self.keeps = sampler(plane.sampling_rate) if plane.sampling_rate < 1 else None
        self._explicit = plane.exposure_semantics == "explicit"
        # Two generations: to drop the oldest one by one would search through all that were dropped before.
        self._seen: dict[int, int] = {}
        self._seen_before: dict[int, int] = {}
        self.after_fork()

    def after_fork(self) -> None:
        """Make the lock new: whoever held it at the fork does not exist in the child."""
        self._lock = native.RLock()  # a signal handler may publish while its own thread is in here

    def refusal(self, event: Event, *, automatic: bool = False) -> Status | None:
        """Return why *event* does not go on, or nothing if it does."""
        if event.event_type not in self.enabled:
            return Status.DISABLED
        if self.keeps is not None and event.subject is not None and not self.keeps(encoded(event.subject)):
            return Status.SAMPLED_OUT
        if isinstance(event, Exposure):
            if self._explicit and automatic:
                return Status.DISABLED
            if self.is_first_use and not self.see(exposure_key(event)):
                return Status.DUPLICATE
        return None

    def rate_of(self, event: Event) -> float:
        """Return the share of events like *event* that go on; below 1 it belongs into the metadata."""
        return 1.0 if event.subject is None else self.rate

    def see(self, key: int) -> bool:
        """Remember an exposure, and say whether it is the first of its key."""
        # `setdefault` is one step of the interpreter, so only one thread finds its own number there.
        if key in self._seen_before or self._seen.setdefault(key, key) is not key:
            return False
        if len(self._seen) > REMEMBERED:
            with self._lock:
                if len(self._seen) > REMEMBERED:
                    self._seen_before, self._seen = self._seen, {}
        return True

    def forget(self, event: Event) -> None:
        """Take back that *event* was seen, because it was not kept: its next repeat must not be suppressed."""
        if self.is_first_use and isinstance(event, Exposure):
            self._seen.pop(exposure_key(event), None)
            self._seen_before.pop(exposure_key(event), None)


def sampler(rate: float) -> Callable[[bytes], bool]:
    """Return a function that says whether a subject, in UTF-8, is in the sample: the share *rate* (below 1) of all."""
    from xxhash import xxh3_64_intdigest  # noqa: PLC0415 - only sampling needs it

    below = int(rate * 2**64)

    def keeps(subject: bytes) -> bool:
        return xxh3_64_intdigest(subject, _SEED) < below

    return keeps


def encoded(subject: str) -> bytes:
    """Return *subject* for `keeps`, also where it is no valid text and will be refused later."""
    return subject.encode("utf-8", "surrogatepass")


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


def exposure_key(event: Exposure) -> int:
    """Return what makes two exposures the same, as one number of this process."""
    version = event.version
    # As text, because `hash` makes the same number of -1 and -2.
    return hash((event.experiment, None if version is None else repr(version), event.variant, event.subject))
