"""JSON is read strictly, and each habit from elsewhere gets its own message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backplane_compiler.diagnostics import SourceFile
from backplane_compiler.source import to_plain
from backplane_compiler.source.json_reader import parse_json


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ('{"a": 1,}', "expected another item before `}`", ","),
        ("[1,]", "expected another item before `]`", ","),
        ("{'a': 1}", "JSON has no single quotes", "'"),
        ("{\"a\": 'x'}", "JSON has no single quotes", "'"),
        ("{a: 1}", "a key needs double quotes", "a"),
        ('{"a": NaN}', "JSON has no number `NaN`", "NaN"),
        ('{"a": -Infinity}', "JSON has no number `-Infinity`", "-Infinity"),
        ('{"a": True}', "`True` is no JSON value", "True"),
        ('{"a": 01}', "`01` is no JSON number", "01"),
        ('{"a": .5}', "`.5` is no JSON number", ".5"),
        ("// x\n{}", "JSON has no comments", "/"),
        ('{"a": 1, # x\n"b": 2}', "JSON has no comments", "#"),
        ("[1 2]", "expected `,` or `]`", "2"),
        ('{"a" 1}', "expected `:` after the key `a`", "1"),
        ('{"a": "x\ny"}', "a line break or control character inside of text", "\n"),
        ('{"a": "x', "this text is never closed", '"'),
        (r'{"a": "\d"}', "unknown escape", "\\"),
        ("[1]]", "expected the end of the document", "]"),
        ("[1", "expected `,` or `]`, found the end of the file", ""),
        ('{"a":', "expected a value, found the end of the file", ""),
        ('{"a":}', "expected a value, found `}`", "}"),
        (r'"\ud800"', "`\\ud800` is half of a surrogate pair", r'"\ud800"'),
        ("[1e999]", "this number is too large", "1e999"),
        ("[" * 101, "nested deeper than 100 levels", "["),
        (" \n", "`doc.json` holds no document", ""),
    ],
)
def test_a_fault_is_shown_at_its_place(text: str, message: str, place: str) -> None:
    node, (fault,) = parse_json(SourceFile("doc.json", text))
    assert node is None
    assert fault.span is not None
    found = text[fault.span.start_offset : fault.span.end_offset]
    assert (fault.message, found) == (message, place)


def test_duplicate_keys_are_told_and_the_first_counts() -> None:
    node, (fault,) = parse_json(SourceFile("doc.json", '{"a": 1,\n "a": 2}'))
    assert node is not None
    assert to_plain(node) == {"a": 1}
    assert fault.code == "duplicate-key"
    assert fault.span is not None
    assert fault.span.start[:2] == (2, 2)
    assert fault.labels[0].span.start[:2] == (1, 2)


def test_types_of_numbers_and_a_byte_order_mark() -> None:
    node, diagnostics = parse_json(SourceFile("doc.json", '\ufeff[1, -1.5, 1e2, "\\ud83d\\ude00", {}, []]'))
    assert diagnostics == ()
    assert node is not None
    assert to_plain(node) == [1, -1.5, 100.0, "😀", {}, []]


@given(st.text(alphabet='{}[]",:1.e-tfn\\u /#\n', max_size=30))
def test_any_text_is_read_or_explained(text: str) -> None:
    node, diagnostics = parse_json(SourceFile("doc.json", text))
    assert node is not None or diagnostics
    for diagnostic in diagnostics:
        assert diagnostic.span is not None
        assert 0 <= diagnostic.span.start_offset <= diagnostic.span.end_offset <= len(text)
