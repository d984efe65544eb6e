"""How long a user waits for the command line, and a service for the import."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.table import Row

ROOT = Path(__file__).parents[2]
RUNS = 15
COMMANDS = {
    "`backplane --help`, whole process, beside bare Python": ["-m", "backplane_compiler", "--help"],
    "`backplane check` of a small document, beside bare Python": [
        "-m",
        "backplane_compiler",
        "check",
        str(ROOT / "samples" / "demo" / "embedded.yaml"),
    ],
    "`import backplane_runtime`, beside bare Python": ["-c", "import backplane_runtime"],
    "`from backplane_runtime import DataPlane`, beside bare Python": ["-c", "from backplane_runtime import DataPlane"],
}


def rows() -> Iterator[Row]:
    """Yield a row for each command; it and bare Python take turns, so that both meet the same noise."""
    for what, arguments in COMMANDS.items():
        pairs = [(_seconds(arguments), _seconds(["-c", "pass"])) for _ in range(RUNS)]
        yield Row(what, statistics.median(ours for ours, _ in pairs), statistics.median(bare for _, bare in pairs))


def _seconds(arguments: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - started
