"""Under Celery's prefork pool, whose children end by `os._exit`; the broker is a folder."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.runtime.processes.programs import deliver, expected, names, wait_until

pytest.importorskip("celery")
pytestmark = [pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")]

APPLICATION = """
import os
from celery import Celery
from backplane_runtime import DataPlane
from backplane_runtime.settings import Plane, Sqlite

folder = os.environ["FOLDER"]
queue = {"data_folder_in": folder + "/queue", "data_folder_out": folder + "/queue", "control_folder": folder + "/control"}
app = Celery("shop", broker="filesystem://")
app.conf.update(broker_transport_options=queue, task_ignore_result=True, worker_prefetch_multiplier=1)
app.conf.broker_connection_retry_on_startup = True

plane = DataPlane(Sqlite(path=folder + "/events.db"), plane=Plane(flush_interval_ms=60_000))
plane.outcome("master 0", subject="s", metric="m")

@app.task
def work(number):
    assert plane.outcome(f"task {number}", subject="s", metric="m") != "dropped"
    with open(f"{folder}/did/{number}", "w") as file:
        file.write(str(os.getpid()))
"""


@contextmanager
def working(tmp_path: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    (tmp_path / "shop.py").write_text(APPLICATION)
    for name in ("queue", "control", "did"):
        (tmp_path / name).mkdir()
    command = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "shop", "worker", "--loglevel", "warning"]
    command += ["--concurrency", "2", "--without-gossip", "--without-mingle", "--without-heartbeat", *arguments]
    with (tmp_path / "output.txt").open("wb") as output:
        environment = {**os.environ, "FOLDER": str(tmp_path), "PYTHONPATH": str(tmp_path)}
        worker = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, cwd=tmp_path, start_new_session=True
        )
        try:
            yield worker
        finally:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait(10)


def send(tmp_path: Path, count: int) -> None:
    """Put tasks in the queue, by a process of its own as an application would."""
    program = f"import shop\nfor number in range({count}): shop.work.delay(number)\nshop.plane.close()"
    environment = {
        **os.environ,
        "FOLDER": str(tmp_path),
        "PYTHONPATH": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "x"),
    }
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], env=environment, check=True, timeout=60)


def done(tmp_path: Path) -> set[str]:
    """Return which processes did tasks."""
    return {path.read_text() for path in (tmp_path / "did").iterdir()} - {""}


@pytest.mark.parametrize("arguments", [(), ("--max-tasks-per-child", "5")], ids=["warm", "recycled"])
def test_a_warm_shutdown(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Nothing is lost, and nothing doubled."""
    with working(tmp_path, *arguments) as worker:
        send(tmp_path, 40)
        wait_until(lambda: len(list((tmp_path / "did").iterdir())) == 40, 60)
        began = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
        assert time.monotonic() - began < 15
    assert len(done(tmp_path)) > (2 if arguments else 1)
    deliver(tmp_path / "events.db")
    found = names(tmp_path / "events.db")
    assert found.pop("master 0") == 2  # of the worker, and of the process that sent the tasks
    assert found == expected({"task": 40})


def test_killed_children(tmp_path: Path) -> None:
    """And then their parent: what they had on disk is delivered by the next start."""
    with working(tmp_path) as worker:
        send(tmp_path, 20)
        wait_until(lambda: len(list((tmp_path / "did").iterdir())) == 20, 60)
        time.sleep(0.5)  # the writer's 5 ms, on a machine that has other work to do
        for process in done(tmp_path):
            os.kill(int(process), signal.SIGKILL)
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(30)
    deliver(tmp_path / "events.db")
    found = names(tmp_path / "events.db")
    del found["master 0"]
    assert found == expected({"task": 20})
