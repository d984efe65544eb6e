"""However a program ends, nothing that it published is lost, it ends soon, and it says nothing that nobody asked for."""

import signal
import subprocess
from pathlib import Path

import pytest

from tests.runtime.processes.programs import (
    PREAMBLE,
    deliver,
    expected,
    folders,
    names,
    run,
    run_bare,
    run_until_ready,
    terminate,
)

pytestmark = [pytest.mark.runtime_only]

ENDS = {
    "falls off its end": "",
    "sys.exit": "sys.exit(0)",
    "an atexit handler registered later": "atexit.register(publish, plane, 'late', 10)",
    "_register_atexit": "threading._register_atexit(publish, plane, 'late', 10)",
    "sys.exit in a thread": "t = threading.Thread(target=sys.exit); t.start(); t.join()",
    "a thread that outlives main": "threading.Thread(target=lambda: (time.sleep(0.2), publish(plane, 'late', 10))).start()",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_a_normal_end_delivers_everything(tmp_path: Path, end: str) -> None:
    """Also without `close` and `flush`, with the first of 10 s of delivery interval hardly begun."""
    path = tmp_path / "events.db"
    ended = run(path, f"plane = open_plane()\npublish(plane, 'event', 1000)\n{end}")
    assert (ended.code, ended.output, ended.errors) == (0, "", "")
    assert names(path) == expected({"event": 1000} | ({"late": 10} if "late" in end else {}))


def test_an_exception_that_nobody_catches(tmp_path: Path) -> None:
    """It is what the program says, and all that it says."""
    path = tmp_path / "events.db"
    ended = run(path, "plane = open_plane()\npublish(plane, 'event', 1000)\nraise LookupError('mine')")
    assert ended.code == 1
    assert ended.errors.strip().endswith("LookupError: mine")
    assert ended.errors.count("Traceback") == 1
    assert names(path) == expected({"event": 1000})


BEFORE_OURS = """
import atexit
from pathlib import Path
made = []
atexit.register(lambda: publish(made[0], "late", 10))
"""


def test_an_atexit_handler_that_runs_after_ours(tmp_path: Path) -> None:
    """What it publishes is on disk at once, and the next start delivers it."""
    path = tmp_path / "events.db"
    program = BEFORE_OURS + PREAMBLE + "made.append(open_plane())\npublish(made[0], 'event', 100)"
    ended = run_bare(path, program)
    assert (ended.code, ended.output, ended.errors) == (0, "", "")
    deliver(path)
    assert names(path) == expected({"event": 100, "late": 10})


def test_a_first_event_after_our_exit_hook(tmp_path: Path) -> None:
    """The data plane was opened, and had nothing to do until then."""
    path = tmp_path / "events.db"
    ended = run_bare(path, BEFORE_OURS + PREAMBLE + "made.append(open_plane())")
    assert (ended.code, ended.output, ended.errors) == (0, "", "")
    deliver(path)
    assert names(path) == expected({"late": 10})


def test_a_finalizer_at_the_very_end(tmp_path: Path) -> None:
    """`__del__` of what lives until the interpreter is taken down."""
    path = tmp_path / "events.db"
    text = """
class Last:
    def __init__(self, plane): self.plane, self.publish = plane, publish
    def __del__(self): self.publish(self.plane, "late", 10)
plane = open_plane()
publish(plane, "event", 100)
last = Last(plane)
"""
    ended = run(path, text)
    assert (ended.code, ended.output, ended.errors) == (0, "", "")
    deliver(path)
    assert names(path) == expected({"event": 100, "late": 10})


def test_daemon_threads_that_publish_while_the_interpreter_ends(tmp_path: Path) -> None:
    """Each event that was accepted before the end began is there, none twice, and the end does not wait for the threads."""
    path = tmp_path / "events.db"
    text = """
plane = DataPlane(Sqlite(path=PATH), plane=Plane(flush_interval_ms=20))
done = [0] * 4
def work(mine):
    while True:
        publish(plane, f"thread {mine} event {done[mine]}", 1)
        done[mine] += 1
        if done[mine] % 50 == 0: time.sleep(0.001)
for mine in range(4):
    threading.Thread(target=work, args=(mine,), daemon=True).start()
time.sleep(0.3)
print(*done)
"""
    ended = run(path, text)
    assert (ended.code, ended.errors) == (0, "")
    deliver(path)
    found = names(path)
    assert set(found.values()) == {1}
    for mine, count in enumerate(map(int, ended.output.split())):
        assert count > 0
        missing = [number for number in range(count) if f"thread {mine} event {number} 0" not in found]
        assert missing == []


BLOCKS = {
    "python": "while True: sum(range(1000))",
    "time.sleep": "time.sleep(60)",
    "lock.acquire": "lock = threading.Lock(); lock.acquire(); print(end='', flush=True); lock.acquire()",
    "socket.recv": "a, b = socket.socketpair(); a.recv(1)",
    "thread.join": "t = threading.Thread(target=time.sleep, args=(60,), daemon=True); t.start(); t.join()",
    "flush": "print(end='', flush=True); plane.flush(60)",
}


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())
def test_sigterm(tmp_path: Path, block: str) -> None:
    """The program dies of it, at once, with everything on disk, whatever its main thread does."""
    path = tmp_path / "events.db"
    text = f"plane = open_plane()\npublish(plane, 'event', 500)\nprint('ready', flush=True)\npublish(plane, 'more', 500)\n{block}"
    ended = run_until_ready(path, text, terminate)
    assert (ended.code, ended.errors) == (-signal.SIGTERM, "")
    assert ended.seconds < 2
    deliver(path)
    found = names(path)
    assert set(found.values()) == {1}
    assert expected({"event": 500}) <= found


