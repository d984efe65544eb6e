"""Toggles, sampling, semantics of exposures."""

import subprocess
import sys
import time

import pytest

from backplane_runtime import admission
from backplane_runtime.admission import Admission, sampler
from backplane_runtime.events import AnalysisSignal, Error, EventType, Exposure, Outcome
from backplane_runtime.settings import Plane
from backplane_runtime.status import Status

pytestmark = pytest.mark.runtime_only

ALL = frozenset(EventType)


def exposure(subject: str = "s", variant: str = "v", **attributes: object) -> Exposure:
    return Exposure("e", variant, subject=subject, attributes=attributes)


def test_a_switched_off_type_is_disabled() -> None:
    """Others still go."""
    gate = Admission(Plane(enable_outcome_events=False), ALL)
    assert gate.refusal(Outcome("e", subject="s", metric="m")) is Status.DISABLED
    assert gate.refusal(exposure()) is None


def test_a_type_that_no_backplane_takes_is_disabled() -> None:
    """It would be acknowledged by nobody."""
    assert Admission(Plane(), ALL - {EventType.ERROR}).refusal(Error("e", "t", "m")) is Status.DISABLED


def test_sampling_keeps_or_leaves_all_events_of_a_subject() -> None:
    """The share is the rate, and the fate is the subject's."""
    gate = Admission(Plane(sampling_rate=0.3), ALL)
    kept = set()
    for number in range(4000):
        subject = f"user-{number}"
        fates = {gate.refusal(exposure(subject)), gate.refusal(Outcome("other", subject=subject, metric="m"))}
        assert len(fates) == 1
        kept |= {subject} if fates == {None} else set()
    assert 0.27 < len(kept) / 4000 < 0.33


def test_sampling_is_the_same_in_every_process() -> None:
    """The hash does not depend on the interpreter's seed, nor on its version."""
    # Changing the hash moves subjects in and out of the sample: this one lies at 0xA01C3F9BAA03E04 / 2**64.
    code = "from backplane_runtime.admission import sampler; print([sampler(r)(b'user-42') for r in (0.039, 0.0391)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[False, True]"
    assert [sampler(rate)(b"user-42") for rate in (0.039, 0.0391)] == [False, True]


def test_events_without_a_subject_are_never_sampled() -> None:
    """They are about the experiment as a whole."""
    gate = Admission(Plane(sampling_rate=0), ALL)
    signal = AnalysisSignal("e", "custom", "m")
    assert gate.refusal(signal) is None
    assert gate.rate_of(signal) == 1
    assert gate.refusal(exposure()) is Status.SAMPLED_OUT


def test_first_use_suppresses_repeats_only() -> None:
    """Another variant, version, subject or kind is no repeat; a subject in two variants must stay visible."""
    gate = Admission(Plane(exposure_semantics="onFirstUse"), ALL)
    assert gate.refusal(exposure()) is None
    assert gate.refusal(exposure()) is Status.DUPLICATE
    assert gate.refusal(exposure(variant="w")) is None
    assert gate.refusal(exposure(subject="t")) is None
    for version in ("2", 2, -1, -2, [1]):
        assert gate.refusal(exposure(experimentVersion=version)) is None
        assert gate.refusal(exposure(experimentVersion=version)) is Status.DUPLICATE
    assert gate.refusal(Outcome("e", subject="s", metric="m")) is None
    assert gate.refusal(Outcome("e", subject="s", metric="m")) is None


def test_what_was_not_kept_is_no_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dropped first exposure must not suppress the next."""
    gate = Admission(Plane(exposure_semantics="onFirstUse"), ALL)
    assert gate.refusal(exposure()) is None
    gate.forget(exposure())
    assert gate.refusal(exposure()) is None


def test_memory_of_exposures_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last ones are remembered, and no more than twice as many; the oldest are forgotten first."""
    monkeypatch.setattr(admission, "REMEMBERED", 2)
    gate = Admission(Plane(exposure_semantics="onFirstUse"), ALL)
    assert [gate.refusal(exposure(subject)) for subject in "abcdefg"] == [None] * 7
    assert [gate.refusal(exposure(subject)) for subject in "fg"] == [Status.DUPLICATE] * 2
    assert gate.refusal(exposure("a")) is None


def test_to_forget_costs_no_more_than_to_remember(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many were forgotten before."""
    monkeypatch.setattr(admission, "REMEMBERED", 5_000)
    gate = Admission(Plane(exposure_semantics="onFirstUse"), ALL)
    keys = [hash(f"user-{number}") for number in range(50_000)]
    spent = []
    for start in range(0, len(keys), 5_000):
        began = time.thread_time()
        for key in keys[start : start + 5_000]:
            gate.see(key)
        spent.append(time.thread_time() - began)
    assert min(spent[5:]) < 5 * max(spent[:2])


def test_explicit_publishes_only_what_was_asked_for() -> None:
    """An integration's exposure is not published; an outcome of it is."""
    gate = Admission(Plane(exposure_semantics="explicit"), ALL)
    assert gate.refusal(exposure(), automatic=True) is Status.DISABLED
    assert gate.refusal(exposure()) is None
    assert gate.refusal(Outcome("e", subject="s", metric="m"), automatic=True) is None
