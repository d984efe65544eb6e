"""The WSGI probe, asked over a socket of the standard library's server, and held to PEP 3333 by its validator."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.validate import validator

import msgspec
import pytest

from backplane_runtime import DataPlane, probe
from backplane_runtime.contract.limits import exit_code, forked
from backplane_runtime.probe import WsgiApplication, wsgi_health
from backplane_runtime.settings import InMemory, Sqlite
from tests.runtime.asking import asked_plane, request, requests_at_once, wait_until

pytestmark = pytest.mark.runtime_only


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Say nothing."""


class Threaded(ThreadingMixIn, WSGIServer):
    daemon_threads = True


@contextmanager
def serving(application: WsgiApplication) -> Iterator[int]:
    checked: Any = validator(application)
    with make_server("127.0.0.1", 0, checked, server_class=Threaded, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_a_healthy_plane_is_200_with_what_health_says() -> None:
    """At every path, where none is given."""
    with DataPlane(InMemory()) as plane, serving(wsgi_health(plane)) as port:
        answer = request(port, path="/any/where")
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json == msgspec.to_builtins(plane.health())


def test_an_unhealthy_plane_is_503_and_says_why(tmp_path: Path) -> None:
    """As `backplane health` does."""
    with DataPlane(Sqlite(path=str(tmp_path / "missing" / "events.db"))) as plane, serving(wsgi_health(plane)) as port:
        answer = request(port)
        assert answer.status == 503
        assert answer.json == msgspec.to_builtins(plane.health())
        assert not answer.json["healthy"]


def test_head_is_get_without_a_body() -> None:
    """With its length."""
    with DataPlane(InMemory()) as plane, serving(wsgi_health(plane)) as port:
        answer = request(port, "HEAD")
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["content-length"] == str(len(request(port).body))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_405(method: str) -> None:
    """And ask nobody."""
    plane, backplane = asked_plane(f"wsgi {method}")
    with plane, serving(wsgi_health(plane)) as port:
        answer = request(port, method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
        assert backplane.asked == 0


def test_with_a_path_the_others_are_404() -> None:
    """And ask nobody; a query does not belong to the path."""
    plane, backplane = asked_plane("wsgi path")
    with plane, serving(wsgi_health(plane, path="/health")) as port:
        assert [request(port, path=path).status for path in ("/", "/health/", "/other")] == [404, 404, 404]
        assert backplane.asked == 0
        assert request(port, path="/health?verbose").status == 200


def test_an_answer_is_kept_for_a_second_and_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask at once; the second is made an hour, and then over, so that a slow machine changes nothing."""
    assert probe.KEPT_SECONDS == 1.0
    monkeypatch.setattr(probe, "KEPT_SECONDS", 3600.0)
    plane, backplane = asked_plane("wsgi kept")
    with plane, serving(wsgi_health(plane)) as port:
        assert {answer.status for answer in requests_at_once(port, 8)} == {200}
        backplane.healthy = False
        assert request(port).status == 200
        assert backplane.asked == 1
        monkeypatch.setattr(probe, "KEPT_SECONDS", 0.0)
        assert request(port).status == 503
        assert backplane.asked == 2


def test_a_backplane_that_hangs_is_named_in_time() -> None:
    """Without waiting for it."""
    plane, backplane = asked_plane("wsgi hangs")
    backplane.gate.clear()
    try:
        with plane, serving(wsgi_health(plane, timeout=0.2)) as port:
            answer = request(port)
            assert answer.status == 503
            assert answer.json["backplanes"]["probed"]["message"] == "no answer within 0.2 s"
    finally:
        backplane.gate.set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_child_forked_while_somebody_asked_is_asked_too() -> None:
    """The lock of the one who asked is not let go in the child; it is waited for once, not at each request."""
    plane, backplane = asked_plane("wsgi fork")
    application = wsgi_health(plane, timeout=0.5)
    backplane.gate.clear()
    asker = threading.Thread(target=ask, args=(application,))
    asker.start()
    wait_until(lambda: backplane.asked)

    def ask_twice() -> None:
        answers, begin = [ask(application)], time.monotonic()
        answers.append(ask(application))
        assert time.monotonic() - begin < probe.KEPT_SECONDS
        assert {*answers} <= {"200 OK", "503 Service Unavailable"}

    child = forked(ask_twice)
    backplane.gate.set()
    asker.join()
    assert exit_code(child) == 0
    plane.close()


def ask(application: WsgiApplication) -> str:
    statuses: list[str] = []
    application({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda status, _: statuses.append(status))
    return statuses[0]
