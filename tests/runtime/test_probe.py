"""What both probes answer, each asked over a socket of a real server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backplane_runtime import DataPlane, probe
from backplane_runtime.probe import asgi_health, wsgi_health
from backplane_runtime.settings import InMemory, Sqlite
from tests.runtime.asking import asked_plane, request, requests_at_once
from tests.runtime.probe_servers import serving_asgi, serving_wsgi

Served = Callable[..., AbstractContextManager[int]]


def by_asgi(plane: DataPlane, **options: Any) -> AbstractContextManager[int]:
    return serving_asgi(asgi_health(plane, **options))


def by_wsgi(plane: DataPlane, **options: Any) -> AbstractContextManager[int]:
    return serving_wsgi(wsgi_health(plane, **options))


@pytest.fixture(params=[by_asgi, pytest.param(by_wsgi, marks=pytest.mark.runtime_only)])
def served(request: pytest.FixtureRequest) -> Served:
    """Serve the health of a data plane."""
    chosen: Served = request.param
    return chosen


def test_a_healthy_plane_is_200_with_what_health_says(served: Served) -> None:
    """At every path, where none is given; of uvicorn the life span is answered, else it would not start."""
    with DataPlane(InMemory()) as plane, served(plane) as port:
        answer = request(port, path="/any/where")
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json == msgspec.to_builtins(plane.health())


def test_an_unhealthy_plane_is_503_and_says_why(served: Served, tmp_path: Path) -> None:
    """As `backplane health` does."""
    with DataPlane(Sqlite(path=str(tmp_path / "missing" / "events.db"))) as plane, served(plane) as port:
        answer = request(port)
        assert answer.status == 503
        assert answer.json == msgspec.to_builtins(plane.health())
        assert not answer.json["healthy"]


def test_head_is_get_without_a_body(served: Served) -> None:
    """With its length."""
    with DataPlane(InMemory()) as plane, served(plane) as port:
        answer = request(port, "HEAD")
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["content-length"] == str(len(request(port).body))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_405(served: Served, method: str) -> None:
    """And ask nobody."""
    plane, backplane = asked_plane(f"{served} {method}")
    with plane, served(plane) as port:
        answer = request(port, method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
        assert backplane.asked == 0


def test_with_a_path_the_others_are_404(served: Served) -> None:
    """And ask nobody; a query does not belong to the path."""
    plane, backplane = asked_plane(f"{served} path")
    with plane, served(plane, path="/health") as port:
        assert [request(port, path=path).status for path in ("/", "/health/", "/other")] == [404, 404, 404]
        assert backplane.asked == 0
        assert request(port, path="/health?verbose").status == 200


def test_an_answer_is_kept_for_a_second_and_asked_for_once(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask at once; the second is made an hour, and then over, so that a slow machine changes nothing."""
    assert probe.KEPT_SECONDS == 1.0
    monkeypatch.setattr(probe, "KEPT_SECONDS", 3600.0)
    plane, backplane = asked_plane(f"{served} kept")
    with plane, served(plane) as port:
        assert {answer.status for answer in requests_at_once(port, 8)} == {200}
        backplane.healthy = False
        assert request(port).status == 200
        assert backplane.asked == 1
        monkeypatch.setattr(probe, "KEPT_SECONDS", 0.0)
        assert request(port).status == 503
        assert backplane.asked == 2
