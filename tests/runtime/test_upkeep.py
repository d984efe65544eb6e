"""Upkeep waits for the disk, and nobody else does."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backplane_runtime import DataPlane, Outcome
from backplane_runtime.settings import InMemory, Plane, Spool, Sqlite
from backplane_runtime.spool import SpoolLog, SpoolOptions
from backplane_runtime.spool.inspection import folders
from backplane_runtime.spooling import Spooler
from tests.runtime.spool.spools import KAFKA, SQL, die, put

pytestmark = pytest.mark.runtime_only

SYNC_SECONDS = 0.5  # what this disk takes
SOON = 0.3  # seconds: less than one sync, and sixty periods of the writer


def _slow(call: Callable[[int], None]) -> Callable[[int], None]:
    def slowly(descriptor: int) -> None:
        time.sleep(SYNC_SECONDS)
        call(descriptor)

    return slowly


LEAVER = """
import os, sys
from backplane_runtime import DataPlane, Outcome
from backplane_runtime.settings import InMemory, Plane, Spool, Sqlite
settings = Sqlite(path=sys.argv[2]) if sys.argv[2:] else InMemory()
plane = DataPlane(settings, plane=Plane(flush_interval_ms=60_000, spool=Spool(directory=sys.argv[1])))
plane.publish(Outcome("left", subject="s", metric="m"), receipt=True).spooled.result(10)
os._exit(0)
"""


def _spool(root: Path) -> Spool:
    return Spool(directory=str(root))


def test_no_event_waits_for_a_slow_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither at the start, with something to take over, nor while segments are removed: SIGKILL costs milliseconds then, too."""
    subprocess.run([sys.executable, "-c", LEAVER, str(tmp_path)], check=True, timeout=60)
    monkeypatch.setattr(os, "fsync", _slow(os.fsync))
    if hasattr(os, "fdatasync"):
        monkeypatch.setattr(os, "fdatasync", _slow(os.fdatasync))
    plane = DataPlane(InMemory(), plane=Plane(flush_interval_ms=10, spool=_spool(tmp_path)))
    until = time.monotonic() + 6 * SYNC_SECONDS
    while time.monotonic() < until:
        receipt = plane.publish(Outcome("e", subject="s", metric="m"), receipt=True)
        assert receipt.spooled.result(SOON) == "spooled"
        time.sleep(0.01)
    assert plane.flush(10)
    plane.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux what a descriptor is of")
def test_a_folder_is_anchored_after_its_first_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At `process` nothing is synced before an event is on disk, and soon afterwards the folder is."""
    synced: list[Path] = []
    sync = os.fsync

    def noting(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    with DataPlane(InMemory(), plane=Plane(flush_interval_ms=60_000, spool=_spool(tmp_path))) as plane:
        plane.outcome("e", subject="s", metric="m")
        until = time.monotonic() + 10
        while tmp_path not in synced and time.monotonic() < until:
            time.sleep(0.01)
        assert {tmp_path, *folders(tmp_path)} <= set(synced)


def test_what_is_taken_over_before_the_first_event_takes_no_event(tmp_path: Path) -> None:
    """It is a dead process's; new events go to a folder of their own, behind it."""
    settings = Sqlite(path=str(tmp_path / "away" / "events.db"))
    options = Plane(durability="processStrict", flush_interval_ms=10, spool=_spool(tmp_path / "spool"))
    subprocess.run([sys.executable, "-c", LEAVER, str(tmp_path / "spool"), settings.path], check=True, timeout=60)
    with DataPlane(settings, plane=options) as plane:
        plane.start()
        until = time.monotonic() + 10
        while not plane.ledger().total.recovered and time.monotonic() < until:
            time.sleep(0.01)
        assert plane.outcome("e", subject="s", metric="m") == "spooled"
        Path(settings.path).parent.mkdir()
        assert plane.flush(30)
        assert plane.ledger().total.acknowledged == 2


def test_each_destination_that_nobody_delivers_to_is_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two of one folder are two."""
    log = SpoolLog.create(tmp_path, SpoolOptions(destinations=(KAFKA, SQL)))
    put(log, 3)
    die(log)
    spooler = Spooler(Plane(spool=_spool(tmp_path)), ())
    for _ in range(2):
        assert spooler.adopt(0) == []
    assert [record.getMessage().split(",")[0] for record in caplog.records] == [
        f"spool {log.name} holds 3 events for `kafka` (kafka)",
        f"spool {log.name} holds 3 events for `sql` (postgresql)",
    ]


def test_a_log_handler_that_raises_loses_nothing_that_was_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The word about events for somebody else comes when the others are taken, and must not keep them."""
    for arguments in ([], [str(tmp_path / "events.db")]):
        subprocess.run([sys.executable, "-c", LEAVER, str(tmp_path / "spool"), *arguments], check=True, timeout=60)
    refused: list[str] = []

    def refuse(record: logging.LogRecord) -> bool:
        refused.append(record.getMessage())
        raise RuntimeError(record.msg)

    monkeypatch.setattr(logging.getLogger("backplane"), "filters", [refuse])
    with DataPlane(InMemory(), plane=Plane(spool=_spool(tmp_path / "spool"))) as plane:
        assert plane.flush(10)
        assert plane.ledger().total.recovered == plane.ledger().total.acknowledged == 1
    assert any("holds 1 events for `sqlite`" in text for text in refused)
