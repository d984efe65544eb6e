"""Real processes: killed at random moments, several on one root, forked."""

from __future__ import annotations

import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from backplane_runtime.spool import SpoolLog, adopt
from tests.runtime.spool.spools import KAFKA, ONE, SMALL, adopted, die, lines, numbered, put, read_all

pytestmark = [
    pytest.mark.runtime_only,
    # From 3.12 on Python warns of a fork beside threads; pytest-timeout has one.
    pytest.mark.filterwarnings("ignore:.*use of fork\\(\\) may lead to deadlocks:DeprecationWarning"),
]

WRITER = """
import mmap, struct, sys
from pathlib import Path
from tests.runtime.spool.spools import *
# What survives the death of this process without any file system: how many events `append` returned for, and the place
# before which the reader has settled.
shared = mmap.mmap(-1, 16) if len(sys.argv) < 3 else mmap.mmap(int(sys.argv[2]), 16)
log = SpoolLog.create(Path(sys.argv[1]), SpoolOptions(destinations=(KAFKA,), segment_bytes=20_000))
reader = log.reader("kafka")
print("ready", flush=True)
while True:
    log.append(lines(log.appended, 1 + log.appended % 13, pad=log.appended % 97))
    struct.pack_into("q", shared, 0, log.appended)
    log.commit()
    batch = reader.read(1 + log.end % 11, 1000)
    struct.pack_into("q", shared, 8, batch[0][0])  # the settling of the batch before has returned
    reader.settle(batch[-1][0] + 1)
    log.release()
"""


def started(script: str, *arguments: str, keep: int | None = None) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=() if keep is None else (keep,),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def own_lines(first: int, stop: int) -> list[tuple[int, bytes]]:
    """Return the events that the writer appends: their length depends on the first number of their batch."""
    events: list[tuple[int, bytes]] = []
    number = 1
    while number < stop:
        batch = lines(number, 1 + number % 13, pad=number % 97)
        events += enumerate(batch, number)
        number += len(batch)
    return [event for event in events if first <= event[0] < stop]


def test_kill_at_random_moments(tmp_path: Path) -> None:
    """20 times: what `append` returned for is there, and nothing comes again that was settled."""
    chance = random.Random(20)  # noqa: S311
    counter = tmp_path / "counter"
    counter.write_bytes(bytes(16))
    total = 0
    with counter.open("r+b") as file, mmap.mmap(file.fileno(), 16) as shared:
        for _ in range(20):
            struct.pack_into("qq", shared, 0, 1, 1)
            writer = started(WRITER, str(tmp_path / "spool"), str(file.fileno()), keep=file.fileno())
            time.sleep(chance.uniform(0.01, 0.15))
            writer.kill()
            writer.communicate()
            appended, settled = struct.unpack_from("qq", shared, 0)
            log = adopted(tmp_path / "spool")
            assert log.end >= appended
            reader = log.reader("kafka")
            assert settled <= reader.position <= log.end
            assert read_all(reader) == own_lines(reader.position, log.end)
            assert (reader.skipped, log.damaged_bytes) == (0, 0)
            reader.settle(log.end)
            log.close()
            total += log.end
    assert list((tmp_path / "spool").iterdir()) == []
    assert total > 20_000


PUBLISHER = """
import sys
from pathlib import Path
from tests.runtime.spool.spools import *
log = SpoolLog.create(Path(sys.argv[1]), SMALL)
for _ in range(50):
    put(log, 20, pad=20)
print("ready", flush=True)
sys.stdin.read()
log.close()
"""


