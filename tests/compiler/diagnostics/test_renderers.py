"""The forms for other programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from backplane_compiler.diagnostics import Diagnostic, Label, Severity, SourceFile, Span
from backplane_compiler.diagnostics.concise import render_concise
from backplane_compiler.diagnostics.github import render_github
from backplane_compiler.diagnostics.machine import render_json
from backplane_compiler.diagnostics.sarif import render_sarif
from backplane_compiler.diagnostics.text import render_text

FILE = SourceFile("a b/doc,1.yaml", "x: 1\nkey: pw\n")
FIRST, SECOND = Span.from_offsets(FILE, 0, 1), Span.from_offsets(FILE, 5, 8)
FOUND = [
    Diagnostic("duplicate-key", Severity.ERROR, "100% `key`\ntwice", SECOND, (Label(FIRST, "first"),), "remove it"),
    Diagnostic("no-such-file", Severity.WARNING, "there is no file", None),
]


def test_concise() -> None:
    assert render_concise(FOUND) == (
        "a b/doc,1.yaml:2:1: error[duplicate-key]: 100% `key`\\ntwice\nwarning[no-such-file]: there is no file\n"
    )


def test_github_escapes_data_and_properties() -> None:
    assert render_github(FOUND).splitlines() == [
        "::error file=a b/doc%2C1.yaml,line=2,endLine=2,col=1,endColumn=3,title=duplicate-key::100%25 `key`%0Atwice%0Ahint: remove it",
        "::warning title=no-such-file::there is no file",
    ]


def test_json_has_all_fields() -> None:
    first, second = json.loads(render_json(FOUND))
    assert first == {
        "code": "duplicate-key",
        "severity": "error",
        "message": "100% `key`\ntwice",
        "span": {
            "file": "a b/doc,1.yaml",
            "start": {"line": 2, "column": 1, "offset": 5},
            "end": {"line": 2, "column": 4, "offset": 8},
        },
        "labels": [
            {
                "span": {
                    "file": "a b/doc,1.yaml",
                    "start": {"line": 1, "column": 1, "offset": 0},
                    "end": {"line": 1, "column": 2, "offset": 1},
                },
                "text": "first",
            }
        ],
        "hint": "remove it",
    }
    assert (second["span"], second["labels"], second["hint"]) == (None, [], None)
    assert json.loads(render_json([])) == []


def test_sarif_names_rules_places_and_related_places() -> None:
    log: dict[str, Any] = json.loads(render_sarif(FOUND))
    (run,) = log["runs"]
    first, second = run["results"]
    assert log["version"] == "2.1.0"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["duplicate-key", "no-such-file"]
    assert (first["ruleIndex"], first["level"], first["message"]["text"]) == (
        0,
        "error",
        "100% `key`\ntwice\nhint: remove it",
    )
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "a%20b/doc%2C1.yaml"}
    assert place["region"] == {"startLine": 2, "startColumn": 1, "endLine": 2, "endColumn": 4}
    assert first["relatedLocations"][0]["message"] == {"text": "first"}
    assert "locations" not in second


@pytest.mark.parametrize("render", [render_text, render_concise, render_json, render_sarif, render_github])
def test_every_form_masks_secrets(render: Callable[..., str]) -> None:
    planted = 'p"w\\hunter2'
    file = SourceFile("f.yaml", f"key: '{planted}'\n")
    place = Span.from_offsets(file, 0, 3)
    found = [Diagnostic("yaml-value", Severity.NOTE, f"a {planted}", place, (Label(place, planted),), planted)]
    assert "hunter2" in render(found)
    assert "hunter2" not in render(found, secrets=[planted])
    assert "a ***" in render(found, secrets=[planted])
