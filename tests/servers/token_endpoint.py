"""An OIDC token end point for tests: gives tokens for client credentials, over HTTP on loopback."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def running_token_endpoint(client_id: str, client_secret: str, make_token: Callable[[], str]) -> Iterator[str]:
    """Yield the URL of an end point that gives what *make_token* returns to this client, and 401 to others."""
    expected = "Basic " + base64.b64encode(f"{client_id}:{client_secret}".encode()).decode("ascii")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            allowed = self.headers.get("Authorization") == expected
            token = {"access_token": make_token(), "token_type": "bearer", "expires_in": 300} if allowed else None
            body = json.dumps(token or {"error": "invalid_client"}).encode()
            self.send_response(200 if allowed else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing: tests read what is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/token"
        finally:
            server.shutdown()
            thread.join()
