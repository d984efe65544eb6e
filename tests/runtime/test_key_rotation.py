"""What a new key of `pseudonymize` changes and what it does not, as the runtime's README says it."""

import hashlib
from collections.abc import Sequence

import pytest

from backplane_runtime import Status
from backplane_runtime.events import Exposure
from backplane_runtime.settings import PiiRedaction, Plane
from backplane_runtime.settings.plane import ExposureSemantics
from backplane_runtime.testing import capture_events

pytestmark = pytest.mark.runtime_only

SUBJECTS = [f"user-{number}" for number in range(200)]


def pseudonym(identifier: str, key: str) -> str:
    """The program of the README, by which whoever has the key and the identifiers makes the table of old and new."""
    secret = key.encode()
    secret = secret if len(secret) <= 64 else hashlib.blake2b(secret).digest()
    return hashlib.blake2b(identifier.encode(), key=secret, digest_size=16).hexdigest()


def options(variable: str, rate: float = 1.0, semantics: ExposureSemantics = "onDecision") -> Plane:
    redaction = PiiRedaction(redact_subject_ids=True, mode="pseudonymize", key_ref=f"${{env:{variable}}}")
    return Plane(pii_redaction=redaction, sampling_rate=rate, exposure_semantics=semantics)


def published(plane: Plane, subjects: Sequence[str]) -> list[str]:
    with capture_events(plane) as captured:
        for subject in subjects:
            captured.plane.exposure("e", "v", subject=subject)
        return [event.subject for event in captured.select(Exposure)]


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLD_KEY", "old")
    monkeypatch.setenv("NEW_KEY", "n" * 100)


def test_every_pseudonym_changes_and_the_table_of_old_and_new_can_be_made() -> None:
    """By who has both keys, the list of identifiers, and ten lines of Python."""
    old, new = published(options("OLD_KEY"), SUBJECTS), published(options("NEW_KEY"), SUBJECTS)
    assert not set(old) & set(new)
    assert old == [pseudonym(subject, "old") for subject in SUBJECTS]
    assert new == [pseudonym(subject, "n" * 100) for subject in SUBJECTS]


def test_who_is_sampled_does_not_change() -> None:
    """It is decided by the identifier itself, before it is redacted."""
    old, new = published(options("OLD_KEY", 0.5), SUBJECTS), published(options("NEW_KEY", 0.5), SUBJECTS)
    table = {pseudonym(subject, "old"): pseudonym(subject, "n" * 100) for subject in SUBJECTS}
    assert 0 < len(old) < len(SUBJECTS)
    assert [table[one] for one in old] == new


def test_a_key_is_read_once_when_the_plane_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a rotation is a restart, and while it rolls both keys are in use."""
    with capture_events(options("OLD_KEY")) as captured:
        monkeypatch.setenv("OLD_KEY", "changed")
        captured.plane.exposure("e", "v", subject="user-1")
        assert captured.single(Exposure).subject == pseudonym("user-1", "old")


def test_events_can_name_the_epoch_of_their_key() -> None:
    """As metadata of a bound plane; repeats are told by the identifier itself."""
    with capture_events(options("NEW_KEY", semantics="onFirstUse")) as captured:
        bound = captured.plane.bind(metadata={"keyEpoch": "2026-11"}, subject="user-1")
        assert bound.exposure("e", "v") is Status.QUEUED
        assert bound.exposure("e", "v") is Status.DUPLICATE
        assert [one.metadata for one in captured.envelopes()] == [{"keyEpoch": "2026-11"}]
