"""Health over HTTP, for probes and monitors: an ASGI and a WSGI application of its own, or mounted in another one.

    app.mount("/backplane", asgi_health(plane))              # Starlette, FastAPI
    application = DispatcherMiddleware(application, {"/backplane": wsgi_health(plane)})   # Werkzeug, Flask

GET answers 200 where the data plane is healthy, else 503, with the JSON of `health()`, as `backplane health -f json` prints
it; HEAD the same without a body; other methods 405; with `path` given, other paths 404. An answer is kept for a second, and
those who ask at once share one question, so that no number of probes reaches the servers more often than that.

It tells how *delivery* is. A program whose events wait for a broker still serves its users, so let a monitor look here, not
the probe by which an orchestrator restarts or drains it. The answer names servers and error texts, though no secrets: keep
it inside.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from backplane_runtime.health import Health

if TYPE_CHECKING:
    import asyncio

KEPT_SECONDS = 1.0
TIMEOUT = 2.0  # seconds; a probe that waits for less sees its own time limit, and not which backplane is silent

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApplication = Callable[[Scope, Receive, Send], Awaitable[None]]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
WsgiApplication = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class Asked(Protocol):
    """What a probe asks: a data plane."""

    def health(self, timeout: float) -> Health:
        """Ask every backplane, and answer within *timeout* seconds."""

    async def ahealth(self, timeout: float) -> Health:  # noqa: ASYNC109 - as the data plane has it
        """Do what `health` does without blocking the event loop."""


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def status_line(self) -> str:
        """Return the status as WSGI wants it."""
        return f"{self.status} {_REASONS[self.status]}"


def asgi_health(plane: Asked, *, path: str | None = None, timeout: float = TIMEOUT) -> AsgiApplication:
    """Return an ASGI 3 application (asyncio) that answers with the health of *plane*; it never blocks the event loop.

    Args:
        plane: the data plane; it is not closed with the application.
        path: the only path that is answered, such as `/health`; every path where it is not given.
        timeout: seconds that the backplanes have to answer.
    """
    question = _AsyncQuestion(plane, timeout)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            root = scope.get("root_path", "")
            refusal = _refusal(scope["method"], scope["path"].removeprefix(root), path)
            answer = refusal or _answer(await question.ask())
            await _send(send, answer, is_head=scope["method"] == "HEAD")

    return application


def wsgi_health(plane: Asked, *, path: str | None = None, timeout: float = TIMEOUT) -> WsgiApplication:
    """Return a WSGI application that answers with the health of *plane*; arguments as in `asgi_health`."""
    question = _Question(plane, timeout)

    def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        answer = _refusal(method, environ.get("PATH_INFO", ""), path) or _answer(question.ask())
        start_response(answer.status_line, list(answer.headers))
        return [] if method == "HEAD" else [answer.body]

    return application


def _refusal(method: str, asked: str, path: str | None) -> Answer | None:
    if path is not None and asked != path:
        return _response(404, b'{"message":"there is nothing here"}')
    if method not in ("GET", "HEAD"):
        return _response(405, b'{"message":"GET or HEAD"}', ("allow", "GET, HEAD"))
    return None


def _answer(health: Health) -> Answer:
    return _response(200 if health.healthy else 503, msgspec.json.encode(health))


def _response(status: int, body: bytes, *more: tuple[str, str]) -> Answer:
    headers = (
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
        ("cache-control", "no-store"),
        *more,
    )
    return Answer(status, headers, body)


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _send(send: Send, answer: Answer, *, is_head: bool) -> None:
    headers = [(name.encode(), value.encode()) for name, value in answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else answer.body})


class _Kept:
    """The last answer, for as long as it is fresh."""

    def __init__(self) -> None:
        self._kept: tuple[float, Health] | None = None

    def put(self, health: Health) -> Health:
        self._kept = (time.monotonic(), health)
        return health

    def fresh(self) -> Health | None:
        kept = self._kept
        return kept[1] if kept and time.monotonic() - kept[0] < KEPT_SECONDS else None


class _Question:
    """Asks from threads, one at a time; who waited gets the answer that came meanwhile."""

    def __init__(self, plane: Asked, timeout: float) -> None:
        self._plane = plane
        self._timeout = timeout
        self._kept = _Kept()
        self._lock = threading.Lock()

    def ask(self) -> Health:
        # Whoever asks holds the lock for no longer than that: one that is still closed was left so by a fork.
        lock = self._lock
        is_mine = lock.acquire(timeout=self._timeout + KEPT_SECONDS)
        if not is_mine:
            self._lock = threading.Lock()
        try:
            return self._kept.fresh() or self._kept.put(self._plane.health(timeout=self._timeout))
        finally:
            if is_mine:
                lock.release()


class _AsyncQuestion:
    """Asks from one event loop, once for all who ask meanwhile; a caller that goes away takes nothing with it."""

    def __init__(self, plane: Asked, timeout: float) -> None:
        self._plane = plane
        self._timeout = timeout
        self._kept = _Kept()
        self._asking: asyncio.Task[Health] | None = None

    async def ask(self) -> Health:
        import asyncio  # noqa: PLC0415 - who gets here has it already

        fresh = self._kept.fresh()
        if fresh is not None:
            return fresh
        asking = self._asking
        if asking is None or asking.done() or asking.get_loop() is not asyncio.get_running_loop():
            asking = self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(asking)

    async def _ask(self) -> Health:
        return self._kept.put(await self._plane.ahealth(timeout=self._timeout))