def test_sigterm_while_the_main_thread_is_in_the_ledger(tmp_path: Path) -> None:
    """It holds the lock that the writer needs; the program does not wait for itself."""
    path = tmp_path / "events.db"
    text = """
plane = open_plane()
publish(plane, "event", 500)
with plane._ledger.lock:
    publish(plane, "more", 500)
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(100): pass
time.sleep(60)
"""
    ended = run(path, text)
    assert (ended.code, ended.errors) == (-signal.SIGTERM, "")
    deliver(path)
    assert names(path) == expected({"event": 500, "more": 500})


def test_sigterm_with_a_handler_of_the_application(tmp_path: Path) -> None:
    """It is the application's, and our exit hook follows."""
    path = tmp_path / "events.db"
    text = """
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(7))
plane = open_plane()
publish(plane, "event", 1000)
print("ready", flush=True)
time.sleep(60)
"""
    ended = run_until_ready(path, text, terminate)
    assert (ended.code, ended.errors) == (7, "")
    assert names(path) == expected({"event": 1000})


def test_a_handler_that_is_set_later_has_the_signal(tmp_path: Path) -> None:
    """And one that ignores it is obeyed."""
    path = tmp_path / "events.db"
    text = """
plane = open_plane()
publish(plane, "event", 10)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.kill(os.getpid(), signal.SIGTERM)
print("alive")
"""
    ended = run(path, text)
    assert (ended.code, ended.output, ended.errors) == (0, "alive\n", "")
    assert names(path) == expected({"event": 10})


def test_sigint(tmp_path: Path) -> None:
    """Ctrl-C is an exception like another."""
    path = tmp_path / "events.db"
    text = "plane = open_plane()\npublish(plane, 'event', 1000)\nprint('ready', flush=True)\ntime.sleep(60)"

    def interrupt(process: subprocess.Popen[str]) -> None:
        process.send_signal(signal.SIGINT)

    ended = run_until_ready(path, text, interrupt)
    assert ended.code == -signal.SIGINT
    assert ended.errors.strip().endswith("KeyboardInterrupt")
    assert ended.errors.count("Traceback") == 1
    assert names(path) == expected({"event": 1000})


HANGING = """
import json
from backplane_runtime import Registration, register_backplane
from backplane_runtime.backplanes.api import BackplaneHealth
from backplane_runtime.settings import Composite, Member

class Hanging:
    def __init__(self, settings): pass
    def start(self): pass
    def send(self, batch): time.sleep(3600)
    def health(self, timeout): return BackplaneHealth(healthy=False, message="hangs")
    def close(self, timeout): pass

class HangingSettings(InMemory, frozen=True): pass

register_backplane("hanging", Registration(make=Hanging, settings_type=HangingSettings))
"""


TIMED = """
import atexit, time
began = []
atexit.register(lambda: print(time.monotonic() - began[0]))  # before ours, so after it
"""


@pytest.mark.parametrize("planes", [1, 3])
def test_a_hung_end_point_is_waited_for_once(tmp_path: Path, planes: int) -> None:
    """`closeTimeoutMs`, however many data planes there are; all their events are on disk."""
    text = f"""
planes = [DataPlane(HangingSettings(), plane=Plane(flush_interval_ms=1, close_timeout_ms=1000)) for _ in range({planes})]
for plane in planes: publish(plane, "event", 100)
time.sleep(0.2)
began.append(time.monotonic())
"""
    ended = run_bare(tmp_path / "events.db", TIMED + PREAMBLE + HANGING + text)
    assert (ended.code, ended.errors) == (0, "")
    assert 0.9 < float(ended.output) < 1.5
    assert len(folders()) == planes


def test_a_healthy_end_point_is_not_waited_for(tmp_path: Path) -> None:
    """The end takes milliseconds, and leaves no folder in the spool."""
    path = tmp_path / "events.db"
    text = "plane = open_plane()\npublish(plane, 'event', 100)\ntime.sleep(0.1)\nbegan.append(time.monotonic())"
    ended = run_bare(path, TIMED + PREAMBLE + text)
    assert (ended.code, ended.errors) == (0, "")
    assert float(ended.output) < 0.8
    assert names(path) == expected({"event": 100})
    assert folders() == []


def test_a_backplane_that_fails_to_close_does_not_print(tmp_path: Path) -> None:
    """Its exception is logged as every other is, and the program ends as it would."""
    text = """
import logging
logging.basicConfig(level=logging.CRITICAL)
class Failing(Hanging):
    def send(self, batch):
        from backplane_runtime.backplanes.api import Verdict
        return [Verdict.ACKNOWLEDGED for _ in batch]
    def close(self, timeout): raise LookupError("close")
class FailingSettings(InMemory, frozen=True): pass
register_backplane("failing", Registration(make=Failing, settings_type=FailingSettings))
plane = DataPlane(FailingSettings(), plane=SLOW)
publish(plane, "event", 10)
plane.close()
print(plane.ledger())
"""
    ended = run(tmp_path / "events.db", HANGING + text)
    assert (ended.code, ended.output, ended.errors) == (0, "published 10 = acknowledged 10\n", "")
