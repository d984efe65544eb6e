"""The text that people see: each document in `golden/` against the file of the same name that ends in `.txt`.

`BACKPLANE_UPDATE_GOLDEN=1 pytest` writes the files anew; the change is then read in review.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backplane_compiler.diagnostics import SourceFile
from backplane_compiler.diagnostics.text import render_text
from backplane_compiler.source import parse_source

GOLDEN = Path(__file__).parent / "golden"
DOCUMENTS = sorted(path for path in GOLDEN.iterdir() if path.suffix in (".yaml", ".json"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_text_of(path: Path) -> None:
    file = SourceFile(path.name, path.read_bytes().decode())
    check_golden(path.with_suffix(".txt"), render_text(parse_source(file)[1]))


def check_golden(path: Path, text: str) -> None:
    if "BACKPLANE_UPDATE_GOLDEN" in os.environ:
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
