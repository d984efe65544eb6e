"""Rows about the disk under the spool: full, too small, read-only, gone."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.faults import namespaces
from tests.faults.judgement import Outcome, Promise, judge
from tests.faults.scene import Row, Scene
from tests.faults.stage import Stage

RATE = 10_000
SETTLE = 40  # seconds: the sink is away for some, and retries wait up to ten
NOTICED = 1.5  # seconds until a program has noticed that its folder is gone


def _fill(scene: Scene) -> Outcome:
    """The sink is away until the disk is full; then events wait in memory, as many as are allowed there."""
    count = scene.sized(20_000, 60_000)
    stage, sink = scene.sqlite_away(count)
    stage.spool.mkdir()
    before = namespaces.on_small_disk(stage.spool, count * 100)  # a third of what the events take
    stage.plane |= {"maxQueueSize": 2 * count}
    program = stage.start(before=before, count=count, rate=RATE, settle=SETTLE)
    program.await_published(count)
    sink.open()
    program.wait()
    return judge(stage, Promise("0 lost"), "tmpfs; what the disk did not take was in memory")


def _exceed(scene: Scene) -> Outcome:
    """The sink is away until `spool.maxBytes` is reached: what is dropped is said and counted, the rest arrives."""
    count = scene.sized(20_000, 60_000)
    stage, sink = scene.sqlite_away(count)
    stage.plane["spool"] |= {"maxBytes": 1 << 20}
    program = stage.start(count=count, rate=RATE, settle=SETTLE)
    program.await_published(count)
    sink.open()
    program.wait()
    outcome = judge(stage, Promise("0 lost of what was accepted"), "1 MiB of quota")
    return outcome if outcome.dropped else outcome.broken("nothing was dropped, so the quota was not met")


def _read_only(scene: Scene) -> Outcome:
    count = scene.sized(10_000, 100_000)
    stage = scene.sqlite(count)
    stage.spool.mkdir()
    stage.start(before=namespaces.read_only(stage.spool), count=count, rate=RATE, settle=SETTLE).wait()
    return _from_memory(stage)


def _no_folder(scene: Scene) -> Outcome:
    count = scene.sized(10_000, 100_000)
    stage = scene.sqlite(count)
    stage.spool.write_text("a file where the folder should be")
    stage.run(count=count, rate=RATE, settle=SETTLE)
    return _from_memory(stage)


def _from_memory(stage: Stage) -> Outcome:
    return judge(stage, Promise("0 lost while the process lives", keeps_disk=False), "delivered from memory")


def _delete(scene: Scene) -> Outcome:
    """Somebody removes the spool's folder under a process whose sink is away; it goes on, and says what is lost."""
    count = scene.sized(10_000, 50_000)
    stage, sink = scene.sqlite_away(count)
    program = stage.start(count=count, rate=RATE, settle=SETTLE)
    program.await_published(count // 2)
    _remove(stage.spool)
    program.await_published(count)
    sink.open()
    program.wait()
    promise = Promise("only what the folder held", loss=count // 2 + int(RATE * NOTICED), keeps_disk=False)
    return judge(stage, promise, f"deleted after {count // 2:,}")


def _delete_and_kill(scene: Scene) -> Outcome:
    """The same, and the process is killed before the sink is back: what it published later is in a folder that is there."""
    count, rate = scene.sized(12_000, 50_000), 4_000
    stage, sink = scene.sqlite_away(count)
    program = stage.start(count=count, rate=rate, ending="wait")
    program.await_published(count // 3)
    _remove(stage.spool)
    program.await_published(count).kill()
    sink.open()
    stage.drain()
    promise = Promise("only what the folder held", loss=count // 3 + int(rate * NOTICED), keeps_disk=False)
    return judge(stage, promise, f"deleted after {count // 3:,}")


def _remove(folder: Path) -> None:
    """Remove *folder* at once: while it is emptied file by file, the program that goes on would put new ones into it."""
    gone = folder.with_name("removed")
    folder.rename(gone)
    shutil.rmtree(gone)


ROWS = (
    Row("disk full", _fill, mounts=True),
    Row("spool.maxBytes reached", _exceed),
    Row("spool folder read-only", _read_only, mounts=True),
    Row("a file in the spool folder's place", _no_folder),
    Row("spool folder deleted under the process", _delete),
    Row("spool folder deleted, then the process killed", _delete_and_kill),
)
