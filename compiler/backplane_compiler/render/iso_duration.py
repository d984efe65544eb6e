"""Durations as Azure writes them: ISO 8601."""

from __future__ import annotations

from backplane_compiler.infra.kinds import NEVER

# .NET's longest time span, which milliseconds cannot say exactly.
LONGEST = "P10675199DT2H48M5.4775807S"
_UNITS = (("D", 86_400_000), ("H", 3_600_000), ("M", 60_000))


def iso_duration(milliseconds: int) -> str:
    """Return *milliseconds* in ISO 8601: `P14D`, `PT1M30S`, `PT0.5S`; `NEVER` and more is .NET's longest time span."""
    if milliseconds >= NEVER:
        return LONGEST
    parts: dict[str, int] = {}
    for unit, size in _UNITS:
        parts[unit], milliseconds = divmod(milliseconds, size)
    days = f"{parts['D']}D" if parts["D"] else ""
    time = "".join(f"{parts[unit]}{unit}" for unit in "HM" if parts[unit])
    if milliseconds or not (days or time):
        time += f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".") + "S"
    return f"P{days}T{time}" if time else f"P{days}"
