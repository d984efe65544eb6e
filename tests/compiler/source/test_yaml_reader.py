"""What a YAML text means, and what is said about one that means nothing."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from backplane_compiler.diagnostics import Diagnostic, SourceFile
from backplane_compiler.source import Mapping, Scalar, limits, lookup, to_plain
from backplane_compiler.source.yaml_reader import parse_yaml


def read(text: str) -> Any:
    node, diagnostics = parse_yaml(SourceFile("doc.yaml", text))
    assert diagnostics == ()
    assert node is not None
    return to_plain(node)


def faults(text: str) -> tuple[Diagnostic, ...]:
    return parse_yaml(SourceFile("doc.yaml", text))[1]


def shown(diagnostic: Diagnostic) -> str:
    """The source text that a diagnostic points at."""
    span = diagnostic.span
    assert span is not None
    return span.file.text[span.start_offset : span.end_offset]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("~", None),
        ("Null", None),
        ("nUll", "nUll"),
        ("true", True),
        ("FALSE", False),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("012", 12),
        ("-7", -7),
        ("+7", 7),
        ("0o14", 12),
        ("0x1F", 31),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("12:30:00", "12:30:00"),
        ("2024-01-02", "2024-01-02"),
        ("1e3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        (".INF", float("inf")),
        ("1.2.3", "1.2.3"),
        ("-", "-"),
        (".", "."),
        ("+", "+"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("! 12", "12"),
        ('!!int "12"', 12),
        ("!!float 1", 1.0),
        ("!!null ''", None),
        ("!!bool true", True),
        ("١٢", "١٢"),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    found = read(f"- {text}\n- x" if text == "-" else f"[{text}]")[0] if text != "-" else read("'-'")
    assert found == value
    assert type(found) is type(value)


def test_nan_and_empty_values() -> None:
    assert read("[.nan]")[0] != read("[.NaN]")[0]
    assert read("a:\nb: ''") == {"a": None, "b": ""}


def test_block_scalars_are_text() -> None:
    assert read("a: |\n  12\nb: >-\n  x\n  y\n") == {"a": "12\n", "b": "x y"}


@pytest.mark.parametrize(
    "text", ["\ufeffa: 1\r\nb: [x]\r\n", "a: 1\nb:\t[x] # comment", "---\na: 1\nb: [x]\n...\n", '{"a":1,\n\t"b":["x"]}']
)
def test_marks_line_ends_tabs_and_comments_do_not_matter(text: str) -> None:
    assert read(text) == {"a": 1, "b": ["x"]}


def test_number_keys_are_the_text_as_written() -> None:
    assert read("012: a\ntrue: b\n1.0: c") == {"012": "a", "true": "b", "1.0": "c"}


def test_spans_are_the_text_as_written() -> None:
    node, _ = parse_yaml(SourceFile("doc.yaml", "é😀:\n  - &x !!str 012 # c\n  - 'q'\n  - *x"))
    assert isinstance(node, Mapping)
    first, second, third = (lookup(node, ("é😀", i)) for i in range(3))
    assert isinstance(first, Scalar)
    assert isinstance(second, Scalar)
    assert isinstance(third, Scalar)
    assert (first.span.start.line, first.span.start.column, first.text) == (2, 14, "012")
    assert second.quoted
    assert third.span == first.span
    assert third.alias is not None
    assert third.alias.start[:2] == (4, 5)


def test_odd_line_breaks_do_not_shift_lines() -> None:
    (fault,) = faults("a: 'x\u2028y'\nb: 1\nb: 2")
    assert fault.span is not None
    assert fault.span.start[:2] == (3, 1)


def test_merge_keys() -> None:
    text = "b: &b {x: 1, y: 1}\nc: &c {y: 2, z: 2}\na:\n  <<: [*b, *c]\n  x: 0\nd: {'<<': 1}"
    assert read(text)["a"] == {"x": 0, "y": 1, "z": 2}
    assert read(text)["d"] == {"<<": 1}


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("a: 1\nb: 2\na: 3", "duplicate-key", "a"),
        ("a: &k x\n*k : 1\nx: 2", "duplicate-key", "x"),
        ("? [1, 2]\n: x", "yaml-key", "[1, 2]"),
        ("?\n: x", "yaml-key", ""),
        ("a: *x", "yaml-alias", "*x"),
        ("a: &a [1, *a]", "yaml-alias", "*a"),
        ("a: &a\n  b: *a", "yaml-alias", "*a"),
        ("<<: 3", "yaml-merge", "3"),
        ("a: !foo x", "yaml-tag", "!foo"),
        ("a: !!set {x, y}", "yaml-tag", "!!set"),
        ("!foo a: x", "yaml-tag", "!foo"),
        ("a: !!int x", "yaml-value", "x"),
        ("a: 1e999", "yaml-value", "1e999"),
        ("a: " + "9" * 5000, "yaml-value", "9" * 5000),
        ("a: 1\n---\nb: 2", "several-documents", "---"),
        ("a: \x01", "yaml-syntax", "\x01"),
        ("a: \ud800", "yaml-syntax", "\ud800"),
        ("a:\n\t- b", "yaml-syntax", "\t"),
        ("a: @x", "yaml-syntax", "@"),
        ("a: b: c", "yaml-syntax", ":"),
        ("a: [1, 2", "yaml-syntax", ""),
        ("a: 'x\nb: 1\n", "yaml-syntax", "'"),
        ('a: "x" y', "yaml-syntax", "y"),
        ("a:\n  b: 1\n c: 2", "yaml-syntax", "c"),
        ("%YAML 2.0\n---\na", "yaml-syntax", "%"),
        ("", "empty-document", ""),
        ("# only a comment\n", "empty-document", ""),
        ("[" * 101, "too-deep", "["),
    ],
)
def test_a_fault_is_shown_at_its_place(text: str, code: str, place: str) -> None:
    fault, *_ = faults(text)
    assert (fault.code, shown(fault)) == (code, place)


def test_both_places_of_a_duplicate_are_named_and_the_first_counts() -> None:
    node, (fault,) = parse_yaml(SourceFile("doc.yaml", "a: 1\na: {b: 2}\nc: 3"))
    assert node is not None
    assert to_plain(node) == {"a": 1, "c": 3}
    assert fault.labels[0].span.start.line == 1


def test_all_faults_of_a_file_are_told() -> None:
    assert [fault.code for fault in faults("a: !x 1\na: 2\nb: *c\n")] == ["yaml-tag", "duplicate-key", "yaml-alias"]


def test_an_alias_cannot_nest_beyond_the_depth_limit() -> None:
    deep = "[" * 60 + "]" * 60
    assert faults(f"a: &a {deep}\nb: {'[' * 60}*a{']' * 60}")[0].code == "too-deep"
    chain = f"a0: &a0 {'[' * 40}{']' * 40}\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 99))
    assert faults(chain)[0].code == "too-deep"


def test_a_bomb_of_aliases_ends_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40)]
    started = time.process_time()
    (fault,) = faults("\n".join(lines))
    assert fault.code == "too-large"
    assert fault.labels
    assert time.process_time() - started < 0.1


def test_the_number_of_nodes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_NODES", 10)
    assert faults("[" + "1, " * 9 + "1]")[0].code == "too-large"
    assert faults("[" + "1, " * 8 + "1]") == ()


def test_the_python_parser_is_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML without libyaml: the same tree, the same places."""
    text = "a: &x [1, 'b']\nc: {d: *x}\ne: |\n  text\n"
    fast = parse_yaml(SourceFile("doc.yaml", text))
    monkeypatch.setattr("backplane_compiler.source.yaml_reader._LOADER", yaml.SafeLoader)
    slow = parse_yaml(SourceFile("doc.yaml", text))
    assert slow[0] is not None
    assert fast[0] is not None
    assert to_plain(slow[0]) == to_plain(fast[0])
    assert parse_yaml(SourceFile("doc.yaml", "a: [1"))[1][0].code == "yaml-syntax"


@given(st.text())
def test_any_text_is_read_or_explained(text: str) -> None:
    """No exception, and never neither a tree nor a reason."""
    node, diagnostics = parse_yaml(SourceFile("doc.yaml", text))
    assert node is not None or diagnostics


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#,? \n\t<0.", max_size=40))
def test_any_combination_of_yaml_signs_is_read_or_explained(text: str) -> None:
    node, diagnostics = parse_yaml(SourceFile("doc.yaml", text))
    assert node is not None or diagnostics
    for diagnostic in diagnostics:
        assert diagnostic.span is not None
        assert 0 <= diagnostic.span.start_offset <= diagnostic.span.end_offset <= len(text)


def test_merging_one_mapping_many_times_takes_no_longer_than_reading_it() -> None:
    """Linear in what is merged: 400 times 1,000 entries."""
    mapping = "{" + ", ".join(f"k{i}: 1" for i in range(1000)) + "}"
    started = time.process_time()
    assert len(read(f"a: &a {mapping}\nx: {{<<: [{', '.join(['*a'] * 400)}]}}")["x"]) == 1000
    assert time.process_time() - started < 1.0
