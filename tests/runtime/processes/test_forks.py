"""A fork at any moment loses nothing and doubles nothing; the child carries no thread, client or lock of its parent."""

import os
import signal
from pathlib import Path

import pytest

from tests.runtime.processes.programs import deliver, expected, folders, names, run, wait_until

pytestmark = [pytest.mark.runtime_only, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")]

FROM_FOUR_THREADS = """
# Who dies between sending and noting it sends again: the table knows the event by its id.
plane = DataPlane(Sqlite(path=PATH), plane=Plane(flush_interval_ms=5, close_timeout_ms=10_000))
stop, counts = threading.Event(), [0] * 4
def work(mine):
    while not stop.is_set():
        publish_one(f"thread {mine} {counts[mine]}")
        counts[mine] += 1
        if counts[mine] % 20 == 0: time.sleep(0.001)
def publish_one(name):
    assert plane.outcome(name, subject="s", metric="m") != "dropped"
threads = [threading.Thread(target=work, args=(mine,)) for mine in range(4)]
for thread in threads: thread.start()
ends = ("os._exit", "sys.exit", "SIGKILL", "os._exit")
for number in range(50):
    child = os.fork()
    if child == 0:
        assert threading.active_count() == 1
        end = sys.argv[2] if len(sys.argv) > 2 else ends[number % 4]
        if end != "os._exit" or number % 4 == 0:
            publish_one(f"child {number}")
            if end != "sys.exit": plane.save(5)
        if end == "os._exit": os._exit(0)
        if end == "SIGKILL": os.kill(os.getpid(), signal.SIGKILL)
        sys.exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -9), code
stop.set()
for thread in threads: thread.join()
print(*counts)
"""


def test_fifty_forks_while_four_threads_publish(tmp_path: Path) -> None:
    """Children that end at once, that end as programs do, that are killed: what each had on disk is there, once."""
    path = tmp_path / "events.db"
    ended = run(path, FROM_FOUR_THREADS, seconds=120)
    assert (ended.code, ended.errors) == (0, "")
    deliver(path)
    wanted = expected({f"thread {mine}": int(count) for mine, count in enumerate(ended.output.split())})
    wanted.update({f"child {number}": 1 for number in range(50) if number % 4 != 3})
    assert names(path) == wanted


def test_a_child_that_publishes_and_is_killed(tmp_path: Path) -> None:
    """Its folder is adopted by its parent, which lives on."""
    path = tmp_path / "events.db"
    text = """
from backplane_runtime import spooling
spooling.ADOPTION_SECONDS = 0.2
plane = open_plane(Plane(flush_interval_ms=5))
publish(plane, "parent", 10)
child = os.fork()
if child == 0:
    hung = DataPlane(Sqlite(path=PATH, enable_idempotency=False), plane=SLOW)
    publish(hung, "child", 10)
    hung.save(5)
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(child, 0)
until = time.monotonic() + 20
while plane.ledger().total.acknowledged < 20 and time.monotonic() < until: time.sleep(0.01)
print(plane.ledger())
"""
    ended = run(path, text)
    assert (ended.code, ended.errors) == (0, "")
    assert ended.output == "published 20 (10 by an earlier process) = acknowledged 20\n"
    assert names(path) == expected({"parent": 10, "child": 10})


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)"])
def test_a_daemon(tmp_path: Path, end: str) -> None:
    """It forks twice, and each time the parent ends at once: what all three published is there."""
    path = tmp_path / "events.db"
    text = f"""
plane = open_plane()
publish(plane, "first", 100)
if os.fork(): {end}
os.setsid()
publish(plane, "second", 100)
if os.fork(): {end}
publish(plane, "third", 100)
sys.exit(0)
"""
    ended = run(path, text)
    assert (ended.code, ended.errors) == (0, "")
    wait_until(lambda: names(path).keys() >= expected({"third": 100}).keys())
    deliver(path)
    assert names(path) == expected({"first": 100, "second": 100, "third": 100})


def test_a_fork_while_the_writer_holds_its_locks(tmp_path: Path) -> None:
    """The child has new ones."""
    path = tmp_path / "events.db"
    text = """
plane = open_plane()
publish(plane, "parent", 10)
held, done = threading.Event(), threading.Event()
def hold():
    with plane._writer._draining, plane._ledger.lock, plane._admission._lock, plane._notices._lock:
        held.set()
        done.wait(30)
plane.flush(10)
threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if child == 0:
    publish(plane, "child", 10)
    sys.exit(0 if plane.flush(10) else 3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
done.set()
"""
    ended = run(path, text)
    assert (ended.code, ended.errors) == (0, "")
    assert names(path) == expected({"parent": 10, "child": 10})


