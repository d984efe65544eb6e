"""The probes behind real servers: an ASGI one behind uvicorn, a WSGI one behind the standard library's and its validator."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.validate import validator

from backplane_runtime.probe import AsgiApplication, WsgiApplication
from tests.runtime.asking import wait_until


@contextmanager
def serving_asgi(application: AsgiApplication) -> Iterator[int]:
    """Serve *application*, and yield the port."""
    import uvicorn  # noqa: PLC0415 - an environment without any extra has none

    config = uvicorn.Config(cast("Any", application), http="h11", ws="none", lifespan="on", log_config=None)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            wait_until(lambda: server.started or not thread.is_alive())
            assert server.started
            yield port
        finally:
            server.should_exit = True
            thread.join()


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Say nothing."""


class Threaded(ThreadingMixIn, WSGIServer):
    daemon_threads = True


@contextmanager
def serving_wsgi(application: WsgiApplication) -> Iterator[int]:
    """Serve *application*, held to PEP 3333, and yield the port."""
    checked: Any = validator(application)
    with make_server("127.0.0.1", 0, checked, server_class=Threaded, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
