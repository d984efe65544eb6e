"""Names that a user may have meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backplane_compiler.diagnostics import nearest

KNOWN = ("options", "type", "provisioning", "batchSize", "partitionBy", "acks", "topic", "topics")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("opions", ("options",)),
        ("OPTIONS", ("options",)),
        ("tpye", ("type",)),
        ("batch_size", ("batchSize",)),
        ("partition-by", ("partitionBy",)),
        ("provisoning", ("provisioning",)),
        ("topc", ("topic",)),
        ("ask", ()),
        ("xyz", ()),
        ("", ()),
        ("subscription", ()),
    ],
)
def test_nearest(word: str, expected: tuple[str, ...]) -> None:
    assert nearest(word, KNOWN) == expected


def test_several_best_first() -> None:
    assert nearest("topics", KNOWN, limit=3) == ("topics", "topic")
    assert nearest("topcs", KNOWN, limit=2) == ("topics",)


@given(st.text(alphabet="abcAB_", min_size=1, max_size=8))
def test_a_known_word_is_its_own_nearest(word: str) -> None:
    if word.strip("_"):
        assert nearest(word, [word]) == (word,)
