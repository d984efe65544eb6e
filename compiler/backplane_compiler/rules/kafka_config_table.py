"""Topic configs that a broker knows, with their ranges: kafka, `storage/.../log/LogConfig.java`, tags 3.9 to 4.3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Number:
    """A number; `whole` unless it may have a fraction."""

    least: float
    most: float
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Words:
    """One of some words, or several of them separated by commas."""

    words: tuple[str, ...]
    several: bool = False


@dataclass(frozen=True, slots=True)
class Anything:
    """A text that is not judged here."""


Range = Number | Words | Anything

_INT: Final = 2**31 - 1
_LONG: Final = 2**63 - 1
_BOOL: Final = Words(("true", "false"))
_COUNT: Final = Number(0, _LONG)
_MIB: Final = 1 << 20

TOPIC_CONFIGS: Final[Mapping[str, Range]] = MappingProxyType(
    {
        "cleanup.policy": Words(("compact", "delete"), several=True),
        "compression.type": Words(("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")),
        "compression.gzip.level": Number(-1, 9),
        "compression.lz4.level": Number(1, 17),
        "compression.zstd.level": Number(-131072, 22),
        "delete.retention.ms": _COUNT,
        "file.delete.delay.ms": _COUNT,
        "flush.messages": Number(1, _LONG),
        "flush.ms": _COUNT,
        "index.interval.bytes": Number(0, _INT),
        "max.compaction.lag.ms": Number(1, _LONG),
        "min.compaction.lag.ms": _COUNT,
        "max.message.bytes": Number(0, _INT),
        "message.timestamp.type": Words(("CreateTime", "LogAppendTime")),
        "message.timestamp.before.max.ms": _COUNT,
        "message.timestamp.after.max.ms": _COUNT,
        "min.cleanable.dirty.ratio": Number(0, 1, whole=False),
        "min.insync.replicas": Number(1, _INT),
        "preallocate": _BOOL,
        "unclean.leader.election.enable": _BOOL,
        "retention.bytes": Number(-1, _LONG),
        "retention.ms": Number(-1, _LONG),
        "segment.bytes": Number(14, _INT),
        "segment.index.bytes": Number(4, _INT),
        "segment.jitter.ms": _COUNT,
        "segment.ms": Number(1, _LONG),
        "local.retention.ms": Number(-2, _LONG),
        "local.retention.bytes": Number(-2, _LONG),
        "remote.storage.enable": _BOOL,
        "remote.log.copy.disable": _BOOL,
        "remote.log.delete.on.disable": _BOOL,
        "leader.replication.throttled.replicas": Anything(),
        "follower.replication.throttled.replicas": Anything(),
    }
)
# Gone in 4.0; what does their work now, where there is something.
REMOVED_IN_4: Final[Mapping[str, str | None]] = MappingProxyType(
    {
        "message.format.version": None,
        "message.timestamp.difference.max.ms": "message.timestamp.before.max.ms",
        "message.downconversion.enable": None,
    }
)
# The broker's minimum since 4.0 (KIP-1030).
SEGMENT_BYTES_IN_4: Final = Number(_MIB, _INT)


def range_of(key: str, version: str) -> Range | None:
    """Return what a broker of *version* takes for *key*, or None where it does not know the key."""
    if key in REMOVED_IN_4:
        return Anything() if version.startswith("3.") else None
    if key == "segment.bytes" and not version.startswith("3."):
        return SEGMENT_BYTES_IN_4
    return TOPIC_CONFIGS.get(key)
