"""Documents with what the compiler says about them, one folder of cases; `BACKPLANE_UPDATE_GOLDEN=1` rewrites the answers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.compiler.checking import check

_GOLDEN = Path(__file__).parents[1] / "golden"
_BAD = sorted((_GOLDEN / "err").glob("*.yaml"))
_GOOD = sorted((_GOLDEN / "ok").glob("*.yaml"))


@pytest.mark.parametrize("path", _BAD, ids=lambda path: path.stem)
def test_bad_documents_get_exactly_these_diagnostics(path: Path) -> None:
    """Code, place and text of each diagnostic are those of the `.out` file."""
    answer = path.with_suffix(".out")
    out = check(path.read_text(encoding="utf-8"), name=path.name).out
    if os.environ.get("BACKPLANE_UPDATE_GOLDEN"):
        answer.write_text(out, encoding="utf-8")
    assert out
    assert out == answer.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", _GOOD, ids=lambda path: path.stem)
def test_good_documents_are_passed_in_silence(path: Path) -> None:
    """No error, no warning, no note, and a frozen config."""
    checked = check(path.read_text(encoding="utf-8"), name=path.name)
    assert not checked.out
    assert checked.frozen is not None


def test_there_are_enough_cases() -> None:
    """The folder did not get lost."""
    assert len(_BAD) >= 40
    assert len(_GOOD) >= 10
