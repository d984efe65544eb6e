"""The grammar of secret references, shared with the runtime."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backplane_compiler.diagnostics import SourceFile
from backplane_compiler.source.references import Literal, Malformed, Part, Reference, check_references, parse_references
from backplane_compiler.source.yaml_reader import parse_yaml


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("plain $HOME", (Literal("plain $HOME", 0, 11),)),
        ("${env:A_1}", (Reference("env", "A_1", None, 0, 10),)),
        ("${A}", (Reference("env", "A", None, 0, 4),)),
        ("${env:A:-x:y}", (Reference("env", "A", "x:y", 0, 13),)),
        ("${A:-x}", (Reference("env", "A", "x", 0, 7),)),
        ("${env:A:-}", (Reference("env", "A", "", 0, 10),)),
        ("${file:/run/my secret}", (Reference("file", "/run/my secret", None, 0, 22),)),
        ("a${A}b", (Literal("a", 0, 1), Reference("env", "A", None, 1, 5), Literal("b", 5, 6))),
        ("$${A}", (Literal("${", 0, 3), Literal("A}", 3, 5))),
        ("$$${A}", (Literal("$", 0, 1), Literal("${", 1, 4), Literal("A}", 4, 6))),
        ("${}", (Malformed("`${}` is no reference", 0, 3),)),
        ("${A-B}", (Malformed("`${A-B}` is no reference", 0, 6),)),
        ("${file:}", (Malformed("`${file:}` is no reference", 0, 8),)),
        ("x${env:A", (Literal("x", 0, 1), Malformed("`${` is never closed", 1, 8))),
    ],
)
def test_parts(text: str, parts: tuple[Part, ...]) -> None:
    assert parse_references(text) == parts


@given(st.text(alphabet="${}:-envfileA1/ "))
def test_parts_cover_the_text(text: str) -> None:
    parts = parse_references(text)
    assert [part.start for part in parts] == [0, *(part.end for part in parts)][: len(parts)]
    assert (parts[-1].end if parts else 0) == len(text)


@pytest.mark.parametrize("text", ["a: [x, 'pw=${B-C};']", "a: pw=${B-C};", 'a: "é ${B-C}"'])
def test_a_malformed_reference_is_shown_where_it_stands(text: str) -> None:
    node, _ = parse_yaml(SourceFile("doc.yaml", text))
    assert node is not None
    (fault,) = check_references(node)
    assert fault.span is not None
    assert text[fault.span.start_offset : fault.span.end_offset] == "${B-C}"


def test_where_escapes_moved_the_characters_the_whole_text_is_shown() -> None:
    text = 'a: "\\t${B-C}"'
    node, _ = parse_yaml(SourceFile("doc.yaml", text))
    assert node is not None
    (fault,) = check_references(node)
    assert fault.span is not None
    assert fault.span.start_offset == 3
