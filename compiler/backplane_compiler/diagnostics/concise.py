"""Diagnostics one a line, in the form that editors and grep read."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from backplane_compiler.diagnostics.masking import mask_diagnostic
from backplane_compiler.diagnostics.model import Diagnostic
from backplane_compiler.diagnostics.wording import one_line


def render_concise(diagnostics: Iterable[Diagnostic], *, secrets: Collection[str] = ()) -> str:
    """`file:line:column: severity[code]: message` for each; without the place where there is none."""
    return "".join(f"{_line(mask_diagnostic(diagnostic, secrets))}\n" for diagnostic in diagnostics)


def _line(diagnostic: Diagnostic) -> str:
    text = f"{diagnostic.severity}[{diagnostic.code}]: {one_line(diagnostic.message)}"
    if diagnostic.span is None:
        return text
    start = diagnostic.span.start
    return f"{one_line(diagnostic.span.file.name)}:{start.line}:{start.column}: {text}"
