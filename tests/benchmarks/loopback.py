"""A server on loopback, in a process of its own, that takes whatever peers upload and says that all is well."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# The rest of it is what Statsig's client wants to read before it starts: a project without any flag.
_ANSWER = json.dumps(
    {"success": True, "status": 1, "has_updates": True, "time": 1, "feature_gates": {}, "dynamic_configs": {}}
    | {"layer_configs": {}, "experiment_to_layer": {}, "condition_map": {}}
).encode()


class _Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one packet: two would wait 40 ms for each other

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = _ANSWER
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextmanager
def running_sink() -> Iterator[str]:
    """Give the server's base URL, and stop it at the end; it also ends with this process."""
    command = [sys.executable, "-m", "tests.benchmarks.loopback"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        if process.stdout is None or not (port := process.stdout.readline().strip()):
            raise RuntimeError("the loopback server did not start")
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def main() -> None:
    """Serve until standard input closes, which it does when the benchmark ends, however it ends."""
    import threading  # noqa: PLC0415 - this half runs in the server's process only

    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
