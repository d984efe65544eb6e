"""`kafka/topics.sh`: as bash reads it, with tools that only listen, and on a real broker."""

import json
import os
import shlex
import subprocess
import uuid
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from backplane_compiler.render import render_artifacts
from backplane_runtime.events import EventType
from tests.compiler.models import backplane, targets
from tests.servers import KafkaCluster

LISTENER = """#!/bin/sh
case "$*" in *--list*) cat "$EXISTING"; exit;; esac
for word in "$(basename "$0")" "$@"; do printf '%s\\0' "$word"; done >> "$CALLS"
printf '\\n' >> "$CALLS"
"""


def written(folder: Path, brokers: str = "a:9092", **provisioning: object) -> Path:
    """Write the script for a topic `it` and one with a prefix, and return its path."""
    one = backplane("kafka", {"brokers": [brokers], "topic": "it"}, provisioning, events=(EventType.ERROR,))
    script = next(each for each in render_artifacts(targets(one)) if each.path == "kafka/topics.sh")
    path = folder / "topics.sh"
    path.write_bytes(script.content)
    return path


def calls(script: Path, *, existing: str = "", environment: dict[str, str] | None = None) -> list[list[str]]:
    """Run *script* with tools that write down how they are called."""
    folder = script.parent
    for tool in ("kafka-topics.sh", "kafka-configs.sh"):
        (folder / tool).write_text(LISTENER, encoding="utf-8")
        (folder / tool).chmod(0o755)
    (folder / "existing").write_text(existing, encoding="utf-8")
    (folder / "calls").write_text("", encoding="utf-8")
    settings = {"EXISTING": str(folder / "existing"), "CALLS": str(folder / "calls"), "KAFKA_BIN": str(folder)}
    subprocess.run(["bash", script], check=True, env={"PATH": os.environ["PATH"], **settings, **(environment or {})})
    lines = (folder / "calls").read_text(encoding="utf-8").split("\0\n")
    return [line.split("\0") for line in lines if line]


def test_bash_reads_it(tmp_path: Path) -> None:
    subprocess.run(["bash", "-n", written(tmp_path)], check=True)


def test_a_missing_topic_is_created_with_all_its_configs(tmp_path: Path) -> None:
    (call,) = calls(written(tmp_path, retention="1h", config={"cleanup.policy": "delete,compact"}))
    assert call == shlex.split(
        "kafka-topics.sh --bootstrap-server a:9092 --create --if-not-exists --topic it --partitions 12"
        " --replication-factor 3 --config cleanup.policy=compact,delete --config min.insync.replicas=2"
        " --config retention.ms=3600000"
    )


def test_a_topic_that_is_there_gets_its_configs(tmp_path: Path) -> None:
    script = written(tmp_path, retention="1h", config={"cleanup.policy": "delete,compact"})
    (call,) = calls(script, existing="its\nit\n", environment={"BOOTSTRAP": "b:1", "COMMAND_CONFIG": "c d"})
    assert call == shlex.split(
        "kafka-configs.sh --bootstrap-server b:1 --command-config 'c d' --alter --entity-type topics --entity-name it"
        " --add-config cleanup.policy=[compact,delete],min.insync.replicas=2,retention.ms=3600000"
    )


def test_what_a_document_says_is_never_run(tmp_path: Path) -> None:
    nasty = "a'b\"c$(touch pwned)`touch pwned`; touch pwned #"
    script = written(tmp_path, brokers=f"{nasty}:1", config={"compression.type": nasty})
    (call,) = calls(script)
    assert f"compression.type={nasty}" in call
    assert f"{nasty}:1" in call
    assert not (tmp_path / "pwned").exists()
    assert not Path("pwned").exists()


def test_what_kafka_configs_cannot_say_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot be handed to kafka-configs\.sh"):
        written(tmp_path, config={"compression.type": "a]b"})


def test_brokers_by_reference_must_be_said_at_the_call(tmp_path: Path) -> None:
    script = written(tmp_path, brokers="${env:BROKERS}")
    with pytest.raises(subprocess.CalledProcessError):
        calls(script)
    (call,) = calls(script, environment={"BOOTSTRAP": "b:1"})
    assert call[1:3] == ["--bootstrap-server", "b:1"]


def test_missing_tools_end_in_one_line(tmp_path: Path) -> None:
    result = subprocess.run(
        ["/bin/bash", written(tmp_path)], capture_output=True, text=True, check=False, env={"PATH": str(tmp_path)}
    )
    assert result.returncode == 1
    assert result.stderr == "kafka-topics.sh is not on the PATH; set KAFKA_BIN to the bin folder of Kafka\n"


def test_a_real_broker_has_the_topics_after_one_run_and_after_two(tmp_path: Path, kafka: KafkaCluster) -> None:
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    options = {"brokers": [kafka.bootstrap], "topicPrefix": prefix}
    events = (EventType.ERROR, EventType.EXPOSURE)

    def run(retention: str) -> dict[str, tuple[int, dict[str, str]]]:
        wanted = {
            "partitions": 3,
            "replicationFactor": 1,
            "retention": retention,
            "config": {"cleanup.policy": "delete,compact"},
        }
        made = render_artifacts(targets(backplane("kafka", options, wanted, events=events)))
        script = tmp_path / "topics.sh"
        script.write_bytes(next(each for each in made if each.executable).content)
        environment = {**os.environ, "KAFKA_BIN": str(kafka.tools())}
        environment.pop("BOOTSTRAP", None)
        subprocess.run(["bash", script], check=True, env=environment, capture_output=True)
        topics = json.loads(next(each for each in made if each.path.endswith(".json")).text)["topics"]
        live = read(kafka.bootstrap, [topic["name"] for topic in topics])
        for topic in topics:
            partitions, configs = live[topic["name"]]
            assert partitions == topic["partitions"]
            configs["cleanup.policy"] = ",".join(sorted(configs["cleanup.policy"].split(",")))
            assert topic["configs"].items() <= configs.items()
        return live

    assert run("1h") == run("1h")
    assert run("2h") != {}


def read(bootstrap: str, names: list[str]) -> dict[str, tuple[int, dict[str, str]]]:
    """Return the number of partitions and the configs of each topic, as the broker has them."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    asked = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    configs = {resource.name: future.result() for resource, future in admin.describe_configs(asked).items()}
    partitions = {name: len(admin.list_topics(name, timeout=10).topics[name].partitions) for name in names}
    return {
        name: (partitions[name], {key: entry.value for key, entry in configs[name].items() if entry.value is not None})
        for name in names
    }
