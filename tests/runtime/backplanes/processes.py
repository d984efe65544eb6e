"""Processes that do the same at the same moment."""

import subprocess
import sys
from typing import Any


def run_at_once(count: int, program: str, argument: str) -> None:
    """Run *program* that often with *argument*: it says `ready`, waits for a line, and says `done`; nothing else."""
    command = [sys.executable, "-W", "error", "-c", program, argument]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, text=True, **pipes) for _ in range(count)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60) for process in processes] == [("done\n", "")] * count
