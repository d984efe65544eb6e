"""The sample of a backplane of one's own, as a user installs it: its contract, a document, a program."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SAMPLE = Path(__file__).parents[1] / "samples" / "custom-backplane"

PUBLISH = """
from backplane_runtime import DataPlane
with DataPlane.open("build/runtime.json") as plane:
    assert plane.health().healthy, plane.health()
    for number in range(250):
        plane.outcome("e", subject=str(number), metric="m")
    assert plane.flush(20), plane.health()
    assert plane.ledger().total.acknowledged == 250
"""
PROGRAM = """
from backplane_daily_files import DailyFiles
from backplane_runtime import DataPlane
with DataPlane(DailyFiles(folder="mine")) as plane:
    plane.outcome("e", subject="s", metric="m")
    assert plane.flush(20), plane.health()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of processes that see the package, built and installed from a copy of its folder."""
    place = tmp_path_factory.mktemp("custom")
    shutil.copytree(SAMPLE, place / "source")
    pip = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else ["uv", "pip"]
    command = [*pip, "install", "--quiet", "--no-deps", "--target", str(place / "site"), str(place / "source")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    if done.returncode and "CI" not in os.environ and "connection" in done.stderr.lower():
        pytest.skip("the build back end of the sample cannot be fetched: there is no network")
    assert done.returncode == 0, done.stderr
    return {**os.environ, "PYTHONPATH": str(place / "site")}


def run(installed: dict[str, str], folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *command],
        cwd=folder,
        env=installed,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def events_in(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]


def test_it_keeps_the_contract(installed: dict[str, str], tmp_path: Path) -> None:
    """By its own tests, against what was installed."""
    shutil.copy(SAMPLE / "tests" / "test_contract.py", tmp_path)
    assert "4 passed" in run(installed, tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_contract.py")


def test_events_of_a_document_arrive(installed: dict[str, str], tmp_path: Path) -> None:
    """The compiler knows the options, the runtime finds the class, each event is a line of its day."""
    run(
        installed,
        tmp_path,
        "-m",
        "backplane_compiler",
        "compile",
        str(SAMPLE / "example" / "document.yaml"),
        "-o",
        "build",
    )
    run(installed, tmp_path, "-c", PUBLISH)
    events = events_in(tmp_path / "events")
    assert [event["payload"]["subjectId"] for event in events] == [str(number) for number in range(250)]
    assert {path.stem for path in (tmp_path / "events").iterdir()} == {event["timestamp"][:10] for event in events}


def test_events_of_a_program_arrive(installed: dict[str, str], tmp_path: Path) -> None:
    """Its settings are enough: nobody has to register anything."""
    run(installed, tmp_path, "-c", PROGRAM)
    assert len(events_in(tmp_path / "mine")) == 1


def test_a_wrong_option_is_found_when_it_is_compiled(installed: dict[str, str], tmp_path: Path) -> None:
    """In the words of the settings class."""
    document = (SAMPLE / "example" / "document.yaml").read_text("utf-8").replace("batchSize: 100", "batchSize: 0")
    (tmp_path / "wrong.yaml").write_text(document, "utf-8")
    command = [sys.executable, "-m", "backplane_compiler", "check", "wrong.yaml"]
    done = subprocess.run(command, cwd=tmp_path, env=installed, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "batchSize" in done.stderr
