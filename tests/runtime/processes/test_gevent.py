"""Under gevent: our threads stay threads, so a client that waits in C stops no greenlet, and nothing is lost."""

from pathlib import Path

import pytest

from tests.runtime.processes.programs import PREAMBLE, deliver, expected, folders, names, run_bare

pytest.importorskip("gevent")

PATCH = "from gevent import monkey; monkey.patch_all()\n"
ORDERS = {"patched before": PATCH + PREAMBLE, "patched after": PREAMBLE + PATCH}

TICKING = """
import gevent
ticks = []
def tick():
    while True:
        ticks.append(time.monotonic())
        gevent.sleep(0.005)
def longest_pause(since):
    moments = [one for one in ticks if one >= since]
    assert len(moments) > 3, moments
    return max(two - one for one, two in zip(moments, moments[1:]))
gevent.spawn(tick)
"""

# `time.sleep` of C, as in a client library that does not know of gevent: it holds its thread, and lets go of the interpreter.
HANGING = """
import ctypes
from backplane_runtime import Registration, register_backplane
from backplane_runtime.backplanes.api import BackplaneHealth, Verdict
class Hanging:
    def __init__(self, settings): pass
    def start(self): pass
    def send(self, batch):
        ctypes.CDLL(None).usleep(700_000)
        return [Verdict.ACKNOWLEDGED for _ in batch]
    def health(self, timeout):
        ctypes.CDLL(None).usleep(700_000)
        return BackplaneHealth(healthy=True, message="slow")
    def close(self, timeout): pass
class HangingSettings(InMemory, frozen=True): pass
register_backplane("hanging", Registration(make=Hanging, settings_type=HangingSettings))
"""


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_a_backplane_that_hangs_stops_no_greenlet(tmp_path: Path, order: str) -> None:
    """While it hangs others publish, flush, ask for health and close, and a greenlet that ticks keeps ticking."""
    text = """
plane = DataPlane(HangingSettings(), plane=Plane(flush_interval_ms=1, close_timeout_ms=5000))
began = time.monotonic()
def work(mine):
    for number in range(50):
        plane.outcome("e", subject="s", metric="m")
        gevent.sleep(0.001)
workers = [gevent.spawn(work, mine) for mine in range(20)]
gevent.joinall(workers, raise_error=True)
assert plane.flush(20)
assert plane.health(5).healthy
plane.close()
print(plane.ledger(), longest_pause(began) < 0.3, sep="|")
"""
    ended = run_bare(tmp_path / "events.db", order + HANGING + TICKING + text)
    assert (ended.code, ended.errors) == (0, "")
    assert ended.output == "published 1,000 = acknowledged 1,000|True\n"


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
@pytest.mark.parametrize("end", ["", "plane.close()", "os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)"])
def test_what_greenlets_publish_is_delivered(tmp_path: Path, order: str, end: str) -> None:
    """Once each, whatever ends the program."""
    path = tmp_path / "events.db"
    text = f"""
plane = open_plane()
def work(mine):
    for number in range(50):
        plane.outcome(f"greenlet {{mine * 50 + number}}", subject="s", metric="m")
        gevent.sleep(0)
gevent.joinall([gevent.spawn(work, mine) for mine in range(20)], raise_error=True)
{end}
"""
    ended = run_bare(path, order + TICKING + text)
    assert (ended.code, ended.errors) == (-15 if "SIGTERM" in end else 0, "")
    deliver(path)
    assert names(path) == expected({"greenlet": 1000})
    assert folders() == []


def test_a_data_plane_from_before_a_fork_and_the_patch(tmp_path: Path) -> None:
    """As under `gunicorn --preload` with gevent workers: the child patches what its parent has used."""
    path = tmp_path / "events.db"
    text = """
plane = open_plane()
publish(plane, "first", 10)
assert plane.flush(20)
publish(plane, "parent", 10)
child = os.fork()
if child == 0:
    from gevent import monkey; monkey.patch_all()
    import gevent
    gevent.joinall([gevent.spawn(publish, plane, f"child {mine}", 10) for mine in range(3)], raise_error=True)
    assert plane.flush(20)
    sys.exit()
publish(plane, "again", 10)
assert plane.flush(20)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    ended = run_bare(path, PREAMBLE + text)
    assert (ended.code, ended.errors) == (0, "")
    children = {f"child {mine}": 10 for mine in range(3)}
    assert names(path) == expected({"first": 10, "parent": 10, "again": 10} | children)


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_receipts_and_blocking(tmp_path: Path, order: str) -> None:
    """A greenlet that waits for a receipt, or for room, lets the others go on."""
    text = """
plane = DataPlane(HangingSettings(), plane=Plane(failure_mode="block", max_queue_size=5, flush_interval_ms=1))
began = time.monotonic()
receipt = plane.publish(Outcome("e", subject="s", metric="m"), receipt=True)
print(receipt.acknowledged.result(20))
def work():
    for number in range(3): assert plane.outcome("e", subject="s", metric="m") != "dropped"
gevent.joinall([gevent.spawn(work) for _ in range(5)], raise_error=True)
assert plane.flush(20)
print(plane.ledger(), longest_pause(began) < 0.3, sep="|")
"""
    ended = run_bare(tmp_path / "events.db", order + HANGING + TICKING + text)
    assert (ended.code, ended.errors) == (0, "")
    assert ended.output == "Status.ACKNOWLEDGED\npublished 16 = acknowledged 16|True\n".replace(
        "Status.ACKNOWLEDGED", "acknowledged"
    )
