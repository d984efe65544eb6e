"""Scalars that people write with a unit, and the numbers that they mean."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_DURATION = re.compile(r"(?P<count>\d+)(?P<unit>ms|s|m|h|d|w)\Z", re.ASCII)
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
UNLIMITED = -1


def parse_duration(value: Any) -> Any:
    """Return the milliseconds of `30d`, `12h`, `5m`, `90s`, `500ms`; `unlimited` is -1.

    Raises:
        ValueError: for a string of another form, and for a number, whose unit would be a guess.
    """
    if isinstance(value, str):
        if value.casefold() == "unlimited":
            return UNLIMITED
        if match := _DURATION.match(value):
            return int(match["count"]) * _MILLISECONDS[match["unit"]]
        raise ValueError("is not a duration; write a number with a unit, such as `30d`, `12h`, `5m`, `90s` or `500ms`")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueError(f"has no unit; write `{value}ms`, `{value}s`, `{value}m`, `{value}h` or `{value}d`")
    return value


Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+(ms|s|m|h|d|w)|unlimited)$", "examples": ["30d", "12h", "90s"]}),
]
