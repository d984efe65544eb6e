"""`backplane spool replay`: events that no process takes over are delivered by hand, and let go of only then."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from backplane_runtime.spool import Destination, SpoolLog, SpoolOptions
from tests.cli.conftest import Backplane

OLD = Destination(name="sqlite", type="sqlite", target="an old place")
OTHER = Destination(name="kafka", type="kafka", target="a cluster", events=("exposure",))


@pytest.fixture
def config(backplane: Backplane, tmp_path: Path) -> str:
    """A config with one backplane, `sqlite`."""
    (tmp_path / "doc.yaml").write_text(
        "dataPlane: {backplane: {type: sqlite, options: {path: events.db}}}\n", encoding="utf-8"
    )
    assert backplane("compile", "doc.yaml", "-o", "build").code == 0
    return "build/runtime.json"


def envelopes(first: int, count: int) -> list[bytes]:
    """Return outcomes with ids of their own."""
    return [
        json.dumps(
            {
                "eventId": f"00000000-0000-7000-8000-{number:012d}",
                "timestamp": "2026-01-31T10:00:00.000000Z",
                "eventType": "Outcome",
                "schemaVersion": "1.0.0",
                "payload": {
                    "experimentName": f"e{number}",
                    "subjectId": "s",
                    "metric": "m",
                    "timestamp": "2026-01-31T10:00:00.000000Z",
                },
            },
            separators=(",", ":"),
        ).encode()
        for number in range(first, first + count)
    ]


def left(tmp_path: Path, lines: Sequence[bytes], *destinations: Destination) -> Path:
    """Return a folder that a dead process left."""
    log = SpoolLog.create(tmp_path / "spool", SpoolOptions(destinations=destinations or (OLD,), segment_bytes=50_000))
    for start in range(0, len(lines), 100):
        log.append(lines[start : start + 100])
    log.forget()
    return log.path


def stored(tmp_path: Path) -> list[str]:
    """Return the names of the experiments in the table, in its order."""
    with closing(sqlite3.connect(tmp_path / "events.db")) as database:
        rows = database.execute(
            "SELECT json_extract(PayloadJson, '$.experimentName') FROM ExperimentEvents ORDER BY Id"
        )
        return [row[0] for row in rows]


def names(first: int, count: int) -> list[str]:
    return [f"e{number}" for number in range(first, first + count)]


def test_a_folder_is_delivered_and_goes(backplane: Backplane, tmp_path: Path, config: str) -> None:
    """In order; what it said of its old place does not matter."""
    folder = left(tmp_path, envelopes(1, 1200))
    ran = backplane("spool", "replay", str(folder), config)
    assert (ran.code, ran.out, ran.err) == (0, "", "sqlite: 1200 events delivered\n")
    assert stored(tmp_path) == names(1, 1200)
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_file_is_delivered_and_stays_and_twice_is_once(backplane: Backplane, tmp_path: Path, config: str) -> None:
    """Ids tell; a line that is no event is named."""
    folder = left(tmp_path, envelopes(1, 30))
    assert backplane("spool", "export", str(folder), "-o", "out.jsonl").code == 0
    with (tmp_path / "out.jsonl").open("a") as file:
        file.write('\n{"no": "event"}\n')
    ran = backplane("spool", "replay", "out.jsonl", config)
    assert ran.code == 1
    assert "out.jsonl:32: is no event that this version knows" in ran.err
    assert "sqlite: 30 events delivered, 1 event refused\n" in ran.err
    ran = backplane("spool", "replay", "out.jsonl", config)
    assert "sqlite: 30 events delivered, 30 of them were there already, 1 event refused\n" in ran.err
    assert stored(tmp_path) == names(1, 30)
    assert (tmp_path / "out.jsonl").read_text().count("\n") == 32
    assert backplane("spool", "ls", "spool").out.count("30 events undelivered") == 1


def test_what_is_no_event_is_set_aside(backplane: Backplane, tmp_path: Path, config: str) -> None:
    """The rest is delivered; the folder stays for people."""
    lines = envelopes(1, 5)
    lines[2] = b'{"eventType":"Unheard"}'
    folder = left(tmp_path, lines)
    ran = backplane("spool", "replay", str(folder), config)
    assert ran.code == 1
    assert "sqlite: 4 events delivered, 1 event refused" in ran.err
    assert f"backplane spool cat {folder} --set-aside" in ran.err
    (line,) = backplane("spool", "cat", str(folder), "--set-aside").out.splitlines()
    assert json.loads(line)["event"] == {"eventType": "Unheard"}
    assert stored(tmp_path) == ["e1", "e2", "e4", "e5"]
    assert "0 events undelivered" in backplane("spool", "ls", "spool").out


def test_what_is_lost_is_told_with_an_exit_code(backplane: Backplane, tmp_path: Path, config: str) -> None:
    """As `cat` and `export` do: who replays in a script hears of it, and the rest is delivered."""
    folder = left(tmp_path, envelopes(1, 1_000))
    (_, second, *_) = sorted(folder.glob("*.seg"))
    second.unlink()
    lost = 1_000 - len(backplane("spool", "cat", str(folder)).out.splitlines())
    ran = backplane("spool", "replay", str(folder), config, "--quiet")
    assert (ran.code, ran.err) == (
        1,
        f"sqlite: {1_000 - lost} events delivered, {lost} events lost to damage on disk\n",
    )
    assert len(stored(tmp_path)) == 1_000 - lost < 1_000


def test_a_backplane_that_is_away_costs_nothing(backplane: Backplane, tmp_path: Path, config: str) -> None:
    """It says why, and the events stay; then they are delivered."""
    folder = left(tmp_path, envelopes(1, 30))
    with closing(sqlite3.connect(tmp_path / "events.db")) as database:
        database.execute('CREATE TABLE "ExperimentEvents" ("Other" TEXT)')
    ran = backplane("spool", "replay", str(folder), config, "--timeout", "0.3")
    assert ran.code == 1
    assert "error: not every event was delivered: sqlite: " in ran.err
    assert "30 events undelivered" in backplane("spool", "ls", "spool").out
    (tmp_path / "events.db").unlink()
    assert backplane("spool", "replay", str(folder), config).code == 0
    assert stored(tmp_path) == names(1, 30)


def test_a_live_folder_is_left_to_its_owner(backplane: Backplane, tmp_path: Path, config: str) -> None:
    """Two would deliver the same."""
    log = SpoolLog.create(tmp_path / "spool", SpoolOptions(destinations=(OLD,)))
    log.append(envelopes(1, 1))
    log.commit()
    ran = backplane("spool", "replay", str(log.path), config)
    assert ran.code == 1
    assert "a process owns it, and delivers" in ran.err
    log.close()


def test_another_name_is_given_with_to(backplane: Backplane, tmp_path: Path, config: str) -> None:
    """Nothing goes anywhere that the user did not name, and nothing of a folder goes before all is clear."""
    exposure = (
        envelopes(2, 1)[0]
        .replace(b'"Outcome"', b'"Exposure"')
        .replace(b'"metric":"m"', b'"variantKey":"a","selectionReason":"r"')
    )
    folder = left(tmp_path, [*envelopes(1, 1), exposure, *envelopes(3, 1)], OLD, OTHER)
    ran = backplane("spool", "replay", str(folder), config)
    assert ran.code == 1
    assert "the config has no backplane `kafka`" in ran.err
    assert "--to chooses one" in ran.err
    assert not (tmp_path / "events.db").exists()
    ran = backplane("spool", "replay", str(folder), config, "--to", "sqlite")
    assert "choose one of them: --destination NAME" in ran.err
    ran = backplane("spool", "replay", str(folder), config, "--to", "sqlite", "--destination", "kafkaa")
    assert "did you mean `kafka`?" in ran.err
    ran = backplane("spool", "replay", str(folder), config, "--to", "sqlite", "--destination", "kafka")
    assert (ran.code, ran.err) == (0, "sqlite: 1 event delivered\n")
    assert stored(tmp_path) == ["e2"]
    assert backplane("spool", "replay", str(folder), config, "--quiet").err == ""
    assert sorted(stored(tmp_path)) == ["e1", "e2", "e3"]
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_folder_whose_lock_somebody_removed(backplane: Backplane, tmp_path: Path, config: str) -> None:
    """It is delivered as any other."""
    folder = left(tmp_path, envelopes(1, 3))
    (folder / "lock").unlink()
    assert backplane("spool", "replay", str(folder), config).err == "sqlite: 3 events delivered\n"
    assert list((tmp_path / "spool").iterdir()) == []


def test_what_cannot_be_replayed_is_told(backplane: Backplane, tmp_path: Path, config: str) -> None:
    """With what to do instead."""
    assert "there is no such folder of a spool" in backplane("spool", "replay", "nowhere", config).err
    folder = left(tmp_path, envelopes(1, 3))
    assert "nowhere.json" in backplane("spool", "replay", str(folder), "nowhere.json").err
    (tmp_path / "out.jsonl").write_bytes(envelopes(1, 1)[0])
    ran = backplane("spool", "replay", "out.jsonl", config, "--destination", "sqlite")
    assert "--destination is about a folder" in ran.err
    (folder / "spool.json").write_text("{}")
    ran = backplane("spool", "replay", str(folder), config)
    assert ran.code == 1
    assert f"backplane spool export {folder} -o FILE" in ran.err


def test_killed_in_the_middle_nothing_is_lost(backplane: Backplane, tmp_path: Path, config: str) -> None:
    """What is in the table or in the folder is all, at every moment; the next replay ends it."""
    folder = left(tmp_path, envelopes(1, 20_000))
    command = [sys.executable, "-m", "backplane_compiler", "spool", "replay", str(folder), config]
    kills = 0
    while kills < 5:
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
        before = len(stored(tmp_path)) if (tmp_path / "events.db").exists() else 0
        deadline = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < deadline:
            if (tmp_path / "events.db").exists() and _count(tmp_path) > before:
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.005)
        process.communicate()
        if process.returncode == 0:
            break
    assert kills > 0
    if folder.exists():
        assert backplane("spool", "replay", str(folder), config).code == 0
    assert sorted(stored(tmp_path), key=lambda name: int(name[1:])) == names(1, 20_000)
    assert list((tmp_path / "spool").iterdir()) == []


def test_ctrl_c_ends_it_and_blames_no_event(backplane: Backplane, tmp_path: Path, config: str) -> None:
    """Pressed while the server takes its time, as it is nearly always; the next replay ends what is left."""
    folder = left(tmp_path, envelopes(1, 20_000))
    command = [sys.executable, "-m", "backplane_compiler", "spool", "replay", str(folder), config]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while not ((tmp_path / "events.db").exists() and _count(tmp_path)) and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert 0 < len(stored(tmp_path)) < 20_000
    assert backplane("spool", "replay", str(folder), config).code == 0
    assert sorted(stored(tmp_path), key=lambda name: int(name[1:])) == names(1, 20_000)


def _count(tmp_path: Path) -> int:
    try:
        return len(stored(tmp_path))
    except sqlite3.OperationalError:
        return 0  # no table yet
