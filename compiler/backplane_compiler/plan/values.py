"""Values as people read them: durations and sizes in the largest unit that is exact, and nothing that moves a terminal."""

from __future__ import annotations

import re

from backplane_compiler.infra.kinds import NEVER, NO_LIMIT, Unit
from backplane_compiler.infra.state import Value
from backplane_compiler.schema.scalars import duration_text

_SIZES = ((1 << 40, " TiB"), (1 << 30, " GiB"), (1 << 20, " MiB"), (1 << 10, " KiB"), (1, " B"))
_UNLIMITED = frozenset({NO_LIMIT, NEVER, 2**63 - 1})  # the last is Java's Long.MAX_VALUE, as Kafka has it
# C0, DEL, C1, and the characters that change a line's direction or break it (Unicode TR 9; "Trojan Source").
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def value_text(value: Value | None, unit: Unit = Unit.NONE) -> str:
    """Return *value* for people; `None` is what is not there."""
    if value is None:
        return "(none)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and unit is not Unit.NONE:
        return _with_unit(value, unit)
    if isinstance(value, tuple):
        return escaped(",".join(value)) or "(empty)"
    return escaped(str(value)) or "(empty)"


def escaped(text: str) -> str:
    r"""Return *text* with control characters written as `\x1b`, so that no name can move the cursor or hide a line."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)


def _with_unit(value: int, unit: Unit) -> str:
    if value in _UNLIMITED:
        return "unlimited"  # the document's own word for it
    if value <= 0:
        return str(value)
    if unit is Unit.MILLISECONDS:
        return duration_text(value)
    return next(f"{value // size}{name}" for size, name in _SIZES if value % size == 0)
