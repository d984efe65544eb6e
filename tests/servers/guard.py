"""Runs one server and ends it when the process that asked for it is gone, however that process ended.

Started as a script with one argument, a `Launch` as JSON, by `GuardedServer`. Its standard input is a pipe from the
owner: a byte is the number of a signal for the server; the end of the pipe without one means that the owner was killed,
and then the server dies and the directory of the run is removed. Standard library only, and no import from this project:
it runs with `python -I`, beside any environment.
"""

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.2
STOP_SECONDS = 30.0
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Launch:
    """One server to run: what, where its files are, as whom, and how it dies with its owner."""

    command: list[str]
    directory: str
    """The directory of the run; `<name>.log` and `<name>.pid` (process id, last signal) are written there."""
    name: str
    user: str | None = None
    """The user to run as; only root can choose one."""
    last_signal: int = signal.SIGKILL
    """What the server gets when its owner was killed."""


def main() -> int:
    """Run the server until it ends or the owner says so; return the server's exit code."""
    launch = Launch(**json.loads(sys.argv[1]))
    server = _start(launch)
    pid_file = Path(launch.directory, f"{launch.name}.pid")
    pid_file.write_text(f"{server.pid} {launch.last_signal}\n", encoding="utf-8")
    asked = _wait_for_owner(server)
    if asked == 0:
        _end(server, launch.last_signal)
        shutil.rmtree(launch.directory, ignore_errors=True)
    elif asked is not None:
        _end(server, asked)
    return server.wait()


def _start(launch: Launch) -> subprocess.Popen[bytes]:
    with Path(launch.directory, f"{launch.name}.log").open("ab") as log:
        return subprocess.Popen(
            launch.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            # PostgreSQL does not start on macOS where no locale is set.
            env=os.environ | {"LC_ALL": "C"},
            user=launch.user,
            group=None if launch.user is None else _group_of(launch.user),
            extra_groups=None if launch.user is None else [],
            preexec_fn=lambda: _die_with_guard(launch.last_signal),  # noqa: PLW1509 - there is one thread here
        )


def _group_of(user: str) -> int:
    import pwd  # noqa: PLC0415 - needed only as root

    return pwd.getpwnam(user).pw_gid


def _die_with_guard(last_signal: int) -> None:
    """Have the Linux kernel end the server when this guard is itself killed; elsewhere the next run clears it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, last_signal)


def _wait_for_owner(server: subprocess.Popen[bytes]) -> int | None:
    """Return the signal that the owner asks for, 0 when the owner is dead, None when the server ended by itself."""
    while server.poll() is None:
        if select.select([0], [], [], POLL_SECONDS)[0]:
            word = os.read(0, 1)
            return word[0] if word else 0
    return None


def _end(server: subprocess.Popen[bytes], how: int) -> None:
    server.send_signal(how)
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


if __name__ == "__main__":
    sys.exit(main())
