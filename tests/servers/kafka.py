"""Apache Kafka for tests: one broker, or a cluster of three in three racks."""

import base64
import signal
import uuid
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from tests.servers import requirements
from tests.servers.kafka_jars import chosen_version, kafka_libs, major
from tests.servers.kafka_node import Installation, Node, finish
from tests.servers.kafka_protocol import Broker, listed_brokers, listed_topics
from tests.servers.kafka_security import LISTENERS, KafkaSecurity, make_security
from tests.servers.kafka_tools import write_tools
from tests.servers.ports import with_free_ports
from tests.servers.process import GuardedServer
from tests.servers.run_directory import run_directory

JAVA_FOR_KAFKA_4 = 17
JAVA_FOR_KAFKA_3 = 11


@dataclass
class KafkaCluster:
    """A running cluster. Brokers are named by their ids as Kafka lists them: 1, or 1 to 3 (racks r1 to r3)."""

    installation: Installation
    nodes: tuple[Node, ...]
    _servers: dict[int, GuardedServer] = field(default_factory=dict)

    @property
    def bootstrap(self) -> str:
        """Where clients connect: `127.0.0.1:<port>`, comma-separated, of all brokers, stopped ones too."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    @property
    def version(self) -> str:
        """The version of Apache Kafka that runs."""
        return self.installation.version

    @property
    def libs(self) -> Path:
        """The directory with Kafka's jars, for running its tools with Java."""
        return self.installation.libs

    @property
    def running_brokers(self) -> frozenset[int]:
        """The ids of the brokers that have not been stopped and have not ended."""
        return frozenset(broker for broker, server in self._servers.items() if server.running)

    def pid(self, broker: int) -> int:
        """Return the process id of a broker's JVM, for tests that pause or kill it themselves."""
        return self._servers[broker].pid

    def segment(self, broker: int, topic: str) -> Path:
        """Return the file in which a broker keeps the first records of partition 0 of *topic*."""
        data = self.installation.directory / self._node(broker).name / "data"
        return data / f"{topic}-0" / f"{0:020}.log"

    def listed_by(self, port: int) -> tuple[Broker, ...]:
        """Return the brokers that the one on this port knows; empty when it is not one of this cluster."""
        return listed_brokers(port, self.installation.cluster_id)

    def wait_until_all_list(self, topics: AbstractSet[str]) -> None:
        """Return when every running broker lists *topics*: each follows the controller at its own pace."""
        for broker, server in self._servers.items():
            server.wait_until(partial(_lists_topics, self._node(broker).port, topics))

    def tools(self) -> Path:
        """Return a directory to put on PATH: `kafka-topics.sh` and `kafka-configs.sh` of this Kafka."""
        return write_tools(self.installation)

    def start_broker(self, broker: int) -> None:
        """Start a stopped broker on its old port with its old data; return when all running brokers list it."""
        self._launch(broker)
        self._wait_until_listed()

    def stop_broker(self, broker: int, *, kill: bool = False) -> None:
        """End a broker in order, or with `kill` as a crash does, and return when the process is gone.

        While the others still are a majority it also waits until they no longer list it, so that a test sees one state
        of the cluster and not the change.
        """
        self._servers.pop(broker).stop(signal.SIGKILL if kill else signal.SIGTERM)
        if 2 * len(self._servers) > len(self.nodes):
            self._wait_until_listed()

    def stop(self) -> None:
        """End all brokers at once; harmless when they have ended. Their data goes with the run's directory."""
        while self._servers:
            # Not in order: three brokers that all hand over to each other take half a minute.
            self._servers.popitem()[1].stop(signal.SIGKILL)

    def start(self) -> None:
        """Format the storage of all nodes, start them, and return when each lists all."""
        formatting = [node.prepare(self.installation, self.nodes) for node in self.nodes]
        for each in formatting:
            finish(each)
        for node in self.nodes:
            self._launch(node.id)
        self._wait_until_listed()

    def _lists(self, port: int, wanted: set[int]) -> bool:
        return {broker.id for broker in self.listed_by(port)} == wanted

    def _launch(self, broker: int) -> None:
        self._servers[broker] = GuardedServer(self._node(broker).launch(self.installation))

    def _node(self, broker: int) -> Node:
        return next(node for node in self.nodes if node.id == broker)

    def _wait_until_listed(self) -> None:
        wanted = set(self._servers)
        for broker, server in self._servers.items():
            server.wait_until(partial(self._lists, self._node(broker).port, wanted))


@dataclass(frozen=True)
class SecureKafka:
    """One broker with a plain listener, which is the cluster's `bootstrap`, and those of `security` beside it."""

    cluster: KafkaCluster
    security: KafkaSecurity


@contextmanager
def running_kafka(brokers: Literal[1, 3] = 1) -> Iterator[KafkaCluster]:
    """Yield a running cluster of the version in `BACKPLANE_TEST_KAFKA_VERSION`; end it and remove its data afterwards.

    Raises:
        ServerUnavailableError: Java or Maven is missing, or Kafka could not be fetched.
        ServerFailedError: Kafka does not start.
    """
    with _installation() as installation:
        cluster = with_free_ports(2 * brokers, lambda ports: _start(installation, ports))
        try:
            yield cluster
        finally:
            cluster.stop()


@contextmanager
def running_secure_kafka() -> Iterator[SecureKafka]:
    """Yield one running broker behind TLS and SASL; as `running_kafka`, and it needs OpenSSL."""
    with _installation() as installation:
        secure = with_free_ports(2 + len(LISTENERS), lambda ports: _start_secured(installation, ports))
        try:
            yield secure
        finally:
            secure.cluster.stop()


@contextmanager
def _installation() -> Iterator[Installation]:
    version = chosen_version()
    java = requirements.java(at_least=JAVA_FOR_KAFKA_4 if major(version) >= 4 else JAVA_FOR_KAFKA_3)
    libs = kafka_libs(version)
    with run_directory() as directory:
        yield Installation(java, libs, version, directory, _new_cluster_id())


def _start_secured(installation: Installation, ports: list[int]) -> SecureKafka:
    security = make_security(installation.directory / "security", ports[2:])
    return SecureKafka(_started(KafkaCluster(installation, (Node(1, ports[0], ports[1], security),))), security)


def _start(installation: Installation, ports: list[int]) -> KafkaCluster:
    pairs = zip(ports[::2], ports[1::2], strict=True)
    nodes = tuple(Node(number, port, controller) for number, (port, controller) in enumerate(pairs, start=1))
    return _started(KafkaCluster(installation, nodes))


def _started(cluster: KafkaCluster) -> KafkaCluster:
    try:
        cluster.start()
    except BaseException:
        cluster.stop()
        raise
    return cluster


def _lists_topics(port: int, topics: AbstractSet[str]) -> bool:
    return topics <= listed_topics(port)


def _new_cluster_id() -> str:
    # One in 64 would begin with a dash, which the tool that formats the storage takes for an option.
    return base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
