"""Reaching a Kafka cluster as an administrator, and saying in one line why it could not be reached."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata

from backplane_compiler.providers.api import ProviderError
from backplane_runtime.references import UnresolvedReferenceError, resolve_all
from backplane_runtime.settings import Kafka, SettingsError, from_wire, to_wire
from backplane_runtime.settings.kafka_client import connection_config

# All of it within the 10 seconds that a user waits, the program's start on a busy machine included: looking for a broker, and
# asking why there was none.
_SECONDS_TO_FIND = 6.0
_SECONDS_WHEN_REFUSED = 2.0
_SECONDS_TO_PROBE = 1.0

_DEFAULT_PORT = 9092  # librdkafka's, for an address without one
_HINT_WHERE_REFUSED = "is the broker running, and does `brokers` name it as host:port?"

_REFUSED_BY_BROKER = {
    KafkaError._AUTHENTICATION: "the broker refuses the credentials",  # noqa: SLF001 - librdkafka's own codes begin with `_`
    KafkaError.SASL_AUTHENTICATION_FAILED: "the broker refuses the credentials",
    KafkaError._SSL: "TLS fails",  # noqa: SLF001
}


def admin_config(settings: Kafka, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what librdkafka needs to reach the cluster of *settings*, with the references resolved.

    Raises:
        ProviderError: if a reference cannot be resolved, or stands for what the settings do not allow.
    """
    label = ",".join(settings.brokers)
    try:
        return connection_config(from_wire(Kafka, resolve_all(to_wire(settings), environment)))
    except UnresolvedReferenceError as error:
        raise ProviderError(f"kafka {label}: {error}") from error
    except SettingsError:
        # From None: the text may quote what a reference stands for.
        raise ProviderError(f"kafka {label}: a reference stands for a value that its option does not allow") from None


class Connection:
    """An administrator's client that is mute: what librdkafka would print is kept for the one line that people see."""

    def __init__(self, settings: Kafka, environment: Mapping[str, str]) -> None:
        self.label = ",".join(settings.brokers)
        self.latest: ClusterMetadata | None = None
        self._errors: dict[int, str] = {}
        silent = logging.Logger("librdkafka")  # noqa: LOG001 - on purpose outside of the tree: nobody's handler hears it
        silent.addHandler(logging.NullHandler())
        config = admin_config(settings, environment)
        self._servers: str = config["bootstrap.servers"]
        try:
            self.admin = AdminClient(config | {"error_cb": self._note}, logger=silent)
        except KafkaException as error:
            # The text may hold a value of the configuration, such as a path; it never holds a password.
            raise ProviderError(
                f"kafka {self.label}: {error.args[0].str()}", "see `security` in the document"
            ) from error

    def metadata(self) -> ClusterMetadata:
        """Return the cluster's brokers and topics.

        Raises:
            ProviderError: within 10 seconds, where no broker answers.
        """
        started = time.monotonic()
        while True:
            try:
                self.latest = self.admin.list_topics(timeout=1.0)
            except KafkaException as error:
                self.admin.poll(0)
                waited = time.monotonic() - started
                if waited > _SECONDS_TO_FIND or (self._errors and waited > _SECONDS_WHEN_REFUSED):
                    raise self._unreachable() from error
            else:
                return self.latest

    def _note(self, error: KafkaError) -> None:
        self._errors[error.code()] = error.str()

    def _unreachable(self) -> ProviderError:
        for code, text in _REFUSED_BY_BROKER.items():
            if code in self._errors:
                said = f"kafka {self.label}: {text}: {self._detail(code)}"
                return ProviderError(said, "see `security` in the document")
        reasons = dict.fromkeys(filter(None, map(_tcp_refusal, self._servers.split(","))))
        if reasons:
            return ProviderError(f"kafka {self.label}: cannot connect: {'; '.join(reasons)}", _HINT_WHERE_REFUSED)
        detail = self._detail(KafkaError._TRANSPORT)  # noqa: SLF001 - as above
        return ProviderError(
            f"kafka {self.label}: something accepts connections there, but it does not answer as Kafka"
            + (f" ({detail})" if detail else ""),
            "check `brokers`, and `security.protocol`: TLS and plain text do not understand each other",
        )

    def _detail(self, code: int) -> str:
        """Return what librdkafka said with *code*, without its names of threads and times."""
        said = self._errors.get(code, "").rsplit("/bootstrap: ", 1)[-1]
        return said.partition(" (after ")[0]


def _tcp_refusal(server: str) -> str | None:
    """Return why nobody can connect to *server*; None where somebody listens."""
    try:
        address = urlsplit(f"//{server.strip()}")
        place = (address.hostname or "", address.port or _DEFAULT_PORT)
        socket.create_connection(place, timeout=_SECONDS_TO_PROBE).close()
    except OSError as error:
        return str(error.strerror or error)
    except ValueError:
        return "the port is not a number from 1 to 65535"
    return None
