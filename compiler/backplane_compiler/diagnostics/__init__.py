"""Diagnostics as values: places, findings, codes; the renderers are imported from their own modules."""

from backplane_compiler.diagnostics.codes import Code, code_names, explanation, find_code
from backplane_compiler.diagnostics.model import Diagnostic, Label, Severity, has_errors, sort_key
from backplane_compiler.diagnostics.span import Position, SourceFile, Span
from backplane_compiler.diagnostics.suggest import nearest

__all__ = [
    "Code",
    "Diagnostic",
    "Label",
    "Position",
    "Severity",
    "SourceFile",
    "Span",
    "code_names",
    "explanation",
    "find_code",
    "has_errors",
    "nearest",
    "sort_key",
]
