"""The examples of the pages do what the pages say."""

from __future__ import annotations

import pytest

from backplane_compiler.diagnostics import code_names, find_code
from tests.compiler.checking import check

# Pages of the reading phases have their own test; an environment is chosen beside the document.
_READING = (
    "binary-file",
    "duplicate-key",
    "empty-document",
    "json-syntax",
    "no-such-file",
    "not-a-file",
    "not-utf8",
    "several-documents",
    "too-deep",
    "too-large",
    "unreadable-file",
)
_CODES = [name for name in code_names() if name not in _READING and not name.startswith("yaml-")]
_YAML = [name for name in _CODES if find_code(name).language == "yaml" and name != "unknown-environment"]


@pytest.mark.parametrize("name", _YAML)
def test_bad_example_gets_this_code_and_no_other(name: str) -> None:
    """One cause, one diagnostic."""
    assert check(find_code(name).example_bad).codes == [name]


@pytest.mark.parametrize("name", _YAML)
def test_good_example_is_passed_in_silence(name: str) -> None:
    """What a page recommends has nothing wrong in it."""
    checked = check(find_code(name).example_good)
    assert not checked.out
    assert checked.frozen is not None


def test_unknown_environment_is_named_with_the_nearest() -> None:
    """The environment comes from the command line."""
    found = check(find_code("unknown-environment").example_bad, env="prd").diagnostics
    assert [(item.code, item.hint) for item in found] == [("unknown-environment", "did you mean `prod`?")]
