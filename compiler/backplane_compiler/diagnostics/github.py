"""Diagnostics as workflow commands of GitHub Actions, which become annotations on the changed lines."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from backplane_compiler.diagnostics.masking import mask_diagnostic
from backplane_compiler.diagnostics.model import Diagnostic, Severity
from backplane_compiler.diagnostics.span import Span

_COMMANDS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
# https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts (escapeData, escapeProperty)
_DATA_ESCAPES: Final = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY_ESCAPES: Final = _DATA_ESCAPES | str.maketrans({":": "%3A", ",": "%2C"})


def render_github(diagnostics: Iterable[Diagnostic], *, secrets: Collection[str] = ()) -> str:
    """One command a line; the hint is a second line of the message."""
    return "".join(f"{_command(mask_diagnostic(diagnostic, secrets))}\n" for diagnostic in diagnostics)


def _command(diagnostic: Diagnostic) -> str:
    properties = {**_place(diagnostic.span), "title": diagnostic.code}
    listed = ",".join(f"{name}={value.translate(_PROPERTY_ESCAPES)}" for name, value in properties.items())
    hint = "" if diagnostic.hint is None else f"\nhint: {diagnostic.hint}"
    return f"::{_COMMANDS[diagnostic.severity]} {listed}::{(diagnostic.message + hint).translate(_DATA_ESCAPES)}"


def _place(span: Span | None) -> dict[str, str]:
    """GitHub takes columns only for a span within one line, and its `endColumn` is the last one, inclusive."""
    if span is None:
        return {}
    start, end = span.start, span.end
    place = {"file": span.file.name, "line": str(start.line), "endLine": str(end.line)}
    if start.line == end.line:
        place |= {"col": str(start.column), "endColumn": str(max(start.column, end.column - 1))}
    return place
