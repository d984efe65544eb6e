"""One Kafka node, broker and controller in one: its settings, its storage, its command line."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.servers.errors import ServerFailedError
from tests.servers.guard import Launch
from tests.servers.kafka_jars import major
from tests.servers.kafka_security import KafkaSecurity

FORMAT_SECONDS = 120
HEAP = "-Xmx384m"
# No files in /tmp that outlive a killed JVM.
JVM = ("-XX:+UseSerialGC", "-XX:-UsePerfData", "-Djava.awt.headless=true")

LOG4J_2 = """\
status=error
appender.c.type=Console
appender.c.name=OUT
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d %p %c %m%n
rootLogger.level=warn
rootLogger.appenderRef.c.ref=OUT
"""
RELOAD4J = """\
log4j.rootLogger=WARN, OUT
log4j.appender.OUT=org.apache.log4j.ConsoleAppender
log4j.appender.OUT.layout=org.apache.log4j.PatternLayout
log4j.appender.OUT.layout.ConversionPattern=%d %p %c %m%n
"""


@dataclass(frozen=True)
class Installation:
    """What all nodes of one cluster share."""

    java: str
    libs: Path
    version: str
    directory: Path
    cluster_id: str


@dataclass(frozen=True)
class Node:
    """One node: `id` is its broker id as Kafka knows it, from 1, and its rack is `r<id>`."""

    id: int
    port: int
    controller_port: int
    security: KafkaSecurity | None = None
    """Its listeners with TLS and SASL, beside the plain one."""

    @property
    def name(self) -> str:
        """The stem of the node's files."""
        return f"kafka-{self.id}"

    def prepare(self, installation: Installation, nodes: tuple["Node", ...]) -> "subprocess.Popen[str]":
        """Write the settings and begin to format the storage; `finish` waits for it. Old data is removed."""
        shutil.rmtree(self._data(installation), ignore_errors=True)
        self._temporary(installation).mkdir(parents=True, exist_ok=True)
        settings = _settings(self, nodes) | {"log.dirs": str(self._data(installation))}
        if self.security is not None:
            settings = _secured(settings, self.security)
        text = "".join(f"{key}={value}\n" for key, value in settings.items())
        self._properties(installation).write_text(text, encoding="utf-8")
        _logging_file(installation).write_text(
            LOG4J_2 if major(installation.version) >= 4 else RELOAD4J,
            encoding="utf-8",
        )
        command = [*self._java(installation), "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format"]
        command += ["-t", installation.cluster_id, "-c", str(self._properties(installation))]
        command += [] if self.security is None else self.security.format_options()
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def launch(self, installation: Installation) -> Launch:
        """Return how to run the node."""
        java = [*self._java(installation), *([] if self.security is None else self.security.jvm_options())]
        command = [*java, "kafka.Kafka", str(self._properties(installation))]
        return Launch(command=command, directory=str(installation.directory), name=self.name)

    def _java(self, installation: Installation) -> list[str]:
        temporary = f"-Djava.io.tmpdir={self._temporary(installation)}"
        return [installation.java, HEAP, *JVM, temporary, logging_option(installation), "-cp", f"{installation.libs}/*"]

    def _data(self, installation: Installation) -> Path:
        return installation.directory / self.name / "data"

    def _temporary(self, installation: Installation) -> Path:
        return installation.directory / self.name / "tmp"

    def _properties(self, installation: Installation) -> Path:
        return installation.directory / self.name / "server.properties"


def finish(formatting: "subprocess.Popen[str]") -> None:
    """Wait until a node's storage is formatted."""
    with formatting:
        said, _ = formatting.communicate(timeout=FORMAT_SECONDS)
    if formatting.returncode:
        raise ServerFailedError(f"Kafka could not format its storage:\n{said}")


def logging_option(installation: Installation) -> str:
    """Return the option that has Java log warnings only; it points to a file that `prepare` writes."""
    option = "log4j2.configurationFile" if major(installation.version) >= 4 else "log4j.configuration"
    return f"-D{option}=file:{_logging_file(installation)}"


def _logging_file(installation: Installation) -> Path:
    return installation.directory / "logging.properties"


def _settings(node: Node, nodes: tuple[Node, ...]) -> dict[str, str]:
    """Return a node's `server.properties` without its directory: small, quick to start, and nothing created by chance."""
    copies = str(len(nodes))
    listeners = f"PLAINTEXT://127.0.0.1:{node.port},CONTROLLER://127.0.0.1:{node.controller_port}"
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.id),
        "broker.rack": f"r{node.id}",
        "controller.quorum.voters": ",".join(f"{each.id}@127.0.0.1:{each.controller_port}" for each in nodes),
        "listeners": listeners,
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{node.port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.num.partitions": copies,
        "transaction.state.log.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        # The default takes 128 MB of the heap for compaction.
        "log.cleaner.dedupe.buffer.size": str(8 * 1024 * 1024),
        # A broker that is killed is missed after seconds, not after ten.
        "broker.heartbeat.interval.ms": "1000",
        "broker.session.timeout.ms": "5000",
    }


def _secured(settings: dict[str, str], security: KafkaSecurity) -> dict[str, str]:
    more = {
        "listeners": security.listeners(),
        "advertised.listeners": security.listeners(),
        "listener.security.protocol.map": security.protocols(),
    }
    joined = {name: ",".join([settings[name], *parts]) for name, parts in more.items()}
    return settings | joined | security.settings()
