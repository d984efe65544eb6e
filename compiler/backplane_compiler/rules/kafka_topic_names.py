"""Names of topics: what the broker refuses (kafka, `clients/.../common/internals/Topic.java`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from backplane_compiler.diagnostics import Diagnostic
from backplane_compiler.model.model import Model
from backplane_compiler.rules.finding import error, is_open, place, without_address
from backplane_compiler.rules.kafka_topics import name_path, topics_of
from backplane_compiler.source import Path

_NAME = re.compile(r"[a-zA-Z0-9._-]+", re.ASCII)
_MAX_LENGTH: Final = 249
_RESERVED: Final = frozenset({"__consumer_offsets", "__transaction_state", "__share_group_state", "__cluster_metadata"})


def check(model: Model) -> Iterator[Diagnostic]:
    """Yield an error for each name that no broker takes, a warning for each that is a reference; a name shared by event types is reported once."""
    seen: set[tuple[str, str]] = set()
    by_reference: set[Path] = set()
    for topic in topics_of(model):
        key = (topic.backplane.name, topic.name)
        path = name_path(model, topic)
        if is_open(topic.name):
            if path not in by_reference:
                yield without_address(model, path)
            by_reference.add(path)
        elif key not in seen and (problem := _problem(topic.name)) is not None:
            message, hint = problem
            yield error("kafka-topic-name", message, place(model, path), hint=hint)
        seen.add(key)


def _problem(name: str) -> tuple[str, str] | None:
    if name in ("", ".", ".."):
        return f"a topic cannot be named `{name}`", "choose a name such as `experiment-events`"
    if name in _RESERVED:
        return f"`{name}` is a topic of Kafka's own", "choose another name"
    if len(name) > _MAX_LENGTH:
        return f"a topic's name has at most {_MAX_LENGTH} characters, and this one has {len(name)}", "shorten it"
    if not _NAME.fullmatch(name):
        wrong = next(char for char in name if not _NAME.fullmatch(char))
        return f"`{wrong}` cannot be in the name of a topic, as in `{name}`", "use letters, digits, `.`, `_` and `-`"
    return None
