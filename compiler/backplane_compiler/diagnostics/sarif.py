"""Diagnostics as SARIF 2.1.0 (OASIS), for code scanning."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import PurePath, PurePosixPath
from typing import Any, Final

from backplane_compiler.diagnostics.codes import find_code
from backplane_compiler.diagnostics.masking import mask_diagnostic
from backplane_compiler.diagnostics.model import Diagnostic, Label
from backplane_compiler.diagnostics.span import Span

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render_sarif(diagnostics: Iterable[Diagnostic], *, secrets: Collection[str] = ()) -> str:
    """One run with a rule for each code that occurs; source text is not part of it."""
    found = [mask_diagnostic(diagnostic, secrets) for diagnostic in diagnostics]
    codes = sorted({diagnostic.code for diagnostic in found})
    run = {
        "tool": {"driver": {"name": "backplane", "rules": [_rule(code) for code in codes]}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(diagnostic, codes.index(diagnostic.code)) for diagnostic in found],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(name: str) -> dict[str, Any]:
    code = find_code(name)
    return {
        "id": code.name,
        "shortDescription": {"text": code.title},
        "help": {"text": code.explanation, "markdown": code.explanation},
    }


def _result(diagnostic: Diagnostic, rule_index: int) -> dict[str, Any]:
    hint = "" if diagnostic.hint is None else f"\nhint: {diagnostic.hint}"
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": rule_index,
        "level": diagnostic.severity.value,
        "message": {"text": diagnostic.message + hint},
    }
    if diagnostic.span is not None:
        result["locations"] = [{"physicalLocation": _location(diagnostic.span)}]
    if diagnostic.labels:
        result["relatedLocations"] = [_related(index, label) for index, label in enumerate(diagnostic.labels)]
    return result


def _related(index: int, label: Label) -> dict[str, Any]:
    return {"id": index, "message": {"text": label.text}, "physicalLocation": _location(label.span)}


def _location(span: Span) -> dict[str, Any]:
    start, end = span.start, span.end
    region = {"startLine": start.line, "startColumn": start.column, "endLine": end.line, "endColumn": end.column}
    return {"artifactLocation": {"uri": _uri(span.file.name)}, "region": region}


def _uri(name: str) -> str:
    path = PurePath(name)
    if path.is_absolute():
        return path.as_uri()
    return PurePosixPath("/", path.as_posix()).as_uri().removeprefix("file:///")
