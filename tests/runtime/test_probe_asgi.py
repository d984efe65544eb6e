"""The ASGI probe, asked over a socket of uvicorn."""

import asyncio
import socket
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import uvicorn

from backplane_runtime import DataPlane, probe
from backplane_runtime.probe import AsgiApplication, Receive, Scope, Send, asgi_health
from backplane_runtime.settings import InMemory, Sqlite
from tests.runtime.asking import asked_plane, request, requests_at_once, wait_until


@contextmanager
def serving(application: AsgiApplication) -> Iterator[int]:
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


def test_a_healthy_plane_is_200_with_what_health_says() -> None:
    """At every path, where none is given; the server's life span is answered, else it would not start."""
    with DataPlane(InMemory()) as plane, serving(asgi_health(plane)) as port:
        answer = request(port, path="/any/where")
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json == msgspec.to_builtins(plane.health())


def test_an_unhealthy_plane_is_503_and_says_why(tmp_path: Path) -> None:
    """As `backplane health` does."""
    with DataPlane(Sqlite(path=str(tmp_path / "missing" / "events.db"))) as plane, serving(asgi_health(plane)) as port:
        answer = request(port)
        assert answer.status == 503
        assert answer.json == msgspec.to_builtins(plane.health())
        assert not answer.json["healthy"]


def test_head_is_get_without_a_body() -> None:
    """With its length."""
    with DataPlane(InMemory()) as plane, serving(asgi_health(plane)) as port:
        answer = request(port, "HEAD")
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["content-length"] == str(len(request(port).body))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_405(method: str) -> None:
    """And ask nobody."""
    plane, backplane = asked_plane(f"asgi {method}")
    with plane, serving(asgi_health(plane)) as port:
        answer = request(port, method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
        assert backplane.asked == 0


def test_with_a_path_the_others_are_404() -> None:
    """And ask nobody; a query does not belong to the path."""
    plane, backplane = asked_plane("asgi path")
    with plane, serving(asgi_health(plane, path="/health")) as port:
        assert [request(port, path=path).status for path in ("/", "/health/", "/other")] == [404, 404, 404]
        assert backplane.asked == 0
        assert request(port, path="/health?verbose").status == 200


def test_mounted_its_path_is_below_the_mount() -> None:
    """As the specification has it: `path` holds `root_path` too."""
    with DataPlane(InMemory()) as plane:
        mounted_probe = asgi_health(plane, path="/health")

        async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
            await mounted_probe({**scope, "root_path": "/backplane"}, receive, send)

        with serving(mounted) as port:
            assert request(port, path="/backplane/health").status == 200
            assert request(port, path="/backplane/other").status == 404


def test_an_answer_is_kept_for_a_second_and_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask at once; the second is made an hour, and then over, so that a slow machine changes nothing."""
    assert probe.KEPT_SECONDS == 1.0
    monkeypatch.setattr(probe, "KEPT_SECONDS", 3600.0)
    plane, backplane = asked_plane("asgi kept")
    with plane, serving(asgi_health(plane)) as port:
        assert {answer.status for answer in requests_at_once(port, 8)} == {200}
        backplane.healthy = False
        assert request(port).status == 200
        assert backplane.asked == 1
        monkeypatch.setattr(probe, "KEPT_SECONDS", 0.0)
        assert request(port).status == 503
        assert backplane.asked == 2


def test_a_backplane_that_hangs_blocks_neither_the_loop_nor_the_answer() -> None:
    """Other requests are served while it is waited for; then it is named."""
    plane, backplane = asked_plane("asgi hangs")
    backplane.gate.clear()
    hanging = asgi_health(plane, timeout=1.0)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/ping":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await hanging(scope, receive, send)

    try:
        with plane, serving(application) as port:
            answers: list[Any] = []
            asker = threading.Thread(target=lambda: answers.append(request(port)))
            asker.start()
            wait_until(lambda: backplane.asked)
            assert request(port, path="/ping").status == 204
            assert answers == []
            asker.join()
            assert answers[0].status == 503
            assert answers[0].json["backplanes"]["probed"]["message"] == "no answer within 1 s"
    finally:
        backplane.gate.set()


def test_who_goes_away_takes_nothing_with_them() -> None:
    """The question was asked for the others too; also in the next event loop."""
    plane, backplane = asked_plane("asgi cancelled")
    application = asgi_health(plane)

    async def ask() -> int:
        sent: list[MutableMapping[str, Any]] = []

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await application({"type": "http", "method": "GET", "path": "/"}, receive, send)
        status: int = sent[0]["status"]
        return status

    async def ask_twice() -> int:
        backplane.gate.clear()
        first, second = asyncio.create_task(ask()), asyncio.create_task(ask())
        await asyncio.to_thread(wait_until, lambda: backplane.asked)
        first.cancel()
        backplane.gate.set()
        return await second

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("a probe reads no body")

    with plane:
        assert asyncio.run(ask_twice()) == 200
        assert backplane.asked == 1
        assert asyncio.run(ask()) == 200


def test_a_websocket_is_closed() -> None:
    """Nothing is said there."""
    with DataPlane(InMemory()) as plane:
        sent: list[MutableMapping[str, Any]] = []

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "websocket.connect"}

        asyncio.run(cast("Any", asgi_health(plane)({"type": "websocket", "path": "/"}, receive, send)))
        assert sent == [{"type": "websocket.close"}]
