"""A run that is killed leaves no server and no files: not after a moment, or at the latest when the next run starts."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import KafkaCluster, PostgreSQLServer, running_postgresql
from tests.servers.run_directory import OWNER, command_line, run_directory, servers_directory

ROOT = Path(__file__).parents[2]
OWNER_OF_KAFKA = """
import time
from tests.servers import running_kafka
with running_kafka() as kafka:
    print(kafka.pid(1), kafka.installation.directory, flush=True)
    time.sleep(600)
"""
OWNER_OF_POSTGRESQL = """
import time
from tests.servers import running_postgresql
with running_postgresql() as postgresql:
    print(postgresql.pid, postgresql.directory, flush=True)
    time.sleep(600)
"""


def _killed(program: str) -> tuple[int, Path]:
    """Start servers in a process of its own, kill that process, return the server's process id and files."""
    with _killed_at_last([sys.executable, "-c", program]) as owner:
        assert owner.stdout is not None
        pid, directory = owner.stdout.readline().split()
        assert command_line(int(pid))
        assert Path(directory).is_dir()
    return int(pid), Path(directory)


@contextmanager
def _killed_at_last(command: list[str]) -> Iterator["subprocess.Popen[str]"]:
    """Run a program beside the test and kill it, whatever the test says."""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _soon(happened: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 15
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.05)
    return happened()


def test_kafka_goes_with_its_owner(kafka: KafkaCluster) -> None:
    """SIGKILL of the owner ends the broker and removes its data at once; others' brokers stay."""
    pid, directory = _killed(OWNER_OF_KAFKA)
    assert _soon(lambda: not command_line(pid))
    assert _soon(lambda: not directory.exists())
    assert kafka.running_brokers == {1}


def test_postgresql_goes_with_its_owner(postgresql: PostgreSQLServer) -> None:
    """SIGKILL of the owner ends the server with all its processes and removes its data at once."""
    pid, directory = _killed(OWNER_OF_POSTGRESQL)
    assert _soon(lambda: not command_line(pid))
    assert _soon(lambda: not directory.exists())
    assert postgresql.execute("SELECT 1") == "1"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_server_goes_with_its_guard(postgresql: PostgreSQLServer) -> None:
    """SIGKILL of the guard alone, as when memory runs out, leaves no server either."""
    with running_postgresql() as server:
        pid = server.pid
        os.kill(server._server._guard.pid, signal.SIGKILL)
        assert _soon(lambda: not command_line(pid))


@pytest.fixture
def orphan() -> Iterator[Path]:
    """The directory of a run whose owner is dead."""
    run = servers_directory() / f"run-orphan-{os.getpid()}"
    run.mkdir()
    (run / OWNER).touch()
    yield run
    assert not run.exists()


def test_the_next_run_ends_a_server_without_guard(orphan: Path) -> None:
    """A server of a dead run is known by the run's path on its command line."""
    sleeps = f"import time; time.sleep(600)  # {orphan}"
    with _killed_at_last([sys.executable, "-c", sleeps]) as server:
        # A command line is empty for the moment in which a program replaces the one that started it.
        assert _soon(lambda: str(orphan) in command_line(server.pid))
        (orphan / "server.pid").write_text(f"{server.pid} {int(signal.SIGTERM)}\n")
        with run_directory():
            assert server.wait(10) == -signal.SIGTERM


def test_the_next_run_spares_a_stranger(orphan: Path) -> None:
    """A process id that now belongs to another program is not killed."""
    with _killed_at_last(["sleep", "600"]) as stranger:
        (orphan / "server.pid").write_text(f"{stranger.pid} {int(signal.SIGKILL)}\n")
        with run_directory():
            assert stranger.poll() is None


def test_the_next_run_survives_nonsense_in_a_pid_file(orphan: Path) -> None:
    """A pid file of which only a part was written stops nobody."""
    (orphan / "server.pid").write_text("12")
    with run_directory() as directory:
        assert directory.is_dir()
    assert not directory.exists()
