"""Ctrl-C while a server takes its time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg

from tests.cli.conftest import Backplane

WITHIN = 1.0  # seconds: the longest that a user waits for a sign that the key was heard


def test_ctrl_c_is_answered_at_once_and_a_second_one_does_not_wait(
    backplane: Backplane, postgresql_url: str, tmp_path: Path
) -> None:
    """Somebody else holds a lock, so the running call takes long; in the end nothing needs to be repaired."""
    options = {"url": postgresql_url, "tableName": "events"}
    document = {"dataPlane": {"backplane": {"type": "postgresql", "options": options}}}
    (tmp_path / "doc.yaml").write_text(json.dumps(document), encoding="utf-8")
    with psycopg.connect(postgresql_url) as other:
        other.execute("CREATE TABLE events (x int)")  # in a transaction: `apply` sees no table, and its own has to wait
        with subprocess.Popen(
            [sys.executable, "-m", "backplane_compiler", "apply", "doc.yaml", "--yes"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        ) as process:
            _wait_for_the_lock(other)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            pressed = time.monotonic()
            while "Ctrl-C again" not in process.stderr.readline():
                assert process.poll() is None
            assert time.monotonic() - pressed < WITHIN
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=10)
        assert process.returncode == 130
        assert "failed: postgresql.table.public.events (interrupted in the middle of the call)" in out
        assert out.splitlines()[-2:] == ["1 failed, 3 not done", "interrupted; run it again to continue"]
        other.rollback()
    assert backplane("apply", "doc.yaml", "--yes").code == 0
    assert backplane("plan", "doc.yaml").code == 0


def test_ctrl_c_that_nobody_hears_of_tears_nothing(backplane: Backplane, postgresql_url: str, tmp_path: Path) -> None:
    """It also ends a `tee` behind standard error; the running call is finished, and reported, all the same."""
    options = {"url": postgresql_url, "tableName": "events"}
    document = {"dataPlane": {"backplane": {"type": "postgresql", "options": options}}}
    (tmp_path / "doc.yaml").write_text(json.dumps(document), encoding="utf-8")
    with psycopg.connect(postgresql_url) as other:
        other.execute("CREATE TABLE events (x int)")
        with subprocess.Popen(
            [sys.executable, "-m", "backplane_compiler", "apply", "doc.yaml", "--yes"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            _wait_for_the_lock(other)
            assert process.stderr is not None
            process.stderr.close()
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)  # the handler has run by then, while the call still waits
            other.rollback()
            assert process.stdout is not None
            out = process.stdout.read()
            assert process.wait(10) == 130
    assert out.splitlines()[-2:] == ["1 done, 3 not done", "interrupted; run it again to continue"]
    assert backplane("apply", "doc.yaml", "--yes").code == 0


def _wait_for_the_lock(other: psycopg.Connection[tuple[object, ...]]) -> None:
    deadline = time.monotonic() + 10
    while not other.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
        assert time.monotonic() < deadline
        time.sleep(0.05)
