"""Values as people read them: durations and sizes in the largest unit that is exact, and nothing that moves a terminal."""

from __future__ import annotations

import re

from backplane_compiler.infra.kinds import Unit
from backplane_compiler.infra.state import Value

_DURATIONS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms"))
_SIZES = ((1 << 40, " TiB"), (1 << 30, " GiB"), (1 << 20, " MiB"), (1 << 10, " KiB"), (1, " B"))
# .NET's TimeSpan.MaxValue and Java's Long.MAX_VALUE, in milliseconds: how Service Bus and Kafka say "never".
_NEVER = frozenset({922_337_203_685_477, 2**63 - 1})
# C0, DEL, C1, and the characters that change a line's direction or break it (Unicode TR 9; "Trojan Source").
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def value_text(value: Value | None, unit: Unit = Unit.NONE) -> str:
    """Return *value* for people; `None` is what is not there."""
    if value is None:
        return "(none)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and unit is not Unit.NONE:
        return _duration(value) if unit is Unit.MILLISECONDS else _with_unit(value, _SIZES)
    if isinstance(value, tuple):
        return escaped(",".join(value)) or "(empty)"
    return escaped(str(value)) or "(empty)"


def escaped(text: str) -> str:
    r"""Return *text* with control characters written as `\x1b`, so that no name can move the cursor or hide a line."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)


def _duration(milliseconds: int) -> str:
    return "unlimited" if milliseconds in _NEVER else _with_unit(milliseconds, _DURATIONS)


def _with_unit(value: int, units: tuple[tuple[int, str], ...]) -> str:
    if value <= 0:
        return str(value)
    return next(f"{value // size}{name}" for size, name in units if value % size == 0)
