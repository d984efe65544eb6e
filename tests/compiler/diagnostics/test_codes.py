"""Codes and their pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import backplane_compiler
from backplane_compiler.diagnostics import (
    Diagnostic,
    Severity,
    SourceFile,
    Span,
    code_names,
    explanation,
    find_code,
    has_errors,
    sort_key,
)
from backplane_compiler.source import parse_source
from backplane_compiler.source.references import check_references
from backplane_runtime import settings

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
# Codes are given by the compiler, and by the settings, whose refusals the compiler shows.
GIVERS = (Path(backplane_compiler.__path__[0]), Path(settings.__path__[0]))
SOURCES = "\n".join(path.read_text() for giver in GIVERS for path in giver.rglob("*.py"))
SOURCE_CODES = {
    "yaml-syntax",
    "json-syntax",
    "duplicate-key",
    "empty-document",
    "several-documents",
    "malformed-reference",
}


@pytest.mark.parametrize("name", code_names())
def test_every_page_is_complete_and_its_code_in_use(name: str) -> None:
    code = find_code(name)
    assert SLUG.fullmatch(name)
    assert code.title[0] in "`" + code.title[0].lower()
    assert not code.title.endswith(".")
    assert code.explanation == explanation(name)
    headings = re.findall(r"^## (.+)$", code.explanation, re.MULTILINE)
    assert headings == ["Why it matters", "Bad", "Good", "What to do"]
    assert f'"{name}"' in SOURCES, "no code gives this diagnostic: remove the page"


@pytest.mark.parametrize("name", [name for name in code_names() if name in SOURCE_CODES or name.startswith("yaml-")])
def test_the_examples_of_source_codes(name: str) -> None:
    """The bad one gives the code; the good one is silent."""
    code = find_code(name)
    assert [*codes_of(code.example_bad, code.language)][:1] == [name]
    assert codes_of(code.example_good, code.language) == []


def codes_of(text: str, language: str) -> list[str]:
    node, diagnostics = parse_source(SourceFile(f"doc.{language}", text))
    checked = [] if node is None else check_references(node)
    return [diagnostic.code for diagnostic in (*diagnostics, *checked)]


def test_an_unknown_code_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="unknown diagnostic code `no-such-code`"):
        Diagnostic("no-such-code", Severity.ERROR, "x", None)
    with pytest.raises(KeyError):
        explanation("../codes")


def test_order_is_by_file_line_column_and_code() -> None:
    file = SourceFile("b.yaml", "x\ny")
    places = [Span.from_offsets(file, 2, 3), Span.at_start(SourceFile("a.yaml", "")), Span.at_start(file), None]
    found = [Diagnostic("yaml-key", Severity.NOTE, str(i), place) for i, place in enumerate(places)]
    assert [diagnostic.message for diagnostic in sorted(found, key=sort_key)] == ["3", "1", "2", "0"]
    assert not has_errors(found)
    assert has_errors([*found, Diagnostic("yaml-key", Severity.ERROR, "x", None)])
