"""The quick way decides and hides as the careful one does, also for subjects that take turns."""

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backplane_runtime import Assignment, DataPlane, Exposure, Outcome, Status
from backplane_runtime.backplanes.in_memory import InMemoryBackplane
from backplane_runtime.events import Event
from backplane_runtime.settings import InMemory, PiiRedaction, Plane

SUBJECTS = [*(f"user-{number}" for number in range(10)), "", "naïve-✓", *(f"\ud800{number}" for number in range(4))]
KINDS = (
    lambda subject, variant: Exposure("e", variant, subject=subject),
    lambda subject, variant: Assignment("e", "", variant, subject=subject),
    lambda subject, variant: Outcome("e", subject=subject, metric=variant),
)

calls = st.lists(st.tuples(st.sampled_from(SUBJECTS), st.sampled_from(["v", "w"]), st.sampled_from(KINDS)), max_size=40)


def published(events: list[Event], metadata: dict[str, Any] | None, **options: Any) -> tuple[list[Status], list[Any]]:
    """Return the statuses of *events*, and the payloads that arrived, without their moments; with ids that must agree."""
    with DataPlane(InMemory(), plane=Plane(durability="memory", flush_interval_ms=1, **options)) as plane:
        statuses = [plane.publish(event, metadata=metadata) for event in events]
        assert plane.flush()
        backplane = plane.backplane("inMemory")
        assert isinstance(backplane, InMemoryBackplane)
        seen = [(one.event_id, msgspec.json.decode(one.payload)) for one in backplane.records]
        is_first_use = options["exposure_semantics"] == "onFirstUse"
        ids = [name if is_first_use and "selectionReason" in payload else "" for name, payload in seen]
        return statuses, [(name, payload | {"timestamp": ""}) for name, (_, payload) in zip(ids, seen, strict=True)]


@pytest.mark.parametrize(
    ("rate", "semantics", "hides"), [*itertools.product((1.0, 0.5), ("onDecision", "onFirstUse"), (False, True))]
)
@given(said=calls)
def test_both_ways_agree(rate: float, semantics: str, hides: bool, said: list[Any]) -> None:  # noqa: FBT001
    """On what goes on, and on what is left of it; metadata makes an event take the careful one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PII_KEY", "secret")
        redaction = PiiRedaction(mode="pseudonymize", key_ref="${env:PII_KEY}", redact_subject_ids=True)
        options = {"sampling_rate": rate, "exposure_semantics": semantics}
        options |= {"pii_redaction": redaction} if hides else {}
        events = [make(subject, variant) for subject, variant, make in said]
        assert published(events, None, **options) == published(events, {"k": 1}, **options)
