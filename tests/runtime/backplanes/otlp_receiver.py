"""A receiver of OTLP over HTTP, on a real socket: it parses the protobuf that an exporter sends, and can fail in every way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

LOGS, SPANS = "/v1/logs", "/v1/traces"


@dataclass(frozen=True)
class Answer:
    """What the receiver does with one request; the default is what it does when it is told nothing."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    rejected: int = 0
    message: str = ""
    hang: float = 0.0  # seconds before the answer
    stores: bool = True
    breaks: bool = False  # the connection, instead of an answer


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]
    body: bytes
    count: int  # of records or spans
    port: int  # of the client's end of the connection


class OtlpReceiver:
    """`logs` and `spans` are what it has taken, in the order of arrival; `requests` is all that came."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.requests: list[Request] = []
        self.resources: list[Resource] = []
        self.logs: list[LogRecord] = []
        self.spans: list[Span] = []
        self.refuses: Callable[[Sequence[Any]], bool] = lambda _items: False  # a request with such records: HTTP 400
        self._next: dict[str, list[Answer]] = {LOGS: [], SPANS: []}
        self._lock = threading.Lock()

    def will(self, *answers: Answer, path: str = LOGS) -> None:
        """Answer the next requests to *path* so, one after the other."""
        self._next[path] += answers

    def take(self, request: Request) -> tuple[Answer, bytes]:
        """Return what to do with *request*, and the body of the answer."""
        path = request.path
        with self._lock:
            resources, items = _parsed(path, request.body)
            self.requests.append(replace(request, count=len(items)))
            waiting = self._next.get(path)
            answer = waiting.pop(0) if waiting else Answer(404) if waiting is None else Answer()
            if self.refuses(items):
                answer = Answer(400)
            if answer.status == 200 and answer.stores:
                self.resources += resources
                kept = items[: len(items) - answer.rejected]
                self.logs += [item for item in kept if isinstance(item, LogRecord)]
                self.spans += [item for item in kept if isinstance(item, Span)]
        return answer, _response(path, answer)


def _parsed(path: str, body: bytes) -> tuple[list[Resource], list[Any]]:
    if path == LOGS:
        logs = ExportLogsServiceRequest.FromString(body).resource_logs
        return [one.resource for one in logs], [
            record for one in logs for scope in one.scope_logs for record in scope.log_records
        ]
    if path == SPANS:
        spans = ExportTraceServiceRequest.FromString(body).resource_spans
        return [one.resource for one in spans], [
            span for one in spans for scope in one.scope_spans for span in scope.spans
        ]
    return [], []


def _response(path: str, answer: Answer) -> bytes:
    logs, spans = ExportLogsServiceResponse(), ExportTraceServiceResponse()
    if answer.rejected or answer.message:
        logs.partial_success.rejected_log_records = spans.partial_success.rejected_spans = answer.rejected
        logs.partial_success.error_message = spans.partial_success.error_message = answer.message
    return logs.SerializeToString() if path == LOGS else spans.SerializeToString()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        given, port = self.rfile.read(length), self.client_address[1]
        answer, body = self.receiver.take(Request(self.path, headers, given, 0, port))
        if answer.hang:
            time.sleep(answer.hang)
        if answer.breaks:
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    @property
    def receiver(self) -> OtlpReceiver:
        assert isinstance(self.server, _Server)
        return self.server.receiver

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, receiver: OtlpReceiver) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.receiver = receiver

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that gave up waiting is part of the tests."""


@contextmanager
def running_receiver() -> Iterator[OtlpReceiver]:
    """Give a receiver that listens on a free port of loopback, and stop it at the end."""
    receiver = OtlpReceiver()
    server = _Server(receiver)
    receiver.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
