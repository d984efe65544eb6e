"""Every sample compiles to the same bytes, whoever compiles it, where and when."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[1] / "samples"
# The specification's general template has no brokers: rightly an error, and a test of its own. The document of the custom
# backplane needs its package: test_custom_backplane.
DOCUMENTS = sorted(
    path
    for path in (*SAMPLES.rglob("*.yaml"), *SAMPLES.rglob("*.json"))
    if "build" not in path.parts and "custom-backplane" not in path.parts and path.name != "data-plane-options.yaml"
)


def compiled(document: Path, folder: Path, **environment: str) -> dict[str, bytes]:
    """Compile in a process of its own, and return every file that it wrote."""
    folder.mkdir(exist_ok=True)
    subprocess.run(
        [sys.executable, "-m", "backplane_compiler", "compile", str(document), "-o", "build"],
        cwd=folder,
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
    )
    build = folder / "build"
    return {str(path.relative_to(build)): path.read_bytes() for path in sorted(build.rglob("*")) if path.is_file()}


def test_there_is_a_sample_for_each_type() -> None:
    """A type without one would go untested here."""
    assert len(DOCUMENTS) >= 14


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(SAMPLES)))
def test_the_same_bytes_on_every_run(document: Path, tmp_path: Path) -> None:
    """Neither hash seed nor time zone nor locale nor folder nor an earlier build changes a byte."""
    first = compiled(document, tmp_path / "one", PYTHONHASHSEED="1", TZ="UTC", LC_ALL="C")
    other = compiled(document, tmp_path / "two", PYTHONHASHSEED="2", TZ="Pacific/Apia", LC_ALL="C.UTF-8")
    assert {"manifest.json", "runtime.json", "infra.json"} <= set(first)
    assert first == other
    assert first == compiled(document, tmp_path / "one", PYTHONHASHSEED="3")
