"""Copies, acknowledgements and the minimum of copies in sync: three settings that only mean something together.

`min.insync.replicas` above the replication factor: before Kafka 3.7 every write fails, since then the broker silently
uses the replication factor (KAFKA-15583), so the durability is weaker than what is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from backplane_compiler.diagnostics import Diagnostic
from backplane_compiler.model.model import Model
from backplane_compiler.rules.finding import at, error, place, warning
from backplane_compiler.rules.kafka_topics import Topic, topics_of
from backplane_compiler.source import Path

_KEY: Final = "min.insync.replicas"


def check(model: Model) -> Iterator[Diagnostic]:
    """Yield what is wrong between these settings, once for each place that sets them."""
    seen: set[Path] = set()
    for topic in topics_of(model):
        path = _path(model, topic)
        minimum = _number(topic.config.get(_KEY))
        if minimum is not None and path not in seen:
            yield from _problems(model, topic, minimum, path)
        seen.add(path)


def _problems(model: Model, topic: Topic, minimum: int, path: Path) -> Iterator[Diagnostic]:
    copies = topic.replication_factor
    if minimum > copies:
        message = f"`{_KEY}: {minimum}` is more than the {copies} copies that there are"
        hint = f"set it to {max(1, copies - 1)}, or raise `replicationFactor`"
        yield error("kafka-min-insync-replicas", message, place(model, path), hint=hint)
    elif minimum == copies > 1:
        message = f"`{_KEY}: {minimum}` is the number of all copies: one broker that is down stops every write"
        yield warning("kafka-min-insync-blocks", message, place(model, path), hint=f"set it to {copies - 1}")
    if minimum > 1 and topic.settings.acks != "all":
        message = f"`{_KEY}: {minimum}` has no effect with `acks: {topic.settings.acks}`"
        yield warning("kafka-min-insync-acks", message, place(model, path), hint="set `acks: all`")


def _path(model: Model, topic: Topic) -> Path:
    """Return where the minimum is set, or the number of copies where a topic overrides only that."""
    override: Path = (*topic.backplane.path, "provisioning", "topics", topic.event_type.value)
    paths = ((*override, "config", _KEY), (*override, "replicationFactor"))
    written = (path for path in paths if len(at(model, path)) == len(path))
    return next(written, (*topic.backplane.path, "provisioning", "config", _KEY))


def _number(value: object) -> int | None:
    text = str(value)
    # What is no number of a broker's, another rule says.
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) else None