def test_a_parent_that_closes_while_its_child_writes(tmp_path: Path) -> None:
    """SQLite would take the parent's locks for the child's own, and remove the log that the child commits to."""
    path = tmp_path / "events.db"
    text = """
plane = open_plane()
publish(plane, "before", 1)
assert plane.flush(10)
child_wrote, parent_closed = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    publish(plane, "child", 1)
    assert plane.flush(10)
    os.write(child_wrote[1], b".")
    os.read(parent_closed[0], 1)
    publish(plane, "later", 1)
    os._exit(0 if plane.flush(10) else 3)
os.read(child_wrote[0], 1)
plane.close()
os.write(parent_closed[1], b".")
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    ended = run(path, text)
    assert (ended.code, ended.errors) == (0, "")
    assert names(path) == expected({"before": 1, "child": 1, "later": 1})


def test_a_fork_while_a_batch_is_written(tmp_path: Path) -> None:
    """It waits for a moment; then the child leaves the file alone, and the next start delivers what it published."""
    path = tmp_path / "events.db"
    text = """
import sqlite3
plane = DataPlane(Sqlite(path=PATH), plane=Plane(flush_interval_ms=1, close_timeout_ms=100))
publish(plane, "before", 1)
assert plane.flush(10)
other = sqlite3.connect(PATH, isolation_level=None)
other.execute("BEGIN IMMEDIATE")
publish(plane, "parent", 1)
time.sleep(0.3)
child = os.fork()
if child == 0:
    publish(plane, "child", 1)
    assert not plane.flush(1)
    print(plane.health().message, flush=True)
    sys.exit()
os.waitpid(child, 0)
other.execute("COMMIT")
assert plane.flush(20)
"""
    ended = run(path, text)
    assert ended.code == 0
    assert "this process was forked while SQLite was at work" in ended.errors
    assert "this process was forked while SQLite was at work" in ended.output
    deliver(path)
    assert names(path) == expected({"before": 1, "parent": 1, "child": 1})


def test_a_fork_inside_with(tmp_path: Path) -> None:
    """Each of the two leaves the block, and closes what is its own."""
    path = tmp_path / "events.db"
    text = """
with open_plane() as plane:
    publish(plane, "before", 10)
    child = os.fork()
    publish(plane, "child" if child == 0 else "parent", 10)
    if child: os.waitpid(child, 0)
assert plane.ledger().total.acknowledged == (20 if child else 10)
"""
    ended = run(path, text)
    assert (ended.code, ended.errors) == (0, "")
    assert names(path) == expected({"before": 10, "child": 10, "parent": 10})
    assert folders() == []


LIVING_CHILD = """
plane = open_plane()
publish(plane, "parent", 100)
plane.save(5)
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
print(child, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_folder_of_a_dead_parent_whose_child_lives(tmp_path: Path) -> None:
    """The child does not keep its lock."""
    path = tmp_path / "events.db"
    _adopted_though_a_child_lives(path, LIVING_CHILD)
    assert names(path) == expected({"parent": 100})


FORK_WHILE_A_FOLDER_IS_MADE = """
from backplane_runtime.spool import files
plane = open_plane()
making, forked = threading.Event(), threading.Event()
class Slow(files.Files):
    def lock(self, descriptor):
        making.set()
        forked.wait(30)
        return super().lock(descriptor)
import backplane_runtime.spool.log as log
create = log.SpoolLog.create.__func__
log.SpoolLog.create = classmethod(lambda cls, root, options: create(cls, root, options, files=Slow()))
publish(plane, "parent", 1)
making.wait()
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
forked.set()
plane.save(10)
print(child, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_fork_between_opening_a_lock_and_taking_it(tmp_path: Path) -> None:
    """What another thread had just opened is closed in the child too."""
    path = tmp_path / "events.db"
    _adopted_though_a_child_lives(path, FORK_WHILE_A_FOLDER_IS_MADE)
    assert names(path) == expected({"parent": 1})


def _adopted_though_a_child_lives(path: Path, text: str) -> None:
    # Its output goes to a file: the child inherits a pipe, and whoever reads it would wait for the child.
    said = path.with_suffix(".txt")
    ended = run(path, f"sys.stdout = open({str(said)!r}, 'w')\nos.closerange(0, 3)\n{text}")
    assert ended.code == -signal.SIGKILL
    child = int(said.read_text())
    try:
        assert len(folders()) == 1
        deliver(path)
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)
