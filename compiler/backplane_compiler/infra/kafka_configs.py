"""Topic configs of Kafka: what type each has, read from text and written as text.

Types and names are those of Kafka's `LogConfig.java` (3.9 to 4.3). A config that is not listed is a string.
"""

from __future__ import annotations

from typing import Final

from backplane_compiler.infra.state import Value

BYTES: Final = frozenset(
    {
        "index.interval.bytes",
        "local.retention.bytes",
        "max.message.bytes",
        "retention.bytes",
        "segment.bytes",
        "segment.index.bytes",
    }
)
MILLISECONDS: Final = frozenset(
    {
        "delete.retention.ms",
        "file.delete.delay.ms",
        "flush.ms",
        "local.retention.ms",
        "max.compaction.lag.ms",
        "message.timestamp.after.max.ms",
        "message.timestamp.before.max.ms",
        "message.timestamp.difference.max.ms",
        "min.compaction.lag.ms",
        "retention.ms",
        "segment.jitter.ms",
        "segment.ms",
    }
)
_INTEGERS = (
    BYTES
    | MILLISECONDS
    | {
        "compression.gzip.level",
        "compression.lz4.level",
        "compression.zstd.level",
        "flush.messages",
        "min.insync.replicas",
    }
)
_FLOATS = frozenset({"min.cleanable.dirty.ratio"})
_BOOLS = frozenset(
    {
        "message.downconversion.enable",
        "preallocate",
        "remote.log.copy.disable",
        "remote.log.delete.on.disable",
        "remote.storage.enable",
        "unclean.leader.election.enable",
    }
)
_LISTS = frozenset({"cleanup.policy"})


def parse_config_value(name: str, text: str) -> Value:
    """Return the value of the topic config *name* that Kafka writes as *text*.

    Text that is not of the config's type is returned as it is: what a broker answers must be shown, not refused.
    """
    if name in _LISTS:
        return tuple(sorted({part.strip() for part in text.split(",") if part.strip()}))
    if name in _BOOLS:
        return {"true": True, "false": False}.get(text.strip().lower(), text)
    try:
        if name in _INTEGERS:
            return int(text)
        return float(text) if name in _FLOATS else text
    except ValueError:
        return text


def config_text(value: Value) -> str:
    """Return *value* as Kafka reads it; `parse_config_value` is its inverse for every listed config."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, tuple) else str(value)