def test_several_processes_on_one_root(tmp_path: Path) -> None:
    """Each has its own folder; nobody takes one from the living; all is there when they are gone."""
    command = [sys.executable, "-c", PUBLISHER, str(tmp_path)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    assert len(list(tmp_path.iterdir())) == 4
    assert adopt(tmp_path, (KAFKA,)) == []
    for process in processes:
        process.communicate("")
        assert process.returncode == 0
    logs = adopt(tmp_path, (KAFKA,))
    for log in logs:
        assert read_all(log.reader("kafka")) == numbered(1, 1000, pad=20)
        log.reader("kafka").settle(1001)
        log.close()
    assert len(logs) == 4
    assert list(tmp_path.iterdir()) == []


ADOPTER = """
import sys
from pathlib import Path
from tests.runtime.spool.spools import *
print("ready", flush=True)
sys.stdin.readline()
for log in adopt(Path(sys.argv[1]), (KAFKA,)):
    events = read_all(log.reader("kafka"))
    log.reader("kafka").settle(log.end)
    print(log.name, len(events), flush=True)
    log.close()
"""


def test_adopters_at_the_same_moment(tmp_path: Path) -> None:
    """Each folder is taken by one of them, and delivered once."""
    names = []
    for _ in range(30):
        log = SpoolLog.create(tmp_path, ONE)
        put(log, 5)
        names.append(die(log).name)
    command = [sys.executable, "-c", ADOPTER, str(tmp_path)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [error for _, error in outputs] == ["", "", ""]
    taken = Counter(line for output, _ in outputs for line in output.splitlines())
    assert taken == Counter(f"{name} 5" for name in names)
    assert list(tmp_path.iterdir()) == []


def in_child(log: SpoolLog, root: Path) -> int:
    """Do in a forked child what a data plane does there, and more; return the child's exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        log.forget()
        assert adopt(root, (KAFKA,)) == []  # the parent lives, though this process had its lock open
        own = SpoolLog.create(root, ONE)
        put(own, 4)
        code = 0
    finally:
        os._exit(code)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """The parent's stays the parent's, readers, lock and all."""
    log = SpoolLog.create(tmp_path, SMALL)
    put(log, 10, pad=50)
    reader = log.reader("kafka")
    assert reader.read(3, 10_000) == numbered(1, 3, pad=50)
    assert in_child(log, tmp_path) == 0
    assert reader.read(3, 10_000) == numbered(4, 3, pad=50)
    reader.settle(7)
    put(log, 30, pad=50)
    assert read_all(reader) == numbered(7, 34, pad=50)
    child = adopted(tmp_path)
    assert child.name != log.name
    assert read_all(child.reader("kafka")) == numbered(1, 4)
    child.reader("kafka").settle(5)
    child.close()
    reader.settle(41)
    log.close()
    assert list(tmp_path.iterdir()) == []


PARENT = """
import os, sys, time
from pathlib import Path
from tests.runtime.spool.spools import *
log = SpoolLog.create(Path(sys.argv[1]), ONE)
put(log, 6)
log.reader("kafka").read(2, 1000)
if os.fork() == 0:
    log.forget()
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)
time.sleep(60)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_the_folder_of_a_dead_parent_is_free_while_its_child_lives(tmp_path: Path) -> None:
    """The child let go of the lock that it inherited; the events are not locked away until it ends."""
    command = [sys.executable, "-W", "ignore", "-c", PARENT, str(tmp_path)]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    assert adopt(tmp_path, (KAFKA,)) == []
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    log = adopted(tmp_path)
    assert read_all(log.reader("kafka")) == numbered(1, 6)
    log.close()
    assert parent.stdin is not None
    parent.stdin.close()
    parent.stdout.close()


def test_memory_does_not_grow_with_the_backlog(tmp_path: Path) -> None:
    """A backlog of 60 MB is read with a few."""
    log = SpoolLog.create(tmp_path, ONE)
    for _ in range(30):
        put(log, 2000, pad=1000)
    die(log)
    done = subprocess.run(
        [sys.executable, "-c", DRAINER, str(tmp_path)], capture_output=True, text=True, check=True, timeout=100
    )
    count, kilobytes = map(int, done.stdout.split())
    assert count == 60_000
    assert kilobytes < 8_000


DRAINER = """
import resource, sys
from pathlib import Path
from tests.runtime.spool.spools import *
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(log,) = adopt(Path(sys.argv[1]), (KAFKA,))
reader = log.reader("kafka")
count = 0
while batch := reader.read(500, 1 << 20):
    count += len(batch)
    reader.settle(batch[-1][0] + 1)
    log.release()
log.close()
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
