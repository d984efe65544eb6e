"""Whatever a document says, the compiler answers with diagnostics: good documents with parts replaced by anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.compiler.checking import check

_ROOT = Path(__file__).parents[2]
_GOOD = [
    yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in (*sorted(_ROOT.glob("samples/*/backplane.yaml")), *sorted(_ROOT.glob("tests/golden/*/*.yaml")))
    if path.stem != "plane-not-finite"  # JSON has no such number
]
_WORDS = (
    "",
    "a",
    "kafka",
    "composite",
    "exposure",
    "${env:X}",
    "${",
    "5m",
    "-1",
    "é\u2028",
    "x" * 300,
    "a://b:c@d",
    "password=x;...",
)
_ANYTHING = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(_WORDS),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from((*_WORDS, "type", "name", "key")), inner, max_size=3),
    ),
    max_leaves=6,
)


def _places(plain: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path]
    pairs = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    for key, value in pairs:
        found += _places(value, (*path, key))
    return found


def _replaced(plain: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    copy = plain.copy()
    copy[path[0]] = _replaced(plain[path[0]], path[1:], value)
    return copy


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_damaged_document_is_answered_with_diagnostics(data: st.DataObject) -> None:
    """No exception, and never neither an error nor a frozen config."""
    plain = data.draw(st.sampled_from(_GOOD))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(_places(plain)))
        plain = _replaced(plain, path, data.draw(_ANYTHING))
    checked = check(json.dumps(plain), name="doc.json", env=data.draw(st.sampled_from((None, "dev"))))
    assert checked.frozen is not None or "error[" in checked.out
