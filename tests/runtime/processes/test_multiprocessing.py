"""Children of `multiprocessing` and `concurrent.futures`, however they are started and ended."""

from pathlib import Path

import pytest

from tests.runtime.processes.programs import Ended, deliver, expected, names, run_file

pytestmark = [pytest.mark.runtime_only]

METHODS = ["fork", "forkserver", "spawn"]

WORK = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

METHOD = sys.argv[2] if len(sys.argv) > 2 else None
made = []

def own():
    if not made:
        made.append(open_plane())
    return made[0]

def task(number):
    publish(own(), f"task {number}", 10)
    return number

def hang(number):
    task(number)
    open(f"{PATH}.{number}", "w").close()
    time.sleep(60)

if __name__ == "__main__":
    context = multiprocessing.get_context(METHOD)
    if METHOD == "fork":
        publish(own(), "parent", 10)
"""


def finish(path: Path, method: str, main: str) -> Ended:
    indented = "".join(f"    {line}\n" for line in main.strip().splitlines())
    ended = run_file(path, WORK + indented, method)
    assert (ended.code, ended.errors) == (0, "")
    return ended


def wanted(method: str, tasks: int) -> dict[str, int]:
    return {f"task {number}": 10 for number in range(tasks)} | ({"parent": 10} if method == "fork" else {})


@pytest.mark.parametrize("daemon", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_a_process(tmp_path: Path, method: str, daemon: bool) -> None:  # noqa: FBT001
    """It ends by `os._exit`, after multiprocessing's own finalizers."""
    path = tmp_path / "events.db"
    main = f"""
children = [context.Process(target=task, args=(number,), daemon={daemon}) for number in range(3)]
for child in children: child.start()
for child in children: child.join()
assert [child.exitcode for child in children] == [0, 0, 0]
"""
    finish(path, method, main)
    assert names(path) == expected(wanted(method, 3))


@pytest.mark.parametrize("end", ["close", "terminate", "with"])
@pytest.mark.parametrize("method", METHODS)
def test_a_pool(tmp_path: Path, method: str, end: str) -> None:
    """Its workers end on their own, or by SIGTERM: then the next start delivers."""
    path = tmp_path / "events.db"
    ends = {
        "close": "pool.close(); pool.join()",
        "terminate": "pool.terminate(); pool.join()",
        "with": "with pool: pass",
    }
    main = f"""
pool = context.Pool(2)
assert pool.map(task, range(8), chunksize=1) == list(range(8))
time.sleep(0.3)  # longer than the writer's period: to be terminated costs the last milliseconds
{ends[end]}
"""
    finish(path, method, main)
    deliver(path)
    assert names(path) == expected(wanted(method, 8))


@pytest.mark.parametrize("method", METHODS)
def test_a_process_that_is_terminated(tmp_path: Path, method: str) -> None:
    """In the middle of its work, and a daemonic one when its parent ends."""
    path = tmp_path / "events.db"
    main = """
stopped, left = context.Process(target=hang, args=(0,)), context.Process(target=hang, args=(1,), daemon=True)
stopped.start(); left.start()
deadline = time.monotonic() + 30
while not all(os.path.exists(f"{PATH}.{number}") for number in range(2)) and time.monotonic() < deadline: time.sleep(0.01)
time.sleep(0.3)  # longer than the writer's period: to be terminated costs the last milliseconds
stopped.terminate(); stopped.join()
assert stopped.exitcode == -signal.SIGTERM
"""
    finish(path, method, main)
    deliver(path)
    assert names(path) == expected(wanted(method, 2))


@pytest.mark.parametrize("method", METHODS)
def test_a_process_pool_executor(tmp_path: Path, method: str) -> None:
    """Its workers leave their loop when it is shut down."""
    path = tmp_path / "events.db"
    main = """
with ProcessPoolExecutor(2, mp_context=context) as pool:
    assert list(pool.map(task, range(8))) == list(range(8))
"""
    finish(path, method, main)
    assert names(path) == expected(wanted(method, 8))
