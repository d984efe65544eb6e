"""Several backplanes at once: each event goes to every member that takes its type."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from backplane_runtime.events import EventType
from backplane_runtime.settings.base import Refusal, Settings, SettingsError

ALL_EVENTS = tuple(EventType)


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One backplane of a composite: its name, its settings, and the event types that it takes."""

    name: str
    settings: Settings
    events: tuple[EventType, ...] = ALL_EVENTS


class Composite(msgspec.Struct, frozen=True):
    """Publish to several backplanes.

    Raises:
        SettingsError: where there is no member, or two share a name.
    """

    backplanes: Sequence[Member]

    def __post_init__(self) -> None:
        names = [member.name for member in self.backplanes]
        refusals = [
            Refusal("backplanes", f"two backplanes are named `{name}`", "duplicate-name")
            for name in sorted({name for name in names if names.count(name) > 1})
        ]
        if not names:
            refusals.append(Refusal("backplanes", "a composite needs at least one backplane", "composite-empty"))
        if refusals:
            raise SettingsError("Composite", tuple(refusals))
