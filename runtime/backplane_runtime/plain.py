"""Events that need no second look: which fields are there, and that each is exactly what it should be.

`envelope.draft` proves a payload by decoding it, which costs as much as the rest of `publish`. What passes here needs no
such proof: text is text and not empty, numbers are finite, there is no free data and no timestamp of the caller's. What
does not pass may be right or wrong; the careful way finds out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import UNSET
from msgspec.structs import force_setattr

from backplane_runtime.admission import Admission
from backplane_runtime.envelope import FORMS, Context, Draft, encode, encode_context
from backplane_runtime.events import Assignment, AssignmentPolicy, Event, EventType, Exposure, Outcome
from backplane_runtime.status import Status
from backplane_runtime.timestamps import nanoseconds

if TYPE_CHECKING:
    from backplane_runtime.redaction import Redactor

_EXPOSURE, _ASSIGNMENT, _OUTCOME = FORMS[EventType.EXPOSURE], FORMS[EventType.ASSIGNMENT], FORMS[EventType.OUTCOME]

_POLICIES: frozenset[AssignmentPolicy | None] = frozenset(
    (None, "bestEffort", "sessionSticky", "subjectSticky", "globallySticky")
)

# Written out, field by field: a loop over the fields would cost five times as much.


def exposure_draft(event: Exposure, context: bytes = b"", identity: Exposure | None = None) -> Draft | None:
    """Return the draft of *event*, where it is plain."""
    if (
        event.timestamp is UNSET
        and event.attributes is None
        and event.experiment.__class__ is event.variant.__class__ is event.subject.__class__ is str
        and event.reason.__class__ is str
        and event.experiment != ""
        and event.variant != ""
        and event.subject != ""
        and (event.tenant is None or event.tenant.__class__ is str)
        and (event.subject_type is None or event.subject_type.__class__ is str)
        and (event.rule_path is None or event.rule_path.__class__ is str)
        and (event.policy is None or event.policy in _POLICIES)
        and (event.repeat is False or event.repeat is True)
    ):
        return Draft(_EXPOSURE, event.experiment, event.variant, encode(event), nanoseconds(), None, context, identity)
    return None


def assignment_draft(event: Assignment, context: bytes = b"", identity: Exposure | None = None) -> Draft | None:
    """Return the draft of *event*, where it is plain."""
    if (
        event.timestamp is UNSET
        and event.attributes is None
        and event.experiment.__class__ is event.previous.__class__ is event.new.__class__ is str
        and event.subject.__class__ is event.reason.__class__ is str
        and event.experiment != ""
        and event.new != ""
        and event.subject != ""
        and (event.tenant is None or event.tenant.__class__ is str)
        and (event.policy is None or event.policy in _POLICIES)
    ):
        return Draft(_ASSIGNMENT, event.experiment, event.new, encode(event), nanoseconds(), None, context, identity)
    return None


def outcome_draft(event: Outcome, context: bytes = b"", identity: Exposure | None = None) -> Draft | None:
    """Return the draft of *event*, where it is plain."""
    if (
        event.timestamp is UNSET
        and event.attributes is None
        and event.experiment.__class__ is event.subject.__class__ is event.metric.__class__ is str
        and event.experiment != ""
        and event.subject != ""
        and event.metric != ""
        and (event.value is None or (event.value.__class__ is float and event.value - event.value == 0.0))
        and (event.variant is None or event.variant.__class__ is str)
        and (event.tenant is None or event.tenant.__class__ is str)
    ):
        return Draft(_OUTCOME, event.experiment, event.variant, encode(event), nanoseconds(), None, context, identity)
    return None


ToDraft = Callable[..., Draft | None]
Way = Callable[[Any], Draft | Status | None]  # an event's draft, what is decided about it, or nothing: look twice

PLAIN: dict[EventType, tuple[type[Event], ToDraft]] = {
    EventType.EXPOSURE: (Exposure, exposure_draft),
    EventType.ASSIGNMENT: (Assignment, assignment_draft),
    EventType.OUTCOME: (Outcome, outcome_draft),
}
"""The other two types are rare."""


def quick_ways(admission: Admission, redactor: Redactor | None) -> dict[type[Event], Way]:
    """Return the quick way of each event type that has one, with the decisions and the redaction that it needs."""
    if redactor is not None and redactor.pseudonymize_subject is None:
        return {}  # what looks into attributes takes its time
    ways: dict[type[Event], Way] = {}
    for kind in admission.enabled & PLAIN.keys():
        event_type, to_draft = PLAIN[kind]
        decides = admission.keeps is not None or (kind is EventType.EXPOSURE and admission.is_first_use)
        needs_more = decides or redactor is not None
        ways[event_type] = _deciding(to_draft, kind, admission, redactor) if needs_more else to_draft
    return ways


def _deciding(to_draft: ToDraft, kind: EventType, admission: Admission, redactor: Redactor | None) -> Way:
    keeps, see = admission.keeps, admission.see
    first = kind is EventType.EXPOSURE and admission.is_first_use
    context = encode_context(Context(metadata={"samplingRate": admission.rate})) if keeps else b""
    hide = redactor.pseudonymize_subject if redactor else None
    # What a request publishes is about one subject, and a pseudonym costs as much as the rest of `publish`.
    known = ("", "")  # subject and pseudonym

    def way(event: Any) -> Draft | Status | None:
        nonlocal known
        subject = event.subject
        if subject.__class__ is not str or subject == "" or (first and event.attributes is not None):
            return None
        try:
            data = subject.encode()
        except UnicodeEncodeError:
            return None
        if keeps is not None and not keeps(data):
            return Status.SAMPLED_OUT
        if first and not see(hash((event.experiment, None, event.variant, subject))):
            return Status.DUPLICATE
        seen, made = event, None
        try:
            if hide is not None:
                before, pseudonym = known
                if before != subject:
                    pseudonym = hide(data)
                    known = subject, pseudonym
                event = event.__copy__()
                force_setattr(event, "subject", pseudonym)
            made = to_draft(event, context, event if first else None)
        finally:
            if made is None:  # also where it cannot be encoded: the careful way must not take it for a repeat
                admission.forget(seen)
        return made

    return way
