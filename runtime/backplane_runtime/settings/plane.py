"""Options of the data plane itself, the same for every backplane (design/document.md, "dataPlane")."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from backplane_runtime.events import EVENTS
from backplane_runtime.settings.base import Refusal, Settings, Strings

ExposureSemantics = Literal["onDecision", "onFirstUse", "explicit"]
FailureMode = Literal["drop", "block", "spool"]
Durability = Literal["memory", "process", "processStrict", "host"]
RedactionMode = Literal["mask", "drop", "pseudonymize"]

MAX_COUNT = 2**31 - 1
_UNTOUCHABLE = frozenset({"timestamp", "signalType", "severity"})  # what an event is, and when it happened
_NESTED = frozenset({"attributes", "data"})


class Spool(Settings, frozen=True, kw_only=True):
    """Where events wait on local disk until a backplane has acknowledged them."""

    directory: Annotated[
        str | None, Meta(description="Folder of the spool; the platform's state folder where it is not set.")
    ] = None
    max_bytes: Annotated[int, Meta(ge=1 << 20, le=1 << 62, description="Bound of the spool on disk, in bytes.")] = (
        1 << 30
    )

    def _refusals(self) -> Iterator[Refusal]:
        if not _can_be_a_path(self.directory or ""):
            yield Refusal("directory", "holds a character that no path can have", hint="write the path anew, by hand")


def _can_be_a_path(text: str) -> bool:
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:  # half a surrogate pair
        return False


class PiiRedaction(Settings, frozen=True, kw_only=True):
    """What is taken out of an event before it reaches a queue or a disk."""

    redact_subject_ids: Annotated[bool, Meta(description="Redact `subjectId` of every event.")] = False
    redact_tenant_ids: Annotated[bool, Meta(description="Redact `tenantId` of every event.")] = False
    redact_fields: Annotated[
        Strings, Meta(description="Dotted payload paths to redact, such as `attributes.email`.")
    ] = ()
    mode: Annotated[
        RedactionMode,
        Meta(description="`mask` writes the placeholder, `drop` removes, `pseudonymize` hashes with a key."),
    ] = "mask"
    placeholder: Annotated[str, Meta(description="What `mask` writes.")] = "[redacted]"
    key_ref: Annotated[
        str | None, Meta(description="Reference to the key of `pseudonymize`, such as `${env:PII_KEY}`.")
    ] = None

    def _refusals(self) -> Iterator[Refusal]:
        if self.mode == "pseudonymize" and self.key_ref is None:
            yield Refusal(
                "keyRef",
                "`pseudonymize` needs a key, and none is given",
                "redaction-key-missing",
                "set `keyRef: ${env:PII_KEY}`",
            )
        if self.key_ref is not None and not self.key_ref.startswith("${"):
            yield Refusal(
                "keyRef",
                "a key must be a reference, never the key itself",
                "redaction-key-in-clear",
                "write `${env:NAME}` or `${file:/path}`",
            )
        chosen = self.redact_subject_ids or self.redact_tenant_ids or self.redact_fields
        if not chosen and (self.mode != "mask" or self.key_ref is not None):
            yield Refusal(
                "mode",
                "nothing is chosen to be redacted, so subjects are published in clear",
                "option-without-effect",
                "set `redactSubjectIds: true`, `redactTenantIds: true` or `redactFields`",
            )
        for index, path in enumerate(self.redact_fields):
            if reason := _no_path(path):
                yield Refusal(f"redactFields.{index}", f"`{path}` {reason}", "redaction-path")


def _no_path(path: str) -> str | None:
    """Return why *path* cannot be redacted: a path that leads nowhere would publish what should be hidden."""
    first, *rest = path.split(".")
    if first not in {field.encode_name for event in EVENTS.values() for field in msgspec.structs.fields(event)}:
        return f"leads nowhere: no event has a field `{first}`"
    if "" in rest:
        return "leads nowhere: a name between its dots is empty"
    if first in _NESTED:
        return None if rest else f"is an object; name fields in it, such as `{path}.email`"
    return "cannot be redacted" if first in _UNTOUCHABLE or rest else None


class Plane(Settings, frozen=True, kw_only=True):
    """Options of the data plane that hold for every backplane."""

    enable_exposure_events: Annotated[bool, Meta(description="Publish exposure events.")] = True
    enable_assignment_events: Annotated[bool, Meta(description="Publish assignment events.")] = True
    enable_outcome_events: Annotated[bool, Meta(description="Publish outcome events.")] = True
    enable_analysis_signals: Annotated[bool, Meta(description="Publish analysis signals.")] = True
    enable_error_events: Annotated[bool, Meta(description="Publish error events.")] = True
    exposure_semantics: Annotated[
        ExposureSemantics,
        Meta(description="`onFirstUse` publishes the first exposure of a subject to a variant and counts the repeats."),
    ] = "onDecision"
    sampling_rate: Annotated[
        float,
        Meta(
            ge=0, le=1, description="Share of subjects whose events are published; a subject's events share one fate."
        ),
    ] = 1.0
    batch_size: Annotated[
        int,
        Meta(
            ge=1, le=MAX_COUNT, description="Events handed to a backplane at once; a backplane's own `batchSize` wins."
        ),
    ] = 500
    flush_interval_ms: Annotated[
        int, Meta(ge=1, le=MAX_COUNT, description="Longest wait in milliseconds before a partial batch goes.")
    ] = 1000
    max_queue_size: Annotated[
        int, Meta(ge=1, le=MAX_COUNT, description="Events in memory that the spool has not taken.")
    ] = 10_000
    max_queue_bytes: Annotated[
        int, Meta(ge=1 << 16, le=1 << 40, description="Bytes in memory that the spool has not taken.")
    ] = 64 << 20
    failure_mode: Annotated[FailureMode, Meta(description="What happens when the backplane is not there.")] = "spool"
    durability: Annotated[
        Durability, Meta(description="What a crash may cost; see the runtime's README for the loss of each level.")
    ] = "process"
    close_timeout_ms: Annotated[
        int, Meta(ge=0, le=MAX_COUNT, description="Longest time in milliseconds that `close` waits for the network.")
    ] = 1000
    ledger_signals: Annotated[
        bool,
        Meta(description="Publish each minute what became of the events of each variant, as an analysis signal."),
    ] = False
    spool: Annotated[Spool, Meta(description="The spool's folder and bound.")] = Spool()
    pii_redaction: Annotated[
        PiiRedaction | None, Meta(description="Redaction of personal data; none where it is not set.")
    ] = None

    def _refusals(self) -> Iterator[Refusal]:
        if self.failure_mode != "spool" and self.durability in ("processStrict", "host"):
            yield Refusal(
                "durability",
                f"`{self.durability}` has no effect with `failureMode: {self.failure_mode}`, which keeps events in memory",
                "option-without-effect",
                "set `failureMode: spool`, or `durability: memory`",
            )
