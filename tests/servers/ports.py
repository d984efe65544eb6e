"""Free loopback ports, and another try when somebody was quicker."""

import random
import socket
from collections.abc import Callable
from typing import TypeVar

from tests.servers.errors import PortTakenError

# Below the ranges from which Linux and macOS take the ports of outgoing connections: a port stays ours while its broker
# is stopped and started again.
FIRST, LAST = 20_000, 32_000
TRIES = 3

Started = TypeVar("Started")


def free_ports(count: int) -> list[int]:
    """Return that many different ports on which nobody listens now."""
    found: set[int] = set()
    while len(found) < count:
        port = random.randint(FIRST, LAST)  # noqa: S311 - no secret
        if _is_free(port):
            found.add(port)
    return list(found)


def with_free_ports(count: int, start: Callable[[list[int]], Started]) -> Started:
    """Return what `start` makes of free ports, and ask it again with others when one was taken meanwhile."""
    for _ in range(TRIES - 1):
        try:
            return start(free_ports(count))
        except PortTakenError:
            continue
    return start(free_ports(count))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
