"""Scalars as people write them: with a unit, in any case, as digits in quotes; and the values that they mean."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, Strict, WithJsonSchema

from backplane_runtime.events import EventType
from backplane_runtime.settings.base import coerce

_DURATION = re.compile(r"(?P<count>\d+)(?P<unit>ms|s|m|h|d|w)\Z", re.ASCII)
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
UNLIMITED = -1
MAX_MILLISECONDS = 2**63 - 1  # the longest that any service can store
_MOST_DIGITS = 20


def parse_duration(value: Any) -> Any:
    """Return the milliseconds of `30d`, `12h`, `5m`, `90s`, `500ms`; `unlimited` is -1.

    Raises:
        ValueError: for a string of another form, and for a number, whose unit would be a guess.
    """
    if isinstance(value, str):
        if value.casefold() == "unlimited":
            return UNLIMITED
        if match := _DURATION.match(value):
            milliseconds = int(match["count"].lstrip("0")[:_MOST_DIGITS] or "0") * _MILLISECONDS[match["unit"]]
            if milliseconds > MAX_MILLISECONDS:
                raise ValueError("is too long; write `unlimited`, where there is no limit")
            return milliseconds
        raise ValueError("is not a duration; write a number with a unit, such as `30d`, `12h`, `5m`, `90s` or `500ms`")
    if isinstance(value, bool):
        raise ValueError("is not a duration; write a number with a unit, such as `30d`")  # noqa: TRY004  pydantic collects it
    if isinstance(value, (int, float)):
        raise ValueError(f"has no unit; write `{value}ms`, `{value}s`, `{value}m`, `{value}h` or `{value}d`")  # noqa: TRY004
    return value


def duration_text(milliseconds: int) -> str:
    """Return *milliseconds* as a document writes them, in the largest unit up to days that is exact."""
    units = ((unit, size) for unit, size in reversed(_MILLISECONDS.items()) if unit != "w")
    return next(f"{milliseconds // size}{unit}" for unit, size in units if milliseconds % size == 0)


Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {"type": "string", "pattern": r"^(\d+(ms|s|m|h|d|w)|unlimited)$", "examples": ["30d", "12h", "90s"]}
    ),
]


def spelled(annotation: Any) -> BeforeValidator:
    """Return the validator that gives a value the spelling that *annotation* has, as settings do (`coerce`)."""
    return BeforeValidator(_coercion(annotation))


def _coercion(annotation: Any) -> Callable[[Any], Any]:
    def coerced(value: Any) -> Any:
        # An unquoted `4.1` is a number in YAML and means the word where only words are allowed.
        return coerce(annotation, str(value) if isinstance(value, float) else value)

    return coerced


def _event_type(value: Any) -> Any:
    for item in EventType:
        if isinstance(value, str) and item.value.casefold() == value.casefold():
            return item
    raise ValueError(f"must be an event type ({', '.join(f'`{item.value}`' for item in EventType)})")


EventName = Annotated[EventType, BeforeValidator(_event_type)]
# A number, or its digits in quotes; never a bool, which Python takes for a number.
Count = Annotated[int, BeforeValidator(lambda value: coerce(int, value)), Strict()]
