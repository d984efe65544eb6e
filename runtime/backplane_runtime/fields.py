"""The optional fields of events as keyword arguments, for calls that supply a required one themselves.

They repeat the fields of `events` because a type cannot say "as that one, but without"; a test holds the two together.
"""

from __future__ import annotations

from typing import TypedDict

from backplane_runtime.events import AssignmentPolicy, Attributes, Moment


class ExposureDetails(TypedDict, total=False):
    """Fields of an `Exposure` that are the same for every subject."""

    subject_type: str | None
    tenant: str | None
    reason: str
    rule_path: str | None
    policy: AssignmentPolicy | None
    attributes: Attributes | None


class ExposureFields(ExposureDetails, total=False):
    """All keyword fields of an `Exposure`."""

    subject: str
    timestamp: Moment
    repeat: bool


class AssignmentFields(TypedDict, total=False):
    """All keyword fields of an `Assignment`."""

    subject: str
    tenant: str | None
    timestamp: Moment
    reason: str
    policy: AssignmentPolicy | None
    attributes: Attributes | None


class OutcomeFields(TypedDict, total=False):
    """The keyword fields of an `Outcome`, but `metric`, which is required."""

    subject: str
    value: float | None
    variant: str | None
    tenant: str | None
    timestamp: Moment
    attributes: Attributes | None
