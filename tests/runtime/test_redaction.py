"""Redaction happens before an event reaches anything that keeps it."""

import hashlib
from typing import Any

import pytest

from backplane_runtime import ConfigError, DataPlane
from backplane_runtime.events import AnalysisSignal, Error, Event, Exposure, Outcome
from backplane_runtime.redaction import Redactor
from backplane_runtime.settings import InMemory, PiiRedaction, Plane, SettingsError
from backplane_runtime.status import Status
from backplane_runtime.testing import capture_events

pytestmark = pytest.mark.runtime_only

EXPOSURE = Exposure(
    "e",
    "v",
    subject="user-42",
    tenant="acme",
    attributes={"email": "a@b.c", "list": [{"ip": "1"}, {"ip": "2"}], "n": 1},
)


def redacted(event: Event, **options: Any) -> dict[str, Any]:
    return Redactor(PiiRedaction(**options))(event)


def test_mask_writes_the_placeholder() -> None:
    """Ids and dotted paths, through lists."""
    fields = ("attributes.email", "attributes.list.ip", "attributes.none")
    payload = redacted(EXPOSURE, redact_subject_ids=True, redact_tenant_ids=True, redact_fields=fields, placeholder="X")
    assert (payload["subjectId"], payload["tenantId"]) == ("X", "X")
    assert payload["attributes"] == {"email": "X", "list": [{"ip": "X"}, {"ip": "X"}], "n": 1}
    assert EXPOSURE.attributes is not None
    assert EXPOSURE.attributes["email"] == "a@b.c"


def test_drop_removes_what_may_be_missing() -> None:
    """What consumers rely on is masked instead."""
    fields = ("attributes.email",)
    payload = redacted(EXPOSURE, mode="drop", redact_subject_ids=True, redact_tenant_ids=True, redact_fields=fields)
    assert payload["subjectId"] == "[redacted]"
    assert "tenantId" not in payload
    assert "email" not in payload["attributes"]
    assert "subjectId" not in redacted(Error("e", "t", "m", subject="s"), mode="drop", redact_subject_ids=True)


def test_pseudonymize_hashes_with_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal ids stay equal, and nobody without the key can make one."""
    monkeypatch.setenv("PII_KEY", "secret")
    options = {
        "mode": "pseudonymize",
        "key_ref": "${env:PII_KEY}",
        "redact_subject_ids": True,
        "redact_fields": ("attributes.n",),
    }
    payload = redacted(EXPOSURE, **options)
    assert payload["subjectId"] == hashlib.blake2b(b"user-42", key=b"secret", digest_size=16).hexdigest()
    assert payload["attributes"]["n"] == hashlib.blake2b(b"1", key=b"secret", digest_size=16).hexdigest()
    monkeypatch.setenv("PII_KEY", "k" * 100)
    assert redacted(EXPOSURE, **options)["subjectId"] != payload["subjectId"]


@pytest.mark.parametrize("value", [None, ""])
def test_without_its_key_no_data_plane_opens(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    """Fails closed."""
    monkeypatch.delenv("PII_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("PII_KEY", value)
    plane = Plane(pii_redaction=PiiRedaction(mode="pseudonymize", key_ref="${env:PII_KEY}", redact_subject_ids=True))
    with pytest.raises(ConfigError, match=r"key|PII_KEY"):
        DataPlane(InMemory(), plane=plane)


@pytest.mark.parametrize("mode", ["mask", "drop", "pseudonymize"])
@pytest.mark.parametrize("attributes", [None, {}])  # the quick way, and the careful one
def test_an_empty_id_is_not_made_a_valid_one(
    mode: Any, attributes: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All events that name nobody would be about one subject."""
    monkeypatch.setenv("PII_KEY", "secret")
    key = "${env:PII_KEY}" if mode == "pseudonymize" else None
    settings = PiiRedaction(mode=mode, key_ref=key, redact_subject_ids=True)
    with DataPlane(InMemory(), plane=Plane(pii_redaction=settings)) as plane:
        for nobody in ("", None):
            assert plane.exposure("e", "v", subject=nobody, attributes=attributes) is Status.DROPPED  # type: ignore[arg-type]
        assert plane.exposure("e", "v", subject="s", attributes=attributes) is Status.QUEUED


def test_what_cannot_hold_text_is_removed() -> None:
    """A masked number would be no number, and the event would be lost."""
    assert "value" not in redacted(Outcome("e", subject="s", metric="m", value=3), redact_fields=("value",))


@pytest.mark.parametrize("path", ["timestamp", "severity", "nothing", "attributes", "subjectId.x", ""])
def test_paths_that_make_no_sense_are_refused(path: str) -> None:
    """A misspelt path would publish what should be hidden."""
    with pytest.raises(SettingsError):
        redacted(EXPOSURE, redact_fields=(path,))


def test_every_redactable_field_leaves_a_valid_event() -> None:
    """Whatever is redacted, the event is still published; and the raw id is nowhere, also not in the routing key."""
    fields = (
        "message",
        "stackTrace",
        "variantKey",
        "experimentName",
        "metric",
        "value",
        "data.x",
        "assignmentPolicy",
        "rulePath",
    )
    redaction = PiiRedaction(redact_subject_ids=True, redact_fields=fields)
    with capture_events(Plane(pii_redaction=redaction)) as captured:
        captured.plane.publish(EXPOSURE)
        captured.plane.exposure("e", "v", subject="user-42", policy="bestEffort", rule_path="r")
        captured.plane.outcome("e", subject="user-42", metric="m", value=1.0)
        captured.plane.publish(AnalysisSignal("e", "custom", "m", data={"x": "user-42"}))
        captured.plane.error("e", "t", "user-42", subject="user-42", stack_trace="user-42")
        assert len(captured.envelopes()) == 5
        records = captured.plane.backplane("inMemory").records  # type: ignore[attr-defined]  # the in-memory one
        assert not any(b"user-42" in record.envelope for record in records)
        assert {record.subject for record in records} == {"[redacted]", None}
