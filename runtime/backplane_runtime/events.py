"""The five event types: what an application says about an experiment (design/interface.md, "Events").

Python names are short; wire names are the original framework's. Required fields have no default.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

import msgspec

SCHEMA_VERSION = "1.0.0"

AssignmentPolicy = Literal["bestEffort", "sessionSticky", "subjectSticky", "globallySticky"]
SignalType = Literal[
    "sampleRatioMismatch", "sequentialCheckpoint", "peekingWarning", "minimumSampleReached", "powerThresholdMet", "custom"
]
SignalSeverity = Literal["info", "warning", "error"]


class EventType(StrEnum):
    """The kinds of events; the value is the name that documents use, `wire_name` the one in envelopes."""

    EXPOSURE = "exposure"
    ASSIGNMENT = "assignment"
    OUTCOME = "outcome"
    ANALYSIS_SIGNAL = "analysisSignal"
    ERROR = "error"

    @property
    def wire_name(self) -> str:
        """Return the name in an envelope: the value with a capital first letter."""
        return self.value[0].upper() + self.value[1:]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of the five events."""


Attributes = dict[str, Any]
