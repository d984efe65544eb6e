"""Scalars by the core schema of YAML 1.2.2, section 10.3.2: `no`, `12:30:00` and dates stay text, `012` is 12."""

from __future__ import annotations

import re
from typing import Final

from backplane_compiler.source.tree import Value

_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_NUMBER_STARTS: Final = frozenset("-+.0123456789")
_BASES: Final = {"0o": 8, "0x": 16}
_TAG_PREFIX: Final = "tag:yaml.org,2002:"


def resolve_plain(text: str) -> Value:
    """The value of an unquoted scalar without a tag.

    Raises:
        ValueError: a number too large to be kept exactly (int) or at all (float).
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    if _INT.fullmatch(text):
        return _int(text)
    if _FLOAT.fullmatch(text):
        return _float(text)
    return text


def resolve_tagged(text: str, tag: str) -> Value:
    """The value of a scalar under an explicit tag.

    Raises:
        ValueError: the text is no such value; the message is what to tell the user.
        LookupError: the tag is none of the core schema.
    """
    name = tag.removeprefix(_TAG_PREFIX)
    if tag == "!" or name == "str":
        return text
    if name == tag or name not in ("null", "bool", "int", "float"):
        raise LookupError(tag)
    value = resolve_plain(text)
    if name == "float" and type(value) is int:
        return _float(text)
    if type(value).__name__.removesuffix("Type").replace("None", "null") != name:
        raise ValueError(f"`{text}` is not a value for the tag `!!{name}`")
    return value


def is_collection_tag(tag: str, kind: str) -> bool:
    """Whether an explicit tag on a collection says no more than its form: `!!map` or `!!seq`."""
    return tag in ("!", _TAG_PREFIX + kind)


def shown_tag(tag: str) -> str:
    """A tag as it is written in a document."""
    return tag if not tag.startswith(_TAG_PREFIX) else "!!" + tag.removeprefix(_TAG_PREFIX)


def _int(text: str) -> int:
    try:
        return int(text[2:], _BASES[text[:2]]) if text[:2] in _BASES else int(text)
    except ValueError:  # Python refuses more than 4300 digits, because the time for them is quadratic
        raise ValueError(f"a number of {len(text)} digits is too large") from None


def _float(text: str) -> float:
    if text[-1] in "fFnN":
        return float(text.replace(".", "", 1))
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"`{text}` is too large for a floating-point number")
    return value
