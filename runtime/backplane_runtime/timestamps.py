"""Moments as text: RFC 3339, UTC, always six digits of microseconds, `Z`. So text order is time order."""

from __future__ import annotations

import time
from datetime import UTC, datetime

LENGTH = 27  # 2026-01-31T23:59:59.123456Z

nanoseconds = time.time_ns


def to_second(seconds: int) -> str:
    """Return the beginning of a moment's text, up to the dot: *seconds* of the Unix clock."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(seconds))


def now() -> str:
    """Return this moment."""
    seconds, rest = divmod(nanoseconds(), 1_000_000_000)
    return f"{to_second(seconds)}{rest // 1000:06d}Z"


def canonical(moment: str | datetime) -> str:
    """Return *moment* in the one form that this project writes.

    Raises:
        ValueError: if it is no moment, or has no offset: a local time without one means something else elsewhere.
    """
    instant = moment if isinstance(moment, datetime) else _parsed(moment)
    # The dash at 7 tells months from weeks: `2026-W01-1T…` is as long.
    if isinstance(moment, str) and len(moment) == LENGTH and moment[7] + moment[10:20:9] + moment[-1] == "-T.Z":
        return moment
    if instant.tzinfo is None:
        raise ValueError("it has no offset from UTC; end it with `Z`, or use an aware datetime")
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(LENGTH, "0")


def _parsed(moment: str) -> datetime:
    try:
        return datetime.fromisoformat(moment)
    except ValueError:  # its text quotes what was given, and that may be an identifier in the wrong place
        raise ValueError("it is no moment such as `2026-01-31T23:59:59Z`") from None


def age(moment: str) -> float:
    """Return how many seconds ago *moment* was, which has the form of the wire."""
    return time.time() - datetime.fromisoformat(moment).timestamp()
