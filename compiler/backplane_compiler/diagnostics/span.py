"""Places in source text: lines and columns from 1, in characters; offsets from 0."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

_LINE_BREAK = re.compile(r"\r\n|\n|\r")


class Position(NamedTuple):
    """A point between two characters of a file."""

    line: int
    column: int
    offset: int


@dataclass(frozen=True)
class SourceFile:
    """The text of one input under the name that the user knows it by.

    Not slotted: the line table is computed at the first diagnostic, which most files never see.
    """

    name: str
    text: str

    @cached_property
    def _line_starts(self) -> tuple[int, ...]:
        return (0, *(match.end() for match in _LINE_BREAK.finditer(self.text)))

    def position(self, offset: int) -> Position:
        """The line and column of a character offset; offsets outside the text are clamped."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self._line_starts, offset)
        return Position(line, offset - self._line_starts[line - 1] + 1, offset)

    def line_text(self, line: int) -> str:
        """The text of a line without its line break; empty outside the file."""
        if not 1 <= line <= len(self._line_starts):
            return ""
        start = self._line_starts[line - 1]
        end = self._line_starts[line] if line < len(self._line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")


class Span(NamedTuple):
    """A stretch of one file, `end` exclusive.

    A named tuple like `Position`, not a dataclass: a large document has several hundred thousand of them,
    and a frozen dataclass takes four times as long to make.
    """

    file: SourceFile
    start: Position
    end: Position

    @classmethod
    def at_start(cls, file: SourceFile) -> Span:
        """The empty span at the first character: where a fact about the whole file is shown."""
        start = Position(1, 1, 0)
        return cls(file, start, start)

    @classmethod
    def from_offsets(cls, file: SourceFile, start: int, end: int) -> Span:
        """The span between two character offsets."""
        return cls(file, file.position(start), file.position(max(start, end)))
