"""How values and kinds are named in messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from backplane_compiler.source import Mapping, Node, Scalar

_LONGEST_ECHO: Final = 60


def found(node: Node | None) -> str:
    """Name what stands in the document: `the string `abc``, `a list`, `nothing`."""
    if not isinstance(node, Scalar):
        return "nothing" if node is None else "a mapping" if isinstance(node, Mapping) else "a list"
    if node.value is None:
        return "nothing (null)"
    return f"{_kind(node)} {literal(node)}"


def literal(node: Node | None) -> str:
    """Return what stands in the document between backticks, shortened where it is long."""
    if not isinstance(node, Scalar) or node.value is None:
        return found(node)
    return f"`{shortened(node.text)}`"


def shortened(text: str) -> str:
    """Return *text*, cut where it is too long to be read in a message."""
    return text if len(text) <= _LONGEST_ECHO else text[: _LONGEST_ECHO - 1] + "…"


def one_of(words: Iterable[str]) -> str:
    """Return words as literals, separated by commas."""
    return ", ".join(f"`{word}`" for word in words)


def _kind(node: Scalar) -> str:
    if isinstance(node.value, bool):
        return "the bool"
    return "the string" if isinstance(node.value, str) else "the number"
