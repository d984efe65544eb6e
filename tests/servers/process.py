"""A server process as its owner sees it: start, wait until it answers, stop, end of its log."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from tests.servers import guard
from tests.servers.errors import PortTakenError, ServerFailedError

START_SECONDS = 60.0
ASK_SECONDS = 0.05


class GuardedServer:
    """One running server under a guard process (see `guard`)."""

    def __init__(self, launch: guard.Launch) -> None:
        """Start the server; it does not answer yet."""
        self.name = launch.name
        self._directory = Path(launch.directory)
        self._log = self._directory / f"{self.name}.log"
        # A server that is started again goes on in the same file.
        self._log_begins = self._log.stat().st_size if self._log.exists() else 0
        self._guard = subprocess.Popen(
            [sys.executable, "-I", guard.__file__, json.dumps(asdict(launch))],
            stdin=subprocess.PIPE,
            # Out of the terminal's process group: Ctrl-C is for the owner, which then stops its servers in order.
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process id of the server itself, not of its guard."""
        return int((self._directory / f"{self.name}.pid").read_text(encoding="utf-8").split()[0])

    @property
    def running(self) -> bool:
        """Whether the server has not ended."""
        return self._guard.poll() is None

    def stop(self, how: signal.Signals) -> None:
        """Send the signal and wait for the end, at most half a minute, then SIGKILL; harmless when it has ended."""
        if self._guard.stdin is None:
            return
        # A server that ended by itself took its guard along, and nobody reads the pipe.
        with suppress(BrokenPipeError):
            self._guard.stdin.write(bytes([how]))
            self._guard.stdin.flush()
        self._guard.wait()
        with suppress(BrokenPipeError):
            self._guard.stdin.close()

    def wait_until(self, answers: Callable[[], bool]) -> None:
        """Return as soon as `answers` says yes.

        Raises:
            PortTakenError: The server ended because somebody else has its port.
            ServerFailedError: The server ended, or did not answer in time; the text holds the end of its log.
        """
        deadline = time.monotonic() + START_SECONDS
        while not answers():
            if not self.running:
                raise self._failure("ended while it started")
            if time.monotonic() > deadline:
                raise self._failure(f"did not answer within {START_SECONDS:.0f} s")
            time.sleep(ASK_SECONDS)

    def _failure(self, what: str) -> ServerFailedError:
        log = self._log.read_bytes()[self._log_begins :].decode(errors="replace")
        kind = PortTakenError if "Address already in use" in log else ServerFailedError
        return kind(f"{self.name} {what}; the end of its log:\n" + "\n".join(log.splitlines()[-15:]))
