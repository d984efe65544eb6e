"""One temporary directory for each run of servers, and the clearing of those whose owner was killed.

A run's owner holds a lock on the directory for as long as it lives. The kernel drops the lock however the owner ends,
so a directory that can be locked is an orphan: no process ids to compare, no clocks.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

OWNER = "owner.lock"
RUN_PREFIX = "run-"
SECONDS_TO_DIE = 10.0


def servers_directory() -> Path:
    """Return the directory of this user that holds all runs; it is made when it is missing."""
    path = Path(tempfile.gettempdir()).resolve() / f"backplane-servers-{os.getuid()}"
    path.mkdir(mode=0o711, exist_ok=True)
    if path.is_symlink() or path.stat().st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to somebody else; remove it or set TMPDIR")
    return path


@contextmanager
def run_directory() -> Iterator[Path]:
    """Yield a fresh directory for one run and remove it in the end; what killed runs left is cleared first."""
    base = servers_directory()
    with (base / "lock").open("w", encoding="utf-8") as lock:
        # Under this lock nobody mistakes a directory that is just being made for an orphan.
        fcntl.flock(lock, fcntl.LOCK_EX)
        clear_orphans(base)
        path = Path(tempfile.mkdtemp(prefix=RUN_PREFIX, dir=base))
        # A server that runs as another user must be able to reach its own folder below.
        path.chmod(0o711)
        owner = (path / OWNER).open("w", encoding="utf-8")
        fcntl.flock(owner, fcntl.LOCK_EX)
    with owner:
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def clear_orphans(base: Path) -> None:
    """End the servers and remove the files of every run whose owner is dead."""
    for run in base.glob(f"{RUN_PREFIX}*"):
        if _is_orphan(run):
            for pid_file in run.glob("*.pid"):
                _end_server(pid_file, run)
            shutil.rmtree(run, ignore_errors=True)


def _is_orphan(run: Path) -> bool:
    try:
        with (run / OWNER).open("r+", encoding="utf-8") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    return True


def _end_server(pid_file: Path, run: Path) -> None:
    try:
        pid, last_signal = map(int, pid_file.read_text(encoding="utf-8").split())
    except (FileNotFoundError, ValueError):
        return
    for how in (last_signal, signal.SIGKILL):
        # The number may belong to somebody else by now; only a server of this run has the run's path on its command line.
        if str(run) in command_line(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, how)
            _wait_for_end(pid)


def _wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + SECONDS_TO_DIE
    while time.monotonic() < deadline and command_line(pid):
        time.sleep(0.05)


def command_line(pid: int) -> str:
    """Return the command line of a process, or an empty text when there is no such process or it is a zombie."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    done = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip()
