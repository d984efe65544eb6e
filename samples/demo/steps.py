"""What both demos do the same way: say a step, and run the command line in the open."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
OUT = ROOT / "demo-out"


def say(text: str) -> None:
    """Announce a step."""
    print(f"\n{text}\n", flush=True)


def show(text: str) -> None:
    """Print *text* set off from what the demo itself says."""
    print("\n".join(f"    {line}".rstrip() for line in text.rstrip().splitlines()), flush=True)


def backplane(
    *arguments: str, expect: int = 0, last: int | None = None, environment: Mapping[str, str] | None = None
) -> None:
    """Run the command line, show it and what it prints (or its *last* lines), and insist on its exit code."""
    show(f"$ backplane {' '.join(arguments)}" + (f" | tail -n {last}" if last else ""))
    done = subprocess.run(
        [sys.executable, "-m", "backplane_compiler", *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    show(done.stderr + "\n".join(done.stdout.splitlines()[-(last or 0) :]))
    if done.returncode != expect:
        sys.exit(f"the demo stops here: exit code {done.returncode}, expected {expect}")


def insist(condition: bool, otherwise: str) -> None:  # noqa: FBT001  it reads as a sentence
    """Stop the demo unless *condition* holds."""
    if not condition:
        sys.exit(f"the demo stops here: {otherwise}")
