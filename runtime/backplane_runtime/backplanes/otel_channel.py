"""One signal's way to the receiver: the SDK's OTLP exporter, called directly, and what the receiver really answered.

The exporter tells success from failure and no more (1.45). What it leaves out decides about events: a redirect is a
success to it, a partial success (some of the records thrown away) too, and a refusal of the data looks like an outage. So
it is given a session that remembers the last answer.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit, urlunsplit

import msgspec
import requests
from google.protobuf.message import DecodeError
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource

from backplane_runtime.backplanes.otel_items import as_log, as_span
from backplane_runtime.envelope import Record

SignalName = Literal["logs", "spans"]

DEFAULT_ENDPOINT = "http://localhost:4318"  # of the OTLP specification
TIMEOUT_SECONDS = 5.0  # of one export with its retries, unless the environment says otherwise: the SDK's 10 are long
LONGEST_REST = 300.0  # seconds; a `Retry-After` beyond it is not believed
_MESSAGE_LENGTH = 200

# Answers that are about the data and not about us; https://opentelemetry.io/docs/specs/otlp/, "Failures".
_REFUSALS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})
_ACTIONS = {
    HTTPStatus.UNAUTHORIZED: "check `headers`",
    HTTPStatus.FORBIDDEN: "check `headers`",
    HTTPStatus.NOT_FOUND: "check `endpoint`",
    HTTPStatus.METHOD_NOT_ALLOWED: "check `endpoint`",
}


class Taken(msgspec.Struct, frozen=True):
    """The receiver has the records, but for *rejected* of them, for *reason*; it does not tell which."""

    rejected: int = 0
    reason: str = ""


class Refused(msgspec.Struct, frozen=True):
    """The receiver has none of them, because of what is in the request.

    It `is_certain` where a single record that is refused so is at fault itself.
    """

    reason: str
    is_certain: bool = False


class Failed(msgspec.Struct, frozen=True):
    """The receiver has none of them that we know of; it wants to be left alone for *rest* seconds."""

    reason: str
    rest: float = 0.0


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where to export to, with resolved values; *endpoint* is the base, and none means what `OTEL_*` say."""

    endpoint: str | None
    headers: dict[str, str]
    resource: Resource


class _Exporter(Protocol):
    def export(self, batch: Any, /) -> Any: ...

    def shutdown(self) -> None: ...


class _Kind(msgspec.Struct, frozen=True):
    """What is particular to a signal; `word` is its part of the names of environment variables."""

    word: str
    path: str
    exporter: Callable[..., _Exporter]
    item: Callable[[Record, Resource], Any]
    response: Any
    rejected: str


_KINDS: dict[SignalName, _Kind] = {
    "logs": _Kind("LOGS", "v1/logs", OTLPLogExporter, as_log, ExportLogsServiceResponse, "rejected_log_records"),
    "spans": _Kind("TRACES", "v1/traces", OTLPSpanExporter, as_span, ExportTraceServiceResponse, "rejected_spans"),
}


