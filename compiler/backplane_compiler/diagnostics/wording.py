"""Text of unknown origin made fit for one line of a terminal or a log."""

from __future__ import annotations

import unicodedata
from typing import Final

_TAB_WIDTH: Final = 4
_UNSAFE: Final = ("Cc", "Cs", "Zl", "Zp")
_BIDI_CONTROLS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def one_line(text: str) -> str:
    """The text with control characters, line breaks and bidirectional overrides written as escapes."""
    if text.isprintable():
        return text
    return "".join(char.encode("unicode_escape").decode() if _is_unsafe(char) else char for char in text)


def shown(char: str) -> str:
    """One character of a source line as a terminal may have it: a tab as spaces, a control character as `�`."""
    if char == "\t":
        return " " * _TAB_WIDTH
    return "\ufffd" if _is_unsafe(char) else char


def width(text: str) -> int:
    """How many columns of a terminal the text takes, after `shown`."""
    return len(text) if text.isascii() else sum(_char_width(char) for char in text)


def _char_width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def _is_unsafe(char: str) -> bool:
    return not char.isprintable() and (unicodedata.category(char) in _UNSAFE or char in _BIDI_CONTROLS)
