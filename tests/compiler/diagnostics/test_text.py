"""Snippets: where the carets stand, what labels add, what never reaches a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backplane_compiler.diagnostics import Diagnostic, Label, Severity, SourceFile, Span
from backplane_compiler.diagnostics.masking import mask_line
from backplane_compiler.diagnostics.text import render_text

FILE = SourceFile("samples/kafka.yaml", "dataPlane:\n  backplane:\n    type: kafka\n    opions:\n      brokers: []\n")


def span(text: str, file: SourceFile = FILE) -> Span:
    start = file.text.index(text)
    return Span.from_offsets(file, start, start + len(text))


def error(place: Span | None, *labels: Label, hint: str | None = None) -> Diagnostic:
    return Diagnostic("duplicate-key", Severity.ERROR, "`dataPlane.backplane` has no key `opions`", place, labels, hint)


def test_the_example_of_the_style_guide() -> None:
    assert render_text([error(span("opions"), hint="did you mean `options`?")]) == (
        "error[duplicate-key]: `dataPlane.backplane` has no key `opions`\n"
        "  --> samples/kafka.yaml:4:5\n"
        "   |\n"
        " 4 |     opions:\n"
        "   |     ^^^^^^\n"
        "hint: did you mean `options`?\n"
    )


def test_no_diagnostics_no_text_and_a_blank_line_between_two() -> None:
    assert render_text([]) == ""
    assert render_text([error(None), error(None)]).count("\n\n") == 1


def test_labels_on_the_primary_on_the_same_line_and_in_another_file() -> None:
    other = SourceFile("prod.yaml", "x: 1\nopions: {}\n")
    place = span("kafka")
    text = render_text(
        [error(place, Label(place, "this"), Label(span("type"), "its key"), Label(span("opions", other), "and this"))]
    )
    assert text.splitlines()[1:] == [
        "  --> samples/kafka.yaml:3:11",
        "   |",
        " 3 |     type: kafka",
        "   |           ^^^^^ this",
        "   |     ---- its key",
        "  ::: prod.yaml:2:1",
        "   |",
        " 2 | opions: {}",
        "   | ------ and this",
    ]


def test_a_span_over_several_lines_marks_the_rest_of_its_first() -> None:
    text = render_text([error(Span.from_offsets(FILE, FILE.text.index("type"), len(FILE.text)))])
    assert text.splitlines()[-1] == "   |     ^^^^^^^^^^^"


def test_color_changes_nothing_but_color() -> None:
    import re  # noqa: PLC0415  only here

    found = [error(span("opions"), Label(span("type"), "x"), hint="y")]
    colored = render_text(found, color=True)
    assert colored.startswith("\x1b[1;31merror[duplicate-key]\x1b[0m")
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == render_text(found)


def test_a_secret_is_masked_and_the_carets_still_fit() -> None:
    file = SourceFile("a.yaml", 'url: "Server=x;Password=hunter2;Encrypt=no"')
    text = render_text([error(span("Encrypt", file), Label(span("hunter2", file), "hunter2"))], secrets=["hunter2"])
    assert "hunter2" not in text
    assert text.splitlines()[3:] == [
        ' 1 | url: "Server=x;Password=***;Encrypt=no"',
        "   |                             ^^^^^^^",
        "   |                         --- ***",
    ]


def test_columns_move_with_what_is_masked() -> None:
    """Before, at the start of, inside, at the end of, and behind two secrets of which one is shorter than its mask."""
    masked = mask_line("a-hunter2-b-pw-c", (0, 2, 5, 9, 10, 12, 13, 14, 15), ["hunter2", "pw"])
    assert masked == ("a-***-b-***-c", (0, 2, 2, 5, 6, 8, 8, 11, 12))
    assert mask_line("abcabcab", (8,), ["abca", "cab"]) == ("***", (3,))


@given(st.text(), st.integers(0, 40), st.integers(0, 40))
def test_every_span_of_every_text_can_be_shown_safely(source: str, start: int, length: int) -> None:
    file = SourceFile("a.yaml", source)
    found = Diagnostic("yaml-syntax", Severity.NOTE, source, Span.from_offsets(file, start, start + length))
    text = render_text([found])
    assert all(char == "\n" or ord(char) >= 0x20 for char in text)
    assert len(text.split("\n")) == 6


@given(st.text(alphabet="ab'\\\n\"", min_size=1, max_size=6), st.text(alphabet="abx", max_size=20), st.integers(0, 20))
def test_no_secret_is_ever_shown(secret: str, around: str, start: int) -> None:
    file = SourceFile("f", f"{around}{secret}{around}")
    found = Diagnostic("yaml-syntax", Severity.NOTE, secret, Span.from_offsets(file, start, start + 3), hint=secret)
    shown = render_text([found], secrets=[secret]).splitlines()
    assert shown[0] == f"note[yaml-syntax]: {shown[-1].removeprefix('hint: ')}"
    assert all(line not in shown[3].removeprefix(" 1 | ") for line in secret.split() if line)
