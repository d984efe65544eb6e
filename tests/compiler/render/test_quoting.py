"""Whatever a document says stays data: quoted so that it comes back, or refused."""

import re
import shlex
import sqlite3
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backplane_compiler.render.quoting import (
    arm_literal,
    arm_text,
    comment,
    sh,
    sql_name,
    sql_text,
    tsql_name,
    tsql_text,
)
from backplane_compiler.render.templates import render_template

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
NASTY = "a\"b'c`d$(touch x)${HOME}]\\ \n;--"


@given(TEXTS)
@example(NASTY)
def test_a_shell_sees_one_word(text: str) -> None:
    assert shlex.split(sh(text)) == [text]


def test_bash_itself_sees_what_was_written() -> None:
    script = f"printf %s {sh(NASTY)}"
    assert subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout.decode() == NASTY


# SQLite keeps `sqlite_*` for itself; a rule refuses such a name before it is quoted.
@given(TEXTS.filter(lambda text: bool(text) and not text.lower().startswith("sqlite_")))
@example(NASTY)
def test_a_database_sees_one_name(text: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE {sql_name(text)} (x)")
    names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    connection.close()
    assert names == [(text,)]


@given(TEXTS)
@example(NASTY)
def test_a_database_sees_one_string(text: str) -> None:
    connection = sqlite3.connect(":memory:")
    (answer,) = connection.execute(f"SELECT {sql_text(text)}").fetchone()
    connection.close()
    assert answer == text


@given(TEXTS.filter(bool))
def test_t_sql_sees_one_name_or_it_is_refused(text: str) -> None:
    try:
        quoted = tsql_name(text)
    except ValueError:
        assert "$(" in text or re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", text)
        return
    inside = re.fullmatch(r"\[((?:[^\]]|\]\])+)\]", quoted)
    assert inside is not None
    assert inside[1].replace("]]", "]") == text


@pytest.mark.parametrize("name", ["a\nGO\nb", "$(x)", "a\0b", ""])
def test_what_t_sql_clients_would_change_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be"):
        tsql_name(name)


def test_a_statement_in_t_sql_may_have_lines_but_no_variables() -> None:
    assert tsql_text("SELECT 'a'\nFROM t") == "N'SELECT ''a''\nFROM t'"
    with pytest.raises(ValueError, match=r"cannot be used"):
        tsql_text("SELECT $(x)")


@pytest.mark.parametrize("quote", [sh, sql_name, sql_text, tsql_name, tsql_text])
def test_no_quoting_lets_a_nul_through(quote: object) -> None:
    assert callable(quote)
    with pytest.raises(ValueError, match="cannot be"):
        quote("a\0b")


@given(TEXTS)
def test_a_comment_stays_on_its_line(text: str) -> None:
    assert len(comment(text).splitlines()) <= 1
    assert "$(" not in comment(text)


@pytest.mark.parametrize(
    ("text", "expected"), [("[x]", "[[x]"), ("[a] = 1", "[a] = 1"), ("plain", "plain"), ("[[x]", "[[[x]")]
)
def test_arm_takes_text_for_text(text: str, expected: str) -> None:
    assert arm_text(text) == expected
    assert arm_literal("it's") == "'it''s'"


def test_a_template_without_its_values_is_an_error() -> None:
    with pytest.raises(Exception, match="is undefined"):
        render_template("kafka/topics.sh.j2", label="x")
