"""Places on disk, as options name them: what they mean when the program goes elsewhere, and which cannot be."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from backplane_runtime import ConfigError, DataPlane, Outcome
from backplane_runtime.settings import InMemory, Plane, SettingsError, Spool, Sqlite

pytestmark = pytest.mark.runtime_only


def outcome(subject: str = "s") -> Outcome:
    return Outcome("e", subject=subject, metric="m")


def test_a_program_that_goes_elsewhere_delivers_to_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a daemon does: relative paths mean what they meant when the data plane was made, for file and spool."""
    (tmp_path / "start").mkdir()
    (tmp_path / "later").mkdir()
    monkeypatch.chdir(tmp_path / "start")
    options = Plane(flush_interval_ms=10, spool=Spool(directory="spool"))
    with DataPlane(Sqlite(path="events.db"), plane=options) as plane:
        plane.publish(outcome("before"))
        assert plane.flush(20)
        os.chdir(tmp_path / "later")
        plane.publish(outcome("after"))
        assert plane.flush(20)
        assert plane.health().healthy
    with closing(sqlite3.connect(tmp_path / "start" / "events.db")) as connection:
        assert connection.execute("SELECT count(*) FROM ExperimentEvents").fetchone() == (2,)
    assert [*(tmp_path / "later").iterdir()] == []
    assert [*(tmp_path / "start" / "spool").iterdir()] == []


@pytest.mark.parametrize("directory", ["a\0b", "\ud800"])
def test_a_folder_that_no_spool_can_have_is_refused(directory: str) -> None:
    """When it is named, not when the first event waits for it."""
    with pytest.raises(SettingsError, match="directory"):
        Spool(directory=directory)


def test_the_home_of_nobody_is_refused() -> None:
    """With the option's name."""
    with pytest.raises(ConfigError, match=r"spool\.directory"):
        DataPlane(InMemory(), plane=Plane(spool=Spool(directory="~nobody-of-this-name/spool")))
