"""`backplane spool`: what people see of undelivered events, and that looking changes nothing."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from backplane_compiler.cli.spool.export import command as export
from backplane_runtime.spool import Destination, SpoolLog, SpoolOptions, adopt
from backplane_runtime.spool.files import FILES
from tests.cli.conftest import Backplane
from tests.cli.test_commands import tree

ORDERS = Destination(name="orders", type="kafka", target="t1", events=("outcome",))
ARCHIVE = Destination(name="archive", type="sqlite", target="t2")
UNDELIVERED = [1, 3, 5, 6, 7, 8, 9, 10]  # `archive` has the first four, and `orders` takes outcomes only: the odd ones


def envelope(number: int) -> bytes:
    """Return an outcome for an odd number, an exposure for an even one."""
    kind = "Outcome" if number % 2 else "Exposure"
    return json.dumps({"eventId": str(number), "eventType": kind, "payload": {"n": number}}).encode()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SpoolLog]:
    """A live folder with ten events; `archive` has settled four of them, `orders` none."""
    options = SpoolOptions(destinations=(ORDERS, ARCHIVE), segment_bytes=300, program="shop")
    log = SpoolLog.create(tmp_path / "root", options)
    for number in range(1, 11):
        log.append([envelope(number)])
    log.commit()
    log.reader("archive").read(4, 10_000)
    log.reader("archive").settle(5)
    yield log
    log.close()


def die(log: SpoolLog) -> None:
    log.forget()


@pytest.mark.parametrize("name", ["ls", "cat", "verify", "export", "replay"])
def test_each_command_has_help_with_an_example(backplane: Backplane, name: str) -> None:
    """One can copy the example."""
    ran = backplane("spool", name, "--help")
    assert ran.code == 0
    assert f"backplane spool {name}" in ran.out.split("Example:")[1]
    assert {"--color", "--quiet", "--verbose"} <= set(ran.out.split())
    assert f"  {name} " in backplane("spool", "--help").out


def test_a_bare_spool_shows_the_help_and_a_mistyped_command_the_nearest(backplane: Backplane) -> None:
    """As `backplane` itself does."""
    ran = backplane("spool")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("Usage: backplane spool ")
    ran = backplane("spool", "lst")
    assert ran.code == 1
    assert "there is no command `lst`; did you mean `ls`?" in ran.err


def test_ls_says_who_owns_what_and_what_is_undelivered(backplane: Backplane, log: SpoolLog) -> None:
    """For people."""
    ran = backplane("spool", "ls", "root")
    assert (ran.code, ran.err) == (0, "")
    head, orders, archive = ran.out.splitlines()
    assert re.fullmatch(rf"{log.name}  alive, pid \d+ on \S+ \(shop\), started \d+ s ago, \d.\d KiB", head)
    assert orders == "  orders   kafka  10 events undelivered"
    assert archive == "  archive  sqlite  6 events undelivered"
    die(log)
    assert f"{log.name}  dead, " in backplane("spool", "ls", "root").out


def test_ls_as_json(backplane: Backplane, log: SpoolLog) -> None:
    """For programs."""
    ran = backplane("spool", "ls", "root", "-f", "json")
    (folder,) = json.loads(ran.out)
    assert folder["name"] == log.name
    assert (folder["alive"], folder["events"], folder["setAside"], folder["quarantinedBytes"]) == (True, 10, 0, 0)
    assert folder["bytes"] == sum(path.stat().st_size for path in log.path.iterdir())
    assert folder["destinations"] == [
        {"name": "orders", "type": "kafka", "target": "t1", "undelivered": 10},
        {"name": "archive", "type": "sqlite", "target": "t2", "undelivered": 6},
    ]


def test_ls_names_what_is_set_aside_and_in_quarantine(backplane: Backplane, log: SpoolLog) -> None:
    """And the command that shows it."""
    log.reader("orders").read(1, 1000)
    log.reader("orders").set_aside(1, envelope(1), "refused: no such topic")
    die(log)
    spoil(log.path)
    (again,) = adopt(log.path.parent, (ORDERS,))
    while again.reader("orders").read(10, 1000):
        pass
    again.close()
    out = backplane("spool", "ls", "root").out
    assert f"  1 event set aside: backplane spool cat {log.name} --set-aside\n" in out
    assert re.search(rf"  \d+ bytes in quarantine: .*{log.name}/quarantine\n", out)


def test_without_a_directory_the_default_root_is_meant(backplane: Backplane, log: SpoolLog, tmp_path: Path) -> None:
    """`$XDG_STATE_HOME`, or `~/.local/state`; a folder is then known by its name."""
    home = {"HOME": str(tmp_path), "XDG_STATE_HOME": ""}
    ran = backplane("spool", "ls", env=home)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == f"nothing is spooled in {tmp_path}/.local/state/experiment-backplane/spool\n"
    assert backplane("spool", "ls", "--quiet", env=home).err == ""
    (tmp_path / "state" / "experiment-backplane").mkdir(parents=True)
    log.path.parent.rename(tmp_path / "state" / "experiment-backplane" / "spool")
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    assert log.name in backplane("spool", "ls", env=state).out
    assert backplane("spool", "cat", log.name, env=state).out.count("\n") == len(UNDELIVERED)
    ran = backplane("spool", "cat", log.name[:-2] + "xx", env=state)
    assert ran.code == 1
    assert f"did you mean `{log.name}`?" in ran.err
    die(log)


def test_cat_prints_what_somebody_has_not_got(backplane: Backplane, log: SpoolLog) -> None:
    """The envelopes as they were written, in order."""
    ran = backplane("spool", "cat", str(log.path))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.encode() == b"".join(envelope(number) + b"\n" for number in UNDELIVERED)


def test_cat_of_one_destination_prints_what_it_will_get(backplane: Backplane, log: SpoolLog) -> None:
    """What it has not settled, of the types that it takes."""
    archive = backplane("spool", "cat", str(log.path), "--destination", "archive").out.splitlines()
    assert [json.loads(line)["payload"]["n"] for line in archive] == [5, 6, 7, 8, 9, 10]
    orders = backplane("spool", "cat", str(log.path), "--destination", "orders").out.splitlines()
    assert [json.loads(line)["payload"]["n"] for line in orders] == [1, 3, 5, 7, 9]
    ran = backplane("spool", "cat", str(log.path), "--destination", "order")
    assert ran.code == 1
    assert "did you mean `orders`?" in ran.err


def test_cat_all_prints_delivered_events_that_are_still_there(backplane: Backplane, log: SpoolLog) -> None:
    """Those whose segment is not removed yet."""
    log.reader("archive").read(10, 10_000)
    for name, before in (("orders", 10), ("archive", 11)):
        while log.reader(name).read(10, 10_000):
            pass
        log.reader(name).settle(before)
    log.release()
    first = min(int(path.stem) for path in log.path.glob("*.seg"))
    assert 1 < first < 10
    everything = backplane("spool", "cat", str(log.path), "--all")
    assert (everything.code, everything.err) == (0, "")
    assert [json.loads(line)["payload"]["n"] for line in everything.out.splitlines()] == [*range(first, 11)]
    assert backplane("spool", "cat", str(log.path)).out == ""


def test_cat_set_aside_prints_the_reasons(backplane: Backplane, log: SpoolLog) -> None:
    """A line for each event, once."""
    log.reader("orders").read(2, 1000)
    for number in (1, 2, 2):
        log.reader("orders").set_aside(number, envelope(number), "refused")
    lines = [json.loads(line) for line in backplane("spool", "cat", str(log.path), "--set-aside").out.splitlines()]
    assert [(line["number"], line["reason"], line["event"]["payload"]["n"]) for line in lines] == [
        (1, "refused", 1),
        (2, "refused", 2),
    ]
    assert backplane("spool", "cat", str(log.path), "--set-aside", "--destination", "archive").out == ""


def spoil(path: Path) -> None:
    """Change a byte of the body of the second frame."""
    segment = min(path.glob("*.seg"))
    data = bytearray(segment.read_bytes())
    data[data.index(b'"n": 2')] ^= 1
    segment.write_bytes(data)


def test_verify_names_the_place_of_each_damage(backplane: Backplane, log: SpoolLog) -> None:
    """And says ok where there is none."""
    ran = backplane("spool", "verify", "root")
    assert (ran.code, ran.out, ran.err) == (0, "", "1 folder: ok\n")
    spoil(log.path)
    (log.path / "archive.cursor").write_text("spoiled")
    ran = backplane("spool", "verify", str(log.path))
    assert ran.code == 1
    assert ran.out.splitlines() == [
        f"{log.path}/archive.cursor: no line is intact: `archive` gets every event again",
        f"{log.path}/00000000000000000001.seg: bytes 94 to 188 are damaged",
        f"{log.path}: event 2 is missing",
    ]
    die(log)


def test_verify_takes_an_unfinished_write_for_what_it_is(backplane: Backplane, log: SpoolLog) -> None:
    """A process that was killed leaves one; nobody was told that it is kept."""
    die(log)
    last = max(log.path.glob("*.seg"))
    last.write_bytes(last.read_bytes()[:-3])
    assert backplane("spool", "verify", "root").code == 0


def test_export_writes_a_file_whole_or_not_at_all(backplane: Backplane, log: SpoolLog, tmp_path: Path) -> None:
    """For its owner only, and never over another one."""
    ran = backplane("spool", "export", str(log.path), "-o", "out.jsonl")
    assert (ran.code, ran.out, ran.err) == (0, "", "wrote 8 events to out.jsonl\n")
    target = tmp_path / "out.jsonl"
    assert target.read_bytes() == b"".join(envelope(number) + b"\n" for number in UNDELIVERED)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    ran = backplane("spool", "export", str(log.path), "-o", "out.jsonl")
    assert ran.code == 1
    assert "out.jsonl is already there" in ran.err
    assert backplane("spool", "export", str(log.path), "-o", "nowhere/out.jsonl").code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "root"]


def test_what_is_exported_survives_a_loss_of_power(
    log: SpoolLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name too: the folder may be removed right afterwards."""
    synced: list[Path] = []
    monkeypatch.setattr(FILES, "sync_folder", synced.append)
    with click.Context(export) as context:
        context.invoke(export, folder=str(log.path), output=str(tmp_path / "out.jsonl"), destination=None)
    assert synced == [tmp_path]


