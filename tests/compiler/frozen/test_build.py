"""The frozen config: one sequence of bytes for one meaning."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from backplane_runtime.config import parse_config
from tests.compiler.checking import check

_SAMPLES = sorted((Path(__file__).parents[3] / "samples").glob("*/backplane.yaml"))


def _frozen(text: str, name: str) -> bytes:
    frozen = check(text, name=name).frozen
    assert frozen is not None
    return frozen


def _shuffled(plain: Any, order: random.Random) -> Any:
    if isinstance(plain, dict):
        keys = list(plain)
        order.shuffle(keys)
        return {key: _shuffled(plain[key], order) for key in keys}
    return [_shuffled(item, order) for item in plain] if isinstance(plain, list) else plain


@settings(max_examples=30, deadline=None)
@given(path=st.sampled_from(_SAMPLES), order=st.randoms(use_true_random=False))
def test_order_of_keys_and_format_do_not_matter(path: Path, order: random.Random) -> None:
    """YAML or JSON, in any order of keys: the same bytes."""
    text = path.read_text(encoding="utf-8")
    plain = _shuffled(yaml.safe_load(text), order)
    expected = _frozen(text, "a.yaml")
    assert _frozen(json.dumps(plain), "a.json") == expected
    assert _frozen(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), "b.yaml") == expected


@pytest.mark.parametrize("path", _SAMPLES, ids=lambda path: path.parent.name)
def test_the_runtime_reads_what_the_compiler_writes(path: Path) -> None:
    """The digest is the one that the runtime computes."""
    config = parse_config(_frozen(path.read_text(encoding="utf-8"), path.name))
    assert config.document_digest.startswith("sha256:")
    assert config.digest.startswith("sha256:")


def test_the_digest_of_the_document_changes_with_its_meaning_only() -> None:
    """A comment changes nothing, a value does."""
    one = "dataPlane:\n  batchSize: 5\n  backplane: { type: logging }\n"
    first, second, third = (
        parse_config(_frozen(text, "a.yaml")) for text in (one, "# a comment\n" + one, one.replace("5", "6"))
    )
    assert first == second
    assert first.document_digest != third.document_digest
    assert first.digest != third.digest


def test_sections_that_are_only_carried_may_hold_anything() -> None:
    """Even what JSON cannot hold: it is in the digest and nowhere else."""
    text = "settings: { a: .nan, b: [.inf, null] }\ndataPlane:\n  backplane: { type: logging }\n"
    assert check(text).frozen is not None
