"""Real programs in real processes, and what they leave in an SQLite file: the sink of every test in this folder.

The spool of a test lies where `XDG_STATE_HOME` says, which `tests/conftest.py` sets for each test: a program that a test starts
and the data plane that plays the next start share it.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from backplane_runtime import DataPlane
from backplane_runtime.settings import Plane, Sqlite

PREAMBLE = """
import atexit, os, signal, socket, sys, threading, time
from backplane_runtime import DataPlane, Outcome
from backplane_runtime.settings import InMemory, Plane, Sqlite

PATH = sys.argv[1]
SLOW = Plane(flush_interval_ms=60_000, close_timeout_ms=10_000)

def open_plane(plane=SLOW):
    return DataPlane(Sqlite(path=PATH, enable_idempotency=False), plane=plane)

def publish(plane, name, count=1):
    for number in range(count):
        plane.outcome(f"{name} {number}", subject="s", metric="m")
"""


@dataclass(frozen=True)
class Ended:
    """How a program ended: `code` is negative for a signal."""

    code: int
    output: str
    errors: str
    seconds: float


def run(path: Path, text: str, *arguments: str, seconds: float = 60) -> Ended:
    """Run the program *text*, after the preamble, with the sink *path* as its first argument, until it ends."""
    return run_bare(path, PREAMBLE + text, *arguments, seconds=seconds)


def run_bare(path: Path, text: str, *arguments: str, seconds: float = 60) -> Ended:
    """Do the same without the preamble."""
    began = time.monotonic()
    command = [sys.executable, "-W", "ignore", "-c", text, str(path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    return Ended(done.returncode, done.stdout, done.stderr, time.monotonic() - began)


def run_file(path: Path, text: str, *arguments: str, seconds: float = 60) -> Ended:
    """Do the same from a file, as children that are not forked need it."""
    program = path.with_name("program.py")
    program.write_text(PREAMBLE + text)
    began = time.monotonic()
    command = [sys.executable, "-W", "ignore", str(program), str(path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    return Ended(done.returncode, done.stdout, done.stderr, time.monotonic() - began)


def run_until_ready(
    path: Path, text: str, act: Callable[[subprocess.Popen[str]], object], *, seconds: float = 60
) -> Ended:
    """Run the program *text* until it prints `ready`, then *act* on it, and wait for its end, which is timed from there."""
    command = [sys.executable, "-W", "ignore", "-c", PREAMBLE + text, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if line != "ready\n":
                process.kill()
            assert line == "ready\n", process.communicate()
            began = time.monotonic()
            act(process)
            output, errors = process.communicate(timeout=seconds)
        finally:
            process.kill()
        return Ended(process.returncode, output, errors, time.monotonic() - began)


def terminate(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)


def rows(path: Path) -> list[tuple[str, str]]:
    """Return the id and the experiment of every event in the sink *path*, in the order of their arrival."""
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT EventId, PayloadJson FROM ExperimentEvents ORDER BY rowid").fetchall()
    return [(event_id, json.loads(payload)["experimentName"]) for event_id, payload in found]


def names(path: Path) -> Counter[str]:
    """Return how often each event is in the sink *path*."""
    return Counter(name for _, name in rows(path))


def expected(counts: Mapping[str, int]) -> Counter[str]:
    """Return what `publish(plane, name, count)` of the preamble leaves for each of *counts*, each event once."""
    return Counter(f"{name} {number}" for name, count in counts.items() for number in range(count))


def spool_root() -> Path:
    return Path(os.environ["XDG_STATE_HOME"]) / "experiment-backplane" / "spool"


def folders() -> list[Path]:
    root = spool_root()
    return [one for one in root.iterdir() if not one.name.startswith(".")] if root.exists() else []


def deliver(path: Path, seconds: float = 30) -> None:
    """Be the next start: adopt what dead processes left, and deliver it to the sink *path*.

    Raises:
        AssertionError: if a folder of the spool is still there after *seconds*.
    """
    with DataPlane(Sqlite(path=str(path), enable_idempotency=False), plane=Plane(flush_interval_ms=1)) as plane:
        plane.start()
        wait_until(lambda: not folders(), seconds)


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Return when *condition* holds.

    Raises:
        AssertionError: if it does not within *seconds*.
    """
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)
