"""Diagnostics for people: the message, the source line with the place marked, the hint."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from backplane_compiler.diagnostics.masking import mask_diagnostic, mask_line
from backplane_compiler.diagnostics.model import Diagnostic, Severity
from backplane_compiler.diagnostics.span import Span
from backplane_compiler.diagnostics.wording import one_line, shown, width

_BOLD: Final = "1"
_BLUE: Final = "1;34"
_COLORS: Final = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.NOTE: "1;36"}
_MAX_LINE: Final = 160
_LEAD: Final = 40


@dataclass(frozen=True, slots=True)
class _Mark:
    """One underlined place: carets for the primary one, dashes for the others."""

    span: Span
    text: str
    sign: str
    color: str


@dataclass(frozen=True, slots=True)
class _Style:
    color: bool
    secrets: Collection[str]

    def paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and text else text


def render_text(diagnostics: Iterable[Diagnostic], *, color: bool = False, secrets: Collection[str] = ()) -> str:
    """All diagnostics in the order given, a blank line between two; empty when there are none.

    Occurrences of `secrets` are shown as `***`, in messages and in source lines. Nothing of the input reaches the
    terminal as a control sequence.
    """
    style = _Style(color, secrets)
    return "\n".join(_render(mask_diagnostic(diagnostic, secrets), style) for diagnostic in diagnostics)


def _render(diagnostic: Diagnostic, style: _Style) -> str:
    head = style.paint(f"{diagnostic.severity}[{diagnostic.code}]", _COLORS[diagnostic.severity])
    lines = [f"{head}{style.paint(f': {one_line(diagnostic.message)}', _BOLD)}"]
    if diagnostic.span is not None:
        lines += _snippets(_marks(diagnostic, diagnostic.span), style)
    if diagnostic.hint is not None:
        lines.append(f"{style.paint('hint', _COLORS[Severity.NOTE])}: {one_line(diagnostic.hint)}")
    return "".join(f"{line}\n" for line in lines)


def _marks(diagnostic: Diagnostic, primary: Span) -> list[_Mark]:
    """The primary place first; a label on it gives it its text."""
    on_primary = [label.text for label in diagnostic.labels if label.span == primary]
    marks = [_Mark(primary, ", ".join(on_primary), "^", _COLORS[diagnostic.severity])]
    marks += [_Mark(label.span, label.text, "-", _BLUE) for label in diagnostic.labels if label.span != primary]
    return marks


def _snippets(marks: list[_Mark], style: _Style) -> Iterator[str]:
    """A block for each file, the one of the primary place first."""
    gutter = max(len(str(mark.span.start.line)) for mark in marks)
    files = list(dict.fromkeys(mark.span.file for mark in marks))
    for file in files:
        in_file = [mark for mark in marks if mark.span.file == file]
        start = in_file[0].span.start
        arrow = "-->" if file is files[0] else ":::"
        place = f"{one_line(file.name)}:{start.line}:{start.column}"
        yield f"{' ' * gutter} {style.paint(arrow, _BLUE)} {place}"
        yield style.paint(f"{' ' * gutter}  |", _BLUE)
        yield from _file_lines(in_file, gutter, style)


def _file_lines(marks: list[_Mark], gutter: int, style: _Style) -> Iterator[str]:
    """The marked lines in order, `...` where lines between them are left out."""
    last = None
    by_line = sorted(marks, key=lambda mark: mark.span.start.line)
    for line, group in groupby(by_line, key=lambda mark: mark.span.start.line):
        if last is not None and line > last + 1:
            yield "..."
        source = marks[0].span.file.line_text(line)
        on_line = list(group)
        # Of a line too long to be shown whole, each mark gets the window around itself.
        for together in [on_line] if len(source) <= _MAX_LINE else [[mark] for mark in on_line]:
            yield from _marked_line(source, together, f"{line:>{gutter}}", style)
        last = line


def _marked_line(source: str, marks: list[_Mark], number: str, style: _Style) -> Iterator[str]:
    columns = tuple(column for mark in marks for column in _columns(mark.span, source))
    source, columns = mask_line(source, columns, style.secrets)
    source, columns = _cut(source, columns)
    cells = [shown(char) for char in source]
    text = "".join(cells).rstrip()
    yield style.paint(f" {number} |", _BLUE) + (f" {text}" if text else "")
    bar = style.paint(f"{' ' * len(number)}  |", _BLUE)
    for mark, start, end in zip(marks, columns[::2], columns[1::2], strict=True):
        indent = width("".join(cells[:start]))
        length = max(1, width("".join(cells[start:end])))
        underline = f"{mark.sign * length} {one_line(mark.text)}".rstrip()
        yield f"{bar} {' ' * indent}{style.paint(underline, mark.color)}"


def _columns(span: Span, source: str) -> tuple[int, int]:
    """First and last column of the mark, from 0; of a span over several lines the rest of its first line."""
    start, end = span.start, span.end
    last = end.column - 1 if end.line == start.line else len(source.rstrip())
    return start.column - 1, max(last, start.column - 1)


def _cut(source: str, columns: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """A window of a very long line (generated JSON) that begins shortly before its mark."""
    if len(source) <= _MAX_LINE:
        return source, columns
    start = max(0, min(min(columns) - _LEAD, len(source) - _MAX_LINE))
    window = source[start : start + _MAX_LINE]
    window = ("…" if start else window[:1]) + window[1:-1] + ("…" if start + _MAX_LINE < len(source) else window[-1:])
    return window, tuple(min(max(column - start, 0), _MAX_LINE) for column in columns)
