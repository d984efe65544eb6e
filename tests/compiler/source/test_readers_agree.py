"""Laws that hold for both readers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from backplane_compiler.diagnostics import SourceFile
from backplane_compiler.source import Mapping, Node, Scalar, to_plain
from backplane_compiler.source.json_reader import parse_json
from backplane_compiler.source.yaml_reader import parse_yaml

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
# What libyaml takes raw in double quotes, unchanged: no control characters, none of its extra line breaks.
PLAIN_TEXT = st.text(
    alphabet=st.characters(exclude_categories=["Cs", "Cc", "Cn", "Zl", "Zp"], exclude_characters="\ufeff")
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)


def trees(text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        LEAVES | text,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=20,
    )


def scalars(node: Node) -> Iterator[Scalar]:
    if isinstance(node, Scalar):
        yield node
    elif isinstance(node, Mapping):
        for entry in node.entries:
            yield from scalars(entry.value)
    else:
        for item in node.items:
            yield from scalars(item)


@example([2**63 - 1, 0.1], True, None)  # noqa: FBT003
@given(trees(TEXT), st.booleans(), st.sampled_from([None, 2]))
def test_json_round_trip(value: Any, ascii_only: bool, indent: int | None) -> None:  # noqa: FBT001  drawn by Hypothesis
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    node, diagnostics = parse_json(SourceFile("doc.json", text))
    assert diagnostics == ()
    assert node is not None
    assert to_plain(node) == value


@given(trees(PLAIN_TEXT))
def test_yaml_reads_json(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert to_plain_yaml(text) == value


@given(trees(PLAIN_TEXT))
def test_yaml_reads_what_pyyaml_writes(value: Any) -> None:
    """Where the schemas differ (`0o14`, `1e3`) PyYAML writes text that only YAML 1.1 takes for text."""
    text = yaml.dump(value, Dumper=QuotingDumper, allow_unicode=True)
    assert to_plain_yaml(text) == value


@given(trees(PLAIN_TEXT))
def test_the_span_of_a_scalar_reads_as_that_scalar(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=1)
    for parse in (parse_json, parse_yaml):
        node, _ = parse(SourceFile("doc", text))
        assert node is not None
        for scalar in scalars(node):
            written = text[scalar.span.start_offset : scalar.span.end_offset]
            assert json.loads(written) == scalar.value


@given(st.text(alphabet="a\n\r\u2028é😀"), st.integers(0, 30))
def test_positions_are_those_of_an_editor(text: str, offset: int) -> None:
    position = SourceFile("doc", text).position(offset)
    before = re.split(r"\r\n|\r|\n", text[: position.offset])
    if not (text[: position.offset].endswith("\r") and text[position.offset : position.offset + 1] == "\n"):
        assert (position.line, position.column) == (len(before), len(before[-1]) + 1)


def to_plain_yaml(text: str) -> Any:
    node, diagnostics = parse_yaml(SourceFile("doc.yaml", text))
    assert diagnostics == ()
    assert node is not None
    return to_plain(node)


class QuotingDumper(yaml.SafeDumper):
    """Writes all text in quotes."""


QuotingDumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'")
)
