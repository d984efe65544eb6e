"""A backplane whose health tests decide, and requests over a socket, for the tests of the probes."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from backplane_runtime import DataPlane
from backplane_runtime.backplanes.api import BackplaneHealth, Rejected, Verdict
from backplane_runtime.backplanes.registry import Registration, register_backplane
from backplane_runtime.envelope import Record
from backplane_runtime.settings import Settings


class Asked(Settings, frozen=True, kw_only=True):
    """Settings of `AskedBackplane`."""

    key: str


class AskedBackplane:
    """Counts how often it is asked; it answers when `gate` is open."""

    by_key: dict[str, AskedBackplane] = {}  # noqa: RUF012 - tests find theirs here

    def __init__(self, settings: Asked) -> None:
        self.healthy = True
        self.asked = 0
        self.gate = threading.Event()
        self.gate.set()
        self.by_key[settings.key] = self

    def start(self) -> None:
        """Do nothing."""

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        return [Verdict.ACKNOWLEDGED] * len(batch)

    def health(self, timeout: float) -> BackplaneHealth:  # noqa: ARG002 - the contract's signature; this one overstays it
        self.asked += 1
        self.gate.wait()
        return BackplaneHealth(healthy=self.healthy, message="up" if self.healthy else "down", details={"rack": "r1"})

    def close(self, timeout: float) -> None:
        """Do nothing."""


register_backplane("probed", Registration(make=AskedBackplane, settings_type=Asked))


def asked_plane(key: str) -> tuple[DataPlane, AskedBackplane]:
    """A data plane and its backplane."""
    plane = DataPlane(Asked(key=key))
    return plane, AskedBackplane.by_key[key]


class Response(NamedTuple):
    """What came back over the socket."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


def request(port: int, method: str = "GET", path: str = "/") -> Response:
    """Send one request to a server on this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Response(answer.status, headers, answer.read())
    finally:
        connection.close()


def wait_until(holds: Callable[[], object], seconds: float = 20) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def requests_at_once(port: int, count: int) -> list[Response]:
    """Send *count* requests at once."""
    answers: list[Response] = []
    threads = [threading.Thread(target=lambda: answers.append(request(port))) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
