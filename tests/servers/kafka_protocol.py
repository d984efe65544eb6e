"""Just enough of Kafka's protocol to ask a broker which brokers it knows; no client library needed.

Metadata, request and response version 2: https://kafka.apache.org/protocol#The_Messages_Metadata
"""

import socket
import struct
from dataclasses import dataclass

METADATA, VERSION = 3, 2
SECONDS = 2.0
NO_CONTROLLER = -1


@dataclass(frozen=True)
class Broker:
    """One broker as another one lists it."""

    id: int
    port: int
    rack: str | None


def listed_brokers(port: int, cluster_id: str) -> tuple[Broker, ...]:
    """Return the brokers that the one on this loopback port lists.

    Empty when nothing answers, when it is not Kafka, or of another cluster, and while there is no controller.
    """
    try:
        answering_cluster, brokers = _parse(_ask(port))
    except (OSError, struct.error, UnicodeDecodeError):
        return ()
    return brokers if answering_cluster == cluster_id else ()


def _ask(port: int) -> bytes:
    client = b"servers"
    # Header: API, version, correlation id, client id. Body: an empty list of topics asks for none.
    body = struct.pack(f">hhih{len(client)}si", METADATA, VERSION, 1, len(client), client, 0)
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        with connection.makefile("rb") as answer:
            (size,) = struct.unpack(">i", answer.read(4))
            return answer.read(size)


def _parse(answer: bytes) -> tuple[str | None, tuple[Broker, ...]]:
    reader = _Reader(answer)
    reader.take("i")  # the correlation id
    brokers = tuple(_broker(reader) for _ in range(reader.take("i")))
    cluster_id = reader.text()
    return cluster_id, () if reader.take("i") == NO_CONTROLLER else brokers


def _broker(reader: "_Reader") -> Broker:
    broker_id = reader.take("i")
    reader.text()  # the host
    return Broker(id=broker_id, port=reader.take("i"), rack=reader.text())


class _Reader:
    """Reads numbers and texts one after another."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, kind: str) -> int:
        (value,) = struct.unpack_from(f">{kind}", self._data, self._at)
        self._at += struct.calcsize(f">{kind}")
        return int(value)

    def text(self) -> str | None:
        length = self.take("h")
        if length < 0:
            return None
        self._at += length
        return self._data[self._at - length : self._at].decode()
