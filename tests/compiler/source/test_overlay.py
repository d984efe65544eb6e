"""RFC 7396 on located trees."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backplane_compiler.diagnostics import SourceFile
from backplane_compiler.source import Mapping, Node, merge, span_of, to_plain
from backplane_compiler.source.json_reader import parse_json

KEYS = st.sampled_from("abcd")
SCALARS = st.integers(0, 9) | st.text(max_size=2)


def objects(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    inner = st.recursive(
        leaves, lambda x: st.lists(x, max_size=2) | st.dictionaries(KEYS, x, max_size=3), max_leaves=12
    )
    return st.dictionaries(KEYS, inner, max_size=4)


def tree(value: Any, name: str = "base.json") -> Node:
    node, diagnostics = parse_json(SourceFile(name, json.dumps(value, indent=1)))
    assert diagnostics == ()
    assert node is not None
    return node


# The examples of RFC 7396, appendix A.
@pytest.mark.parametrize(
    ("base", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_examples_of_the_rfc(base: Any, patch: Any, result: Any) -> None:
    assert to_plain(merge(tree(base), tree(patch))) == result


@given(objects(SCALARS | st.none()))
def test_an_empty_overlay_changes_nothing(base: Any) -> None:
    assert merge(tree(base), tree({})) == tree(base)


@given(objects(SCALARS | st.none()), objects(SCALARS | st.none()))
def test_an_overlay_twice_is_an_overlay_once(base: Any, patch: Any) -> None:
    once = merge(tree(base), tree(patch))
    assert to_plain(merge(once, tree(patch))) == to_plain(once)


@given(objects(SCALARS), objects(SCALARS), objects(SCALARS))
def test_overlays_can_be_merged_first(base: Any, first: Any, second: Any) -> None:
    """Without nulls and with mappings for mappings only: else a replaced mapping is merged or not by the order."""
    left = to_plain(merge(merge(tree(base), tree(first)), tree(second)))
    for key, value in second.items():
        assert key in left
        assert left[key] == value or isinstance(value, dict)


def test_every_value_keeps_the_file_that_set_it() -> None:
    merged = merge(tree({"a": {"b": 1, "c": 2}, "d": 3}), tree({"a": {"c": 4}, "e": 5}, "overlay.json"))
    origin = {path: span_of(merged, path).file.name for path in (("a", "b"), ("a", "c"), ("d",), ("e",))}
    assert origin == {("a", "b"): "base.json", ("a", "c"): "overlay.json", ("d",): "base.json", ("e",): "overlay.json"}
    inner = merged.entries[0].value if isinstance(merged, Mapping) else None
    assert isinstance(inner, Mapping)
    replaced = inner.entries[1].replaced
    assert replaced is not None
    assert to_plain(replaced.value) == 2