class Channel:
    """Exports records as one signal; *timeout* in seconds, none for the usual one."""

    def __init__(self, signal: SignalName, target: Target, timeout: float | None = None) -> None:
        self.signal = signal
        self._kind = _KINDS[signal]
        self._resource = target.resource
        self.shown = shown_endpoint(target.endpoint or variable(self._kind.word, "ENDPOINT") or DEFAULT_ENDPOINT)
        self._timeout = timeout
        if timeout is None and variable(self._kind.word, "TIMEOUT") is None:
            self._timeout = TIMEOUT_SECONDS
        self._session = _ListeningSession()
        self._exporter = self._kind.exporter(
            endpoint=None if target.endpoint is None else signal_url(target.endpoint, self._kind.path),
            headers=target.headers or None,
            timeout=self._timeout,
            session=self._session,
        )

    def export(self, records: Sequence[Record]) -> Taken | Refused | Failed:
        """Hand *records* to the receiver and say what it made of them; none at all asks whether it is there.

        "If the server receives an empty request the server SHOULD respond with success" (OTLP specification).
        """
        items = [self._kind.item(record, self._resource) for record in records]
        is_success = self._exported(items)
        answer, error = self._session.answer, self._session.error
        if error is not None:
            return Failed(f"{self.shown}: {_cause(error)}")
        if answer is None:
            return Refused("the exporter cannot encode it, or it is larger than 64 MiB", is_certain=True)
        if is_success and not answer.history and HTTPStatus(200) <= answer.status_code < HTTPStatus(300):
            return self._taken(answer.content)
        return self._not_taken(answer)

    def _exported(self, items: Sequence[Any]) -> bool:
        self._session.forget()
        try:
            with _by_ourselves():
                result = self._exporter.export(items)
        except requests.RequestException:  # older exporters let it through; the session has it
            return False
        return bool(result.name == "SUCCESS")

    def close(self) -> None:
        """Close the connections."""
        self._exporter.shutdown()

    def _taken(self, body: bytes) -> Taken:
        try:
            partial = self._kind.response.FromString(body).partial_success
        except DecodeError:  # not every receiver answers in the protocol's own form
            return Taken()
        return Taken(getattr(partial, self._kind.rejected), partial.error_message[:_MESSAGE_LENGTH])

    def _not_taken(self, answer: requests.Response) -> Refused | Failed:
        status = answer.status_code
        reason = f"{self.shown}: HTTP {status} {_phrase(status)}".rstrip()
        if status in _REFUSALS:
            return Refused(reason, is_certain=status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if answer.is_redirect or answer.history:  # older exporters follow, with a GET that carries no events
            return Failed(f"{reason}; it redirects, and events do not follow: set `endpoint` to where it points")
        action = _ACTIONS.get(HTTPStatus(status)) if status in _ACTIONS else None
        return Failed(f"{reason}; {action}" if action else reason, _rest(answer))


class _ListeningSession(requests.Session):
    """Remembers what the last request came to."""

    answer: requests.Response | None = None
    error: Exception | None = None

    def forget(self) -> None:
        self.answer = self.error = None

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        self.forget()
        try:
            self.answer = super().request(*args, **kwargs)
        except Exception as error:
            self.error = error
            raise
        return self.answer


class _NotByUs(logging.Filter):
    """Drops what the client says while we export: we say it ourselves, bounded, and without the URL's secrets."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - the base class's signature
        return not getattr(_exporting, "now", False)


_exporting = threading.local()
for _name in (
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "urllib3.connectionpool",
):
    logging.getLogger(_name).addFilter(_NotByUs())


@contextmanager
def _by_ourselves() -> Iterator[None]:
    """Let neither the client's loggers nor an instrumentation of HTTP clients speak of our requests."""
    token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))  # noqa: FBT003 - the API's
    _exporting.now = True
    try:
        yield
    finally:
        _exporting.now = False
        detach(token)


def variable(word: str, name: str) -> str | None:
    """Return `OTEL_EXPORTER_OTLP_<word>_<name>`, or that for all signals, as the SDK reads them."""
    return os.environ.get(f"OTEL_EXPORTER_OTLP_{word}_{name}") or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}") or None


def speaks_grpc(signal: SignalName) -> bool:
    """Say whether the environment asks for a protocol that this exporter does not have."""
    return variable(_KINDS[signal].word, "PROTOCOL") == "grpc"


def signal_url(endpoint: str, path: str) -> str:
    """Return the URL of a signal under *endpoint*, which may itself be that of a signal."""
    parts = urlsplit(endpoint)
    base = parts.path.rstrip("/")
    for kind in _KINDS.values():
        base = base.removesuffix(f"/{kind.path}")
    return urlunsplit(parts._replace(path=f"{base}/{path}"))


def shown_endpoint(endpoint: str) -> str:
    """Return *endpoint* without what may be a secret in it: user, path and query."""
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        return "`endpoint`"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else "`endpoint`"


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""


def _rest(answer: requests.Response) -> float:
    # The form with a date is rare, and ours is the clock that may be wrong.
    given = answer.headers.get("Retry-After", "")
    return min(float(given), LONGEST_REST) if given.isascii() and given.isdigit() else 0.0


def _cause(error: Exception) -> str:
    """Return why a request failed, without the URL and the headers that the client's own texts quote."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if not isinstance(error, requests.ConnectionError):
        return f"the request cannot be made ({type(error).__name__}); check `endpoint` and `headers`"
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        reason = getattr(inner, "reason", None)
        inner = reason if isinstance(reason, BaseException) else inner.__cause__ or inner.__context__
    return "the connection broke"
