"""A TCP proxy that is a fault: it hangs, resets, refuses, or is slow, as its `mode` says."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Literal, Self

Mode = Literal["pass", "hang", "slow", "reset", "refuse"]

_RESET = struct.pack("ii", 1, 0)  # of SO_LINGER: closing sends a reset
_LOOK_SECONDS = 0.02
_SLOW_SECONDS = 0.05  # for each piece of at most 64 KiB


class Proxy:
    """Forwards connections at `port` of the loopback interface to *target* while it is entered.

    `hang` takes connections and forwards nothing, `reset` breaks each connection as soon as something is sent on it,
    `refuse` closes the port and breaks every connection at once.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._mode: Mode = "pass"
        self._open: set[socket.socket] = set()
        self._is_closed = False
        self._listener = _listen(0)
        self.port = int(self._listener.getsockname()[1])

    @property
    def mode(self) -> Mode:
        """What it does now."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        before, self._mode = self._mode, mode
        if mode == "refuse":
            self._listener.close()
            for connection in list(self._open):
                _break(connection)
        elif before == "refuse":
            self._listener = _listen(self.port)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closed = True
        self._listener.close()
        for connection in list(self._open):
            _break(connection)

    def _accept(self) -> None:
        while not self._is_closed:
            listener = self._listener
            try:
                listener.settimeout(_LOOK_SECONDS)
                client, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:  # closed: it refuses
                time.sleep(_LOOK_SECONDS)
                continue
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            _break(client)
            return
        server.settimeout(None)
        client.settimeout(None)
        self._open |= {client, server}
        for pair in ((client, server), (server, client)):
            threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the other direction ended it
            while piece := source.recv(1 << 16):
                while self._mode == "hang":
                    time.sleep(_LOOK_SECONDS)
                if self._mode in ("reset", "refuse"):
                    break
                if self._mode == "slow":
                    time.sleep(_SLOW_SECONDS)
                target.sendall(piece)
        for one in (source, target):
            self._open.discard(one)
            _break(one)


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(64)
    return listener


def _break(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is broken already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
