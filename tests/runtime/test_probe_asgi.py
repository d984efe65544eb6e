"""What only the ASGI probe can do: be mounted, share an event loop, meet websockets. The rest is in `test_probe.py`."""

import asyncio
import threading
from collections.abc import MutableMapping
from typing import Any, cast

from backplane_runtime import DataPlane
from backplane_runtime.probe import Receive, Scope, Send, asgi_health
from backplane_runtime.settings import InMemory
from tests.runtime.asking import asked_plane, request, wait_until
from tests.runtime.probe_servers import serving_asgi


def test_mounted_its_path_is_below_the_mount() -> None:
    """As the specification has it: `path` holds `root_path` too."""
    with DataPlane(InMemory()) as plane:
        mounted_probe = asgi_health(plane, path="/health")

        async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
            await mounted_probe({**scope, "root_path": "/backplane"}, receive, send)

        with serving_asgi(mounted) as port:
            assert request(port, path="/backplane/health").status == 200
            assert request(port, path="/backplane/other").status == 404


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
        with plane, serving_asgi(application) as port:
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
