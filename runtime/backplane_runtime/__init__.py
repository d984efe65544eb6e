"""Publish experiment events to the backplanes that a frozen config names.

Names are loaded when they are first used, so that `import backplane_runtime` costs a program that has not published yet
next to nothing.
"""

TYPE_CHECKING = False  # type checkers take it for true; importing `typing` alone would cost 10 ms

if TYPE_CHECKING:
    from backplane_runtime.backplanes.api import BackplaneError
    from backplane_runtime.backplanes.registry import Registration, register_backplane
    from backplane_runtime.binding import BoundPlane, SubjectPlane
    from backplane_runtime.config import ConfigError
    from backplane_runtime.data_plane import DataPlane, PublishError
    from backplane_runtime.defaults import context
    from backplane_runtime.envelope import Envelope, InvalidEventError
    from backplane_runtime.events import AnalysisSignal, Assignment, Error, Event, EventType, Exposure, Outcome
    from backplane_runtime.health import Health
    from backplane_runtime.ledger import Counts, LedgerView
    from backplane_runtime.receipts import Receipt
    from backplane_runtime.settings import SettingsError
    from backplane_runtime.status import Status

_HOMES = {
    "AnalysisSignal": "events",
    "Assignment": "events",
    "BackplaneError": "backplanes.api",
    "BoundPlane": "binding",
    "ConfigError": "config",
    "Counts": "ledger",
    "DataPlane": "data_plane",
    "Envelope": "envelope",
    "Error": "events",
    "Event": "events",
    "EventType": "events",
    "Exposure": "events",
    "Health": "health",
    "InvalidEventError": "envelope",
    "LedgerView": "ledger",
    "Outcome": "events",
    "PublishError": "data_plane",
    "Receipt": "receipts",
    "Registration": "backplanes.registry",
    "SettingsError": "settings",
    "Status": "status",
    "SubjectPlane": "binding",
    "context": "defaults",
    "register_backplane": "backplanes.registry",
}

__all__ = [
    "AnalysisSignal",
    "Assignment",
    "BackplaneError",
    "BoundPlane",
    "ConfigError",
    "Counts",
    "DataPlane",
    "Envelope",
    "Error",
    "Event",
    "EventType",
    "Exposure",
    "Health",
    "InvalidEventError",
    "LedgerView",
    "Outcome",
    "PublishError",
    "Receipt",
    "Registration",
    "SettingsError",
    "Status",
    "SubjectPlane",
    "context",
    "register_backplane",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    from importlib import import_module  # noqa: PLC0415 - see above

    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
