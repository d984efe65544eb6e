"""The law is held at the end of every test: else a test that breaks it would pass."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UNLAWFUL = """
from backplane_runtime import DataPlane, EventType
from backplane_runtime.settings import InMemory

def test_unlawful() -> None:
    plane = DataPlane(InMemory())
    plane.outcome("e", subject="s", metric="m")
    plane._ledger._row((EventType.OUTCOME, "e", None))[0] += BROKEN
    END
"""


@pytest.mark.parametrize("end", ["plane.close()", "pass"])
@pytest.mark.parametrize("broken", [0, 1])
def test_a_data_plane_that_breaks_the_law_fails_its_test(tmp_path: Path, end: str, broken: int) -> None:
    """Whether it is closed and gone when the test ends, or not; and one that keeps it does not."""
    path = tmp_path / "test_unlawful.py"
    path.write_text(UNLAWFUL.replace("BROKEN", str(broken)).replace("END", end), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", str(path)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert ("1 error" in done.stdout) == bool(broken), done.stdout
    assert "1 passed" in done.stdout
