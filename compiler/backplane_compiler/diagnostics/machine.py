"""Diagnostics as JSON for other programs; the field names are a promise."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any

from backplane_compiler.diagnostics.masking import mask_diagnostic
from backplane_compiler.diagnostics.model import Diagnostic
from backplane_compiler.diagnostics.span import Position, Span


def render_json(diagnostics: Iterable[Diagnostic], *, secrets: Collection[str] = ()) -> str:
    """An array with one object for each diagnostic, always with all of its fields.

    Lines and columns count from 1, in characters; offsets from 0; ends are exclusive.
    """
    found = [diagnostic_object(mask_diagnostic(diagnostic, secrets)) for diagnostic in diagnostics]
    return json.dumps(found, indent=2) + "\n"


def diagnostic_object(diagnostic: Diagnostic) -> dict[str, Any]:
    """One diagnostic as plain data, for outputs that hold more than diagnostics."""
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "span": None if diagnostic.span is None else _span(diagnostic.span),
        "labels": [{"span": _span(label.span), "text": label.text} for label in diagnostic.labels],
        "hint": diagnostic.hint,
    }


def _span(span: Span) -> dict[str, Any]:
    return {"file": span.file.name, "start": _position(span.start), "end": _position(span.end)}


def _position(position: Position) -> dict[str, int]:
    return {"line": position.line, "column": position.column, "offset": position.offset}
