"""`processStrict`: an event whose status is SPOOLED survives whatever happens to the process after that."""

import signal
from pathlib import Path

import pytest

from tests.runtime.processes.programs import deliver, expected, names, run

pytestmark = [pytest.mark.runtime_only]


@pytest.mark.parametrize("threads", [1, 8])
def test_a_kill_right_after(tmp_path: Path, threads: int) -> None:
    """Of every thread that was told so, in ten processes."""
    path = tmp_path / "events.db"
    text = """
# Who dies between sending and noting it sends again: the table knows the event by its id.
plane = DataPlane(Sqlite(path=PATH), plane=Plane(durability="processStrict", flush_interval_ms=60_000))
log = os.open(sys.argv[3], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
attempt = sys.argv[4]
def work(mine):
    for number in range(1000):
        name = f"{attempt}-{mine}-{number}"
        if plane.outcome(f"{name} 0", subject="s", metric="m") == "spooled":
            os.write(log, f"{name}\\n".encode())
        if mine == 0 and number == 50 + 13 * int(attempt):
            os.kill(os.getpid(), signal.SIGKILL)
threads = [threading.Thread(target=work, args=(mine,)) for mine in range(int(sys.argv[2]))]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    told = tmp_path / "told.txt"
    for attempt in range(10):
        assert run(path, text, str(threads), str(told), str(attempt)).code == -signal.SIGKILL
    deliver(path)
    found = names(path)
    promised = told.read_text().split()
    assert len(promised) >= 10 * 50
    assert set(found.values()) == {1}
    assert expected(dict.fromkeys(promised, 1)) <= found


def test_one_event_and_a_kill(tmp_path: Path) -> None:
    """The very first one, while everything starts."""
    path = tmp_path / "events.db"
    text = """
plane = open_plane(Plane(durability="processStrict"))
assert plane.outcome("event 0", subject="s", metric="m") == "spooled"
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert run(path, text).code == -signal.SIGKILL
    deliver(path)
    assert names(path) == expected({"event": 1})


def test_a_disk_that_is_not_there(tmp_path: Path) -> None:
    """Then it is not said to be spooled, and is delivered all the same."""
    path = tmp_path / "events.db"
    text = """
import logging
from backplane_runtime.settings import Spool
logging.basicConfig(level=logging.CRITICAL)
plane = open_plane(Plane(durability="processStrict", spool=Spool(directory="/dev/null/spool")))
assert {plane.outcome(f"event {number}", subject="s", metric="m") for number in range(10)} == {"queued"}
"""
    ended = run(path, text)
    assert (ended.code, ended.errors) == (0, "")
    assert names(path) == expected({"event": 10})
