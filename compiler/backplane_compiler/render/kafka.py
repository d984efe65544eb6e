"""Artifacts of a Kafka cluster: a script of Kafka's own tools, and the topics as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backplane_compiler.infra.kafka import PARTITIONS, REPLICATION_FACTOR
from backplane_compiler.infra.kafka_configs import config_text
from backplane_compiler.infra.state import Resource, Target
from backplane_compiler.render.artifact import Artifact
from backplane_compiler.render.templates import render_template
from backplane_runtime.config import canonical_bytes


def render_kafka(target: Target, folder: str) -> Iterator[Artifact]:
    """Yield `topics.sh` and `topics.json` of *target* in *folder*."""
    topics = [_topic(resource) for resource in target.desired.resources]
    label = target.server.label
    # A reference is not an address: only the one who runs the script knows what it stands for.
    bootstrap = None if "${" in label else label
    script = render_template("kafka/topics.sh.j2", label=label, bootstrap=bootstrap, topics=topics)
    yield Artifact(path=f"{folder}/topics.sh", text=script, executable=True)
    plain = {"format": "experiment-backplane/kafka-topics", "version": 1, "cluster": label, "topics": topics}
    yield Artifact(path=f"{folder}/topics.json", text=canonical_bytes(plain).decode())


def _topic(resource: Resource) -> dict[str, Any]:
    values = {name: item.value for name, item in resource.properties.items()}
    partitions, replicas = values.pop(PARTITIONS), values.pop(REPLICATION_FACTOR)
    configs = {name: config_text(value) for name, value in sorted(values.items())}
    _refuse_brackets(resource.name, configs)
    return {"name": resource.name, PARTITIONS: partitions, REPLICATION_FACTOR: replicas, "configs": configs}


def _refuse_brackets(topic: str, configs: dict[str, str]) -> None:
    """Refuse what `kafka-configs.sh --add-config`, which has brackets around lists and no escape for them, cannot say."""
    for name, text in configs.items():
        if set(text) & set("[]\n") or set(name) & set("[]=,\n"):
            raise ValueError(f"the config {name}={text!r} of topic {topic} cannot be handed to kafka-configs.sh")
