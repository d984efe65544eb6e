"""Just enough of Kafka's protocol for what no client does.

To ask one certain broker which brokers and topics it knows, and to write under the number of another producer.
Metadata, request and response version 2: https://kafka.apache.org/protocol#The_Messages_Metadata
Produce, request and response version 3: https://kafka.apache.org/protocol#The_Messages_Produce
"""

import socket
import struct
from dataclasses import dataclass

PRODUCE, METADATA = (0, 3), (3, 2)
ALL_REPLICAS, PRODUCE_MILLISECONDS = -1, 10_000
SECONDS = 2.0
NO_CONTROLLER = -1
NO_TOPICS, ALL_TOPICS = 0, -1  # the length of the list of those that are asked for


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
        answering_cluster, brokers = _parse(_Reader(_ask(port, NO_TOPICS)))
    except (OSError, struct.error, UnicodeDecodeError):
        return ()
    return brokers if answering_cluster == cluster_id else ()


def listed_topics(port: int) -> frozenset[str]:
    """Return the names of the topics that the broker on this loopback port lists."""
    reader = _Reader(_ask(port, ALL_TOPICS))
    _parse(reader)
    return frozenset(_topic(reader) for _ in range(reader.take("i")))


def produce_batch(port: int, topic: str, batch: bytes) -> int:
    """Write a record batch, as it is, to partition 0 of *topic*; return the broker's error code, 0 for none."""
    name = topic.encode()
    head = struct.pack(">hhi", -1, ALL_REPLICAS, PRODUCE_MILLISECONDS)  # no transaction
    body = head + struct.pack(f">ih{len(name)}siii", 1, len(name), name, 1, 0, len(batch)) + batch
    reader = _Reader(_call(port, PRODUCE, body))
    reader.take("ii")  # the correlation id, and how many topics
    reader.text()
    return reader.take("iih")  # how many partitions, which, and its error


def _ask(port: int, topics: int) -> bytes:
    return _call(port, METADATA, struct.pack(">i", topics))  # the length of a list that is empty, or null


def _call(port: int, call: tuple[int, int], body: bytes) -> bytes:
    client = b"servers"
    # Header: API, version, correlation id, client id.
    request = struct.pack(f">hhih{len(client)}s", *call, 1, len(client), client) + body
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as answer:
            (size,) = struct.unpack(">i", answer.read(4))
            return answer.read(size)


def _parse(reader: "_Reader") -> tuple[str | None, tuple[Broker, ...]]:
    reader.take("i")  # the correlation id
    brokers = tuple(_broker(reader) for _ in range(reader.take("i")))
    cluster_id = reader.text()
    return cluster_id, () if reader.take("i") == NO_CONTROLLER else brokers


def _broker(reader: "_Reader") -> Broker:
    broker_id = reader.take("i")
    reader.text()  # the host
    return Broker(id=broker_id, port=reader.take("i"), rack=reader.text())


def _topic(reader: "_Reader") -> str:
    reader.take("h")  # an error
    name = reader.text() or ""
    reader.take("b")  # whether it is Kafka's own
    for _ in range(reader.take("i")):  # partitions: an error, the id, the leader, and who has copies, in sync or not
        reader.take("hii")
        for _ in ("replicas", "in sync"):
            reader.take(f"{reader.take('i')}i")
    return name


class _Reader:
    """Reads numbers and texts one after another."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, kinds: str) -> int:
        """Return the last of the numbers that are next, one for each letter of *kinds*; 0 if that is none."""
        values = struct.unpack_from(f">{kinds}", self._data, self._at)
        self._at += struct.calcsize(f">{kinds}")
        return int(values[-1]) if values else 0

    def text(self) -> str | None:
        length = self.take("h")
        if length < 0:
            return None
        self._at += length
        return self._data[self._at - length : self._at].decode()