def test_export_says_what_is_missing_and_writes_the_rest(backplane: Backplane, log: SpoolLog, tmp_path: Path) -> None:
    """`export && rm -r` must not lose what a person could still save."""
    spoil(log.path)
    ran = backplane("spool", "export", str(log.path), "-o", "out.jsonl")
    assert ran.code == 1
    assert "missing: 1 event; damaged: 95 bytes" in ran.err
    numbers = [json.loads(line)["payload"]["n"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert numbers == UNDELIVERED


def test_looking_changes_no_byte_and_takes_no_lock(backplane: Backplane, log: SpoolLog, tmp_path: Path) -> None:
    """Of a live folder and of a dead one, damaged or not."""
    spoil(log.path)
    for _ in range(2):
        before = tree(tmp_path / "root")
        for arguments in (("ls", "root"), ("cat", str(log.path), "--all"), ("verify", "root")):
            backplane("spool", *arguments)
        assert tree(tmp_path / "root") == before
        die(log)
    (again,) = adopt(tmp_path / "root", (ORDERS,))
    again.close()


def test_what_is_no_spool_is_told(backplane: Backplane, tmp_path: Path) -> None:
    """With what to do instead."""
    assert "there is no such folder" in backplane("spool", "ls", "nowhere").err
    assert "there is no such folder" in backplane("spool", "verify", "nowhere").err
    (tmp_path / "root").mkdir()
    ran = backplane("spool", "cat", "root")
    assert ran.code == 1
    assert "backplane spool ls root" in ran.err
    assert "`backplane spool ls` shows which there are" in backplane("spool", "cat", "nowhere").err


def test_a_description_that_cannot_be_used_is_told(backplane: Backplane, log: SpoolLog) -> None:
    """The events can still be had."""
    meta = log.path / "spool.json"
    meta.write_text(json.dumps({**json.loads(meta.read_text()), "version": 9}))
    out = backplane("spool", "ls", "root").out
    assert "  it is of version 9, and this program knows 1 at most; it holds 10 events at most\n" in out
    assert backplane("spool", "verify", "root").code == 1
    assert backplane("spool", "cat", str(log.path)).out.count("\n") == 10


def test_a_folder_whose_lock_somebody_removed(backplane: Backplane, log: SpoolLog) -> None:
    """A cleaner of old files takes it first; the events can still be had."""
    die(log)
    path = str(log.path)
    (log.path / "lock").unlink()
    assert "10 events undelivered" in backplane("spool", "ls", path).out
    assert backplane("spool", "verify", path).err == "1 folder: ok\n"
    assert backplane("spool", "cat", path).out.encode() == b"".join(envelope(n) + b"\n" for n in UNDELIVERED)
    assert backplane("spool", "export", path, "-o", "out.jsonl").err == "wrote 8 events to out.jsonl\n"


def test_names_cannot_play_with_the_terminal(backplane: Backplane, tmp_path: Path) -> None:
    """A destination's name is free text."""
    odd = Destination(name="a\x1b[2Jb", type="kafka", target="t")
    log = SpoolLog.create(tmp_path / "root", SpoolOptions(destinations=(odd,)))
    log.append([envelope(1)])
    log.commit()
    out = backplane("spool", "ls", "root").out
    assert "\x1b" not in out
    assert r"a\x1b[2Jb" in out
    die(log)
