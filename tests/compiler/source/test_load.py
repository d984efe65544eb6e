"""The document, one environment, overlay files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backplane_compiler.source import load_tree, to_plain

DOCUMENT = """\
dataPlane: {batchSize: 1, samplingRate: 1.0}
environments:
  dev: {dataPlane: {batchSize: 2, samplingRate: null}}
  prod:
"""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "doc.yaml"
    path.write_text(DOCUMENT)
    return path


def read(path: Path, **options: Any) -> Any:
    node, diagnostics = load_tree(path, **options)
    assert diagnostics == ()
    assert node is not None
    return to_plain(node)


def test_layers_in_order(document: Path, tmp_path: Path) -> None:
    """An overlay file comes after the environment; `environments` is not part of the result."""
    overlay = tmp_path / "more.json"
    overlay.write_text('{"dataPlane": {"batchSize": 3}}')
    whole = {"dataPlane": {"batchSize": 1, "samplingRate": 1.0}}
    assert read(document) == whole
    assert read(document, env="prod") == whole
    assert read(document, env="dev") == {"dataPlane": {"batchSize": 2}}
    assert read(document, env="dev", overlays=[overlay]) == {"dataPlane": {"batchSize": 3}}


@pytest.mark.parametrize(("env", "hint"), [("prdo", "did you mean `prod`?"), ("staging", "use one of `dev`, `prod`")])
def test_an_unknown_environment(document: Path, env: str, hint: str) -> None:
    node, (fault,) = load_tree(document, env=env)
    assert node is None
    assert (fault.code, fault.hint) == ("unknown-environment", hint)


def test_no_environments_at_all(tmp_path: Path) -> None:
    (tmp_path / "doc.yaml").write_text("dataPlane: {}")
    assert load_tree(tmp_path / "doc.yaml", env="dev")[1][0].code == "unknown-environment"


@pytest.mark.parametrize("text", ["environments: 3", "environments: {dev: [1]}"])
def test_an_environment_is_a_mapping(tmp_path: Path, text: str) -> None:
    (tmp_path / "doc.yaml").write_text(text)
    node, (fault,) = load_tree(tmp_path / "doc.yaml")
    assert (node, fault.code) == (None, "wrong-type")


def test_the_faults_of_all_files_at_once(tmp_path: Path) -> None:
    for name, text in (("doc.yaml", "a: 1\na: 2"), ("one.yaml", "[1"), ("two.yaml", "[1]")):
        (tmp_path / name).write_text(text)
    overlays = [tmp_path / "one.yaml", tmp_path / "two.yaml", tmp_path / "none.yaml"]
    node, faults = load_tree(tmp_path / "doc.yaml", overlays=overlays)
    assert node is None
    assert [fault.code for fault in faults] == ["duplicate-key", "yaml-syntax", "wrong-type", "no-such-file"]
