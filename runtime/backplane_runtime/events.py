"""The five event types: what an application says about an experiment (design/interface.md, "Events").

Python names are short; wire names are the original framework's. Required fields have no default, except where a sensible
one exists (`reason`, `severity`); those are always written, while unset optional fields are left out.

    Exposure("checkout-button", "blue", subject="user-42", tenant="acme", reason="rule:beta")
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

SCHEMA_VERSION = "1.0.0"
UNSPECIFIED = "unspecified"
VERSION_ATTRIBUTE = "experimentVersion"  # tells exposures of two versions of one experiment apart

AssignmentPolicy = Literal["bestEffort", "sessionSticky", "subjectSticky", "globallySticky"]
SignalType = Literal[
    "sampleRatioMismatch",
    "sequentialCheckpoint",
    "peekingWarning",
    "minimumSampleReached",
    "powerThresholdMet",
    "custom",
]
SignalSeverity = Literal["info", "warning", "error"]

Attributes = dict[str, Any]
Name = Annotated[str, Meta(min_length=1)]
if TYPE_CHECKING:
    Moment = str | datetime | UnsetType  # what a caller may give
else:
    # What the payload holds. Unset until `publish`, which fills in its own moment: an event is made in a tenth of the time.
    Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})] | UnsetType


class EventType(StrEnum):
    """The kinds of events; the value is the name that documents use, `wire_name` the one in envelopes."""

    EXPOSURE = "exposure"
    ASSIGNMENT = "assignment"
    OUTCOME = "outcome"
    ANALYSIS_SIGNAL = "analysisSignal"
    ERROR = "error"

    __hash__ = str.__hash__  # Enum's own is Python code: slower, and a signal handler may raise in it

    @property
    def wire_name(self) -> str:
        """Return the name in an envelope: the value with a capital first letter."""
        return self.value[0].upper() + self.value[1:]


def _info() -> SignalSeverity:
    return "info"


def _unspecified() -> str:
    return UNSPECIFIED


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of the five events: an experiment's name, and what every kind answers.

    Construction checks nothing, so that it costs nothing; `DataPlane.publish` checks the payload against these types, and
    gives an event without a `timestamp` the moment of its publishing.
    """

    event_type: ClassVar[EventType]

    experiment: Name = field(name="experimentName")

    @property
    def variant(self) -> str | None:
        """Return the key of the variant that the event is about, where there is one."""
        return None

    @property
    def subject(self) -> str | None:
        """Return the id of the subject (user, session, device) that the event is about, where there is one."""
        return None

    @property
    def tenant(self) -> str | None:
        """Return the id of the tenant, where there is one."""
        return None


# A keyword-only class cannot have positional fields of its own, so what may be positional sits in a base of its own.
class _VariantFirst(Event, frozen=True):
    variant: Name = field(name="variantKey")


class _ChangeFirst(Event, frozen=True):
    previous: str = field(name="previousVariantKey")
    new: Name = field(name="newVariantKey")


class _SignalFirst(Event, frozen=True):
    type: SignalType = field(name="signalType")
    message: str = field()


class _ErrorFirst(Event, frozen=True):
    type: Name = field(name="errorType")
    message: str = field()


class Exposure(_VariantFirst, frozen=True, kw_only=True):
    """A subject saw a variant. `repeat` says that it had seen it before; `reason` is why it got this variant."""

    event_type: ClassVar[EventType] = EventType.EXPOSURE

    subject: Name = field(name="subjectId")
    subject_type: str | None = field(name="subjectType", default=None)
    tenant: str | None = field(name="tenantId", default=None)
    timestamp: Moment = UNSET
    reason: str = field(name="selectionReason", default_factory=_unspecified)
    rule_path: str | None = field(name="rulePath", default=None)
    policy: AssignmentPolicy | None = field(name="assignmentPolicy", default=None)
    repeat: bool = field(name="isRepeatExposure", default=False)
    attributes: Attributes | None = None

    @property
    def version(self) -> object:
        """Return the version of the experiment, where the attributes name one."""
        return self.attributes.get(VERSION_ATTRIBUTE) if self.attributes else None


class Assignment(_ChangeFirst, frozen=True, kw_only=True):
    """A subject's variant changed from `previous` (empty where it had none) to `new`."""

    event_type: ClassVar[EventType] = EventType.ASSIGNMENT

    subject: Name = field(name="subjectId")
    tenant: str | None = field(name="tenantId", default=None)
    timestamp: Moment = UNSET
    reason: str = field(name="changeReason", default_factory=_unspecified)
    policy: AssignmentPolicy | None = field(name="assignmentPolicy", default=None)
    attributes: Attributes | None = None

    @property
    def variant(self) -> str | None:
        """Return the variant that the subject has now."""
        return self.new


class Outcome(Event, frozen=True, kw_only=True):
    """Something happened that an experiment measures; `value` must be finite."""

    event_type: ClassVar[EventType] = EventType.OUTCOME

    subject: Name = field(name="subjectId")
    metric: Name = field()
    value: float | None = None
    variant: str | None = field(name="variantKey", default=None)
    tenant: str | None = field(name="tenantId", default=None)
    timestamp: Moment = UNSET
    attributes: Attributes | None = None


class AnalysisSignal(_SignalFirst, frozen=True, kw_only=True):
    """The analysis noticed something about an experiment as a whole; it belongs to no subject."""

    event_type: ClassVar[EventType] = EventType.ANALYSIS_SIGNAL

    severity: SignalSeverity = field(default_factory=_info)
    timestamp: Moment = UNSET
    data: Attributes | None = None


class Error(_ErrorFirst, frozen=True, kw_only=True):
    """A variant failed, or the experiment's own machinery did."""

    event_type: ClassVar[EventType] = EventType.ERROR

    variant: str | None = field(name="variantKey", default=None)
    subject: str | None = field(name="subjectId", default=None)
    tenant: str | None = field(name="tenantId", default=None)
    stack_trace: str | None = field(name="stackTrace", default=None)
    timestamp: Moment = UNSET
    attributes: Attributes | None = None


EVENTS: dict[EventType, type[Exposure | Assignment | Outcome | AnalysisSignal | Error]] = {
    EventType.EXPOSURE: Exposure,
    EventType.ASSIGNMENT: Assignment,
    EventType.OUTCOME: Outcome,
    EventType.ANALYSIS_SIGNAL: AnalysisSignal,
    EventType.ERROR: Error,
}

_PUBLISHABLE = tuple(EVENTS.values())


def is_event(given: object) -> bool:
    """Say whether *given* is one of the five, without asking it: a lazy object may fail when it is asked for its class."""
    return issubclass(type(given), _PUBLISHABLE)
