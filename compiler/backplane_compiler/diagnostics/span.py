"""Places in source text: lines and columns from 1, in characters; offsets from 0."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Self

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
    text: str = field(repr=False)  # a document may hold secrets

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


class _Offsets(NamedTuple):
    file: SourceFile
    start_offset: int
    end_offset: int


class Span(_Offsets):
    """A stretch of one file, `end` exclusive.

    Kept as two offsets, in a tuple: a large document has several hundred thousand spans, of which a handful are
    ever shown. Lines and columns are worked out from the file's text when asked for.
    """

    __slots__ = ()

    def __new__(cls, file: SourceFile, start: Position, end: Position) -> Self:
        """The span between two positions of the file."""
        return tuple.__new__(cls, (file, start.offset, end.offset))

    @classmethod
    def at_start(cls, file: SourceFile) -> Self:
        """The empty span at the first character: where a fact about the whole file is shown."""
        return tuple.__new__(cls, (file, 0, 0))

    @classmethod
    def from_offsets(cls, file: SourceFile, start: int, end: int) -> Self:
        """The span between two character offsets."""
        return tuple.__new__(cls, (file, start, end))

    @property
    def start(self) -> Position:
        """The place of the first character."""
        return self.file.position(self.start_offset)

    @property
    def end(self) -> Position:
        """The place behind the last character."""
        return self.file.position(self.end_offset)
