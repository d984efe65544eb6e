"""What is redacted is nowhere: in no file, no log line, no answer, however an event came and whatever became of it."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.runtime.planting import PLANTED

pytestmark = pytest.mark.runtime_only

ROOT = Path(__file__).parents[2]
KEY = "planted-key-of-the-pseudonyms"


def run(folder: Path, mode: str, database: str) -> str:
    """Run the program in *folder*, with all that it could write to in there; return all that it printed and logged."""
    homes = {name: str(folder / name.lower()) for name in ("HOME", "TMPDIR", "XDG_STATE_HOME", "XDG_CACHE_HOME")}
    for home in homes.values():
        Path(home).mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.runtime.planting", mode, database],
        cwd=folder,
        env={**os.environ, **homes, "PYTHONPATH": str(ROOT), "PII_KEY": KEY},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def found(folder: Path, said: str) -> set[str]:
    """Where a planted identifier, or the key, stands."""
    texts = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    texts["log"] = said.encode()
    return {
        f"{planted} in {name}"
        for planted in (*PLANTED, KEY)
        for name, text in texts.items()
        if planted.encode() in text
    }


@pytest.mark.parametrize("mode", ["mask", "drop", "pseudonymize"])
def test_what_is_redacted_is_nowhere(tmp_path: Path, mode: str) -> None:
    """Neither with its event in the database, nor with its reason in the log at level DEBUG."""
    said = run(tmp_path, mode, "events.db")
    with closing(sqlite3.connect(tmp_path / "events.db")) as database:
        (stored,) = database.execute("SELECT count(*) FROM ExperimentEvents").fetchone()
    assert stored == int(said.partition("\n")[0]) == 8
    assert "an event was dropped" in said
    assert said.count("INFO:backplane.events:") == stored
    assert found(tmp_path, said) == set()


@pytest.mark.parametrize("mode", ["mask", "drop", "pseudonymize"])
def test_undelivered_events_hold_no_identifier_either(tmp_path: Path, mode: str) -> None:
    """In whatever folder they wait; the database cannot be opened."""
    said = run(tmp_path, mode, "missing/events.db")
    assert "WARNING:backplane:backplane `sqlite`" in said
    assert found(tmp_path, said) == set()


def test_the_search_finds_what_is_not_redacted(tmp_path: Path) -> None:
    """Else the tests above could not fail."""
    said = run(tmp_path, "none", "events.db")
    places = found(tmp_path, said)
    assert places == {f"{planted} in {place}" for planted in PLANTED for place in ("events.db", "log")}
