"""Under gunicorn: one data plane made in the master (`--preload`), workers that are recycled, stopped and killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.runtime.processes.programs import deliver, expected, names, wait_until

pytest.importorskip("gunicorn")
pytestmark = [pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")]

# The master publishes too, and has delivered, before the first worker is forked.
APPLICATION = """
import os, threading
from backplane_runtime import DataPlane
from backplane_runtime.settings import Plane, Sqlite

plane = DataPlane(Sqlite(path=os.environ["SINK"]), plane=Plane(flush_interval_ms=int(os.environ["INTERVAL"])))
plane.outcome("master 0", subject="s", metric="m")
assert plane.flush(10)
plane.outcome("master 1", subject="s", metric="m")

def application(environ, start_response):
    assert plane.outcome(environ["PATH_INFO"][1:].replace("-", " "), subject="s", metric="m") != "dropped"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


@contextmanager
def serving(tmp_path: Path, *arguments: str, interval: int = 5) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run gunicorn with the application above, and give it and its port."""
    (tmp_path / "shop.py").write_text(APPLICATION)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "gunicorn", "--preload", "--bind", f"127.0.0.1:{port}"]
    command += [
        "--chdir",
        str(tmp_path),
        "--log-level",
        "warning",
        "--graceful-timeout",
        "5",
        *arguments,
        "shop:application",
    ]
    environment = {**os.environ, "SINK": str(tmp_path / "events.db"), "INTERVAL": str(interval)}
    with (tmp_path / "errors.txt").open("w+b") as errors:
        server = subprocess.Popen(command, stderr=errors, env=environment, start_new_session=True)
        try:
            wait_until(lambda: _answers(port))
            yield server, port
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)
            server.wait(10)


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def get(port: int, name: str) -> int:
    """Have a worker publish *name*, and return its process id."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", f"/{name.replace(' ', '-')}")
        answer = connection.getresponse()
        assert answer.status == 200
        return int(answer.read())
    finally:
        connection.close()


def stop(server: subprocess.Popen[bytes]) -> float:
    """Stop gunicorn as a service manager does, and return how long that took."""
    began = time.monotonic()
    server.send_signal(signal.SIGTERM)
    assert server.wait(20) == 0
    return time.monotonic() - began


WORKERS = ["sync", "gthread", "gevent"]
MASTER = {"master": 2}


@pytest.mark.parametrize("worker", WORKERS)
def test_a_graceful_stop(tmp_path: Path, worker: str) -> None:
    """Everything is delivered, also what had not been sent yet, and soon."""
    if worker == "gevent":
        pytest.importorskip("gevent")
    with serving(tmp_path, "--worker-class", worker, "--workers", "3", interval=60_000) as (server, port):
        for number in range(100):
            get(port, f"request {number}")
        assert stop(server) < (
            9 if worker == "gevent" else 4
        )  # gunicorn's gevent workers look each second, without us too
    deliver(tmp_path / "events.db")
    assert names(tmp_path / "events.db") == expected({"request": 100} | MASTER)
    assert (tmp_path / "errors.txt").read_text() == ""


@pytest.mark.parametrize("worker", WORKERS)
def test_recycled_workers(tmp_path: Path, worker: str) -> None:
    """`--max-requests`: each worker ends after some requests, and another one begins anew."""
    if worker == "gevent":
        pytest.importorskip("gevent")
    recycling = ("--worker-class", worker, "--workers", "2", "--max-requests", "10")
    with serving(tmp_path, *recycling, interval=60_000) as (server, port):
        workers: set[int] = set()
        number = 0
        until = time.monotonic() + 30
        while len(workers) < 5 and time.monotonic() < until:
            workers.add(_get_again(port, f"request {number}"))
            number += 1
        assert stop(server) < 10
    assert len(workers) == 5
    deliver(tmp_path / "events.db")
    assert names(tmp_path / "events.db") == expected({"request": number} | MASTER)


def _get_again(port: int, name: str) -> int:
    # A worker that ends may refuse a connection that it had not accepted; nothing was published then.
    until = time.monotonic() + 20
    while True:
        try:
            return get(port, name)
        except ConnectionRefusedError:
            assert time.monotonic() < until
            time.sleep(0.05)


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_that_is_killed(tmp_path: Path, worker: str) -> None:
    """What it had on disk, which is all that is older than a few milliseconds, is delivered by the next start."""
    if worker == "gevent":
        pytest.importorskip("gevent")
    with serving(tmp_path, "--worker-class", worker, "--workers", "2", interval=60_000) as (server, port):
        workers = {get(port, f"request {number}") for number in range(50)}
        time.sleep(0.5)  # the writer's 5 ms, on a machine that has other work to do
        for process in workers:
            os.kill(process, signal.SIGKILL)
        wait_until(lambda: get(port, "again 0") not in workers)
        assert stop(server) < 10
    deliver(tmp_path / "events.db")
    found = names(tmp_path / "events.db")
    del found["again 0"]
    assert found == expected({"request": 50} | MASTER)
