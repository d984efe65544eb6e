"""Compaction keeps the last record of each key, so a compacted topic takes no record without one (LogValidator.java)."""

from __future__ import annotations

from collections.abc import Iterator

from backplane_compiler.diagnostics import Diagnostic
from backplane_compiler.model.model import Model
from backplane_compiler.rules.finding import at, error, place
from backplane_compiler.rules.kafka_topics import topics_of
from backplane_compiler.source import Path


def check(model: Model) -> Iterator[Diagnostic]:
    """Yield an error where a compacted topic would get records without keys."""
    seen: set[Path] = set()
    for topic in topics_of(model):
        if topic.settings.partition_by != "roundRobin" or "compact" not in str(topic.config.get("cleanup.policy", "")):
            continue
        own = at(model, (*topic.provisioning_path, "config", "cleanup.policy"))
        general: Path = (*topic.backplane.path, "provisioning", "config", "cleanup.policy")
        path = own if own[-1] == "cleanup.policy" else general
        if path not in seen:
            message = f"`{topic.name}` is compacted and takes no record without a key, and `partitionBy: roundRobin` gives none"
            hint = "set `cleanup.policy: delete`, or a `partitionBy` that has a key"
            yield error("kafka-compaction-key", message, place(model, path), hint=hint)
        seen.add(path)
