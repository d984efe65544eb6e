"""The command line as a user has it: its own process, its exit code, what it prints and where."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


Backplane = Callable[..., Ran]


@pytest.fixture
def backplane(tmp_path: Path) -> Backplane:
    """Run `backplane ARGUMENTS` in an empty folder; no run may ever end in a traceback."""

    def run(*arguments: str, stdin: str = "", env: Mapping[str, str] | None = None, timeout: float = 60) -> Ran:
        environment = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
        done = subprocess.run(
            [sys.executable, "-m", "backplane_compiler", *arguments],
            cwd=tmp_path,
            env={**environment, **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def sqlite_document(tmp_path: Path) -> str:
    """A document whose table is made by `apply`."""
    (tmp_path / "doc.yaml").write_text(
        "dataPlane: {backplane: {type: sqlite, options: {path: events.db, autoMigrate: false}}}\n", encoding="utf-8"
    )
    return "doc.yaml"
