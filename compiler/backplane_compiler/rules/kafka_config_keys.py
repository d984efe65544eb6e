"""Topic configs: names that the broker knows in this version, and values in range."""

from __future__ import annotations

from collections.abc import Iterator

from backplane_compiler.diagnostics import Diagnostic, nearest
from backplane_compiler.model.model import Model
from backplane_compiler.rules.finding import backplanes_of, error, place
from backplane_compiler.rules.kafka_config_table import (
    REMOVED_IN_4,
    TOPIC_CONFIGS,
    Anything,
    Number,
    Range,
    Words,
    range_of,
)
from backplane_compiler.schema.provisioning import ConfigValue, KafkaProvisioning
from backplane_compiler.schema.wording import shortened
from backplane_compiler.source import Path
from backplane_runtime.settings import Kafka


def check(model: Model) -> Iterator[Diagnostic]:
    """Yield an error for each unknown topic config, and for each value that the broker would refuse."""
    for backplane, _, provisioning in backplanes_of(model, Kafka, KafkaProvisioning):
        path: Path = (*backplane.path, "provisioning")
        layers = [(path, provisioning.config)]
        layers += [((*path, "topics", kind.value), other.config) for kind, other in provisioning.topics.items()]
        for layer, config in layers:
            for key, value in config.items():
                yield from _check(model, (*layer, "config", key), value, provisioning.kafka_version)


def _check(model: Model, path: Path, value: ConfigValue, version: str) -> Iterator[Diagnostic]:
    key = str(path[-1])
    allowed = range_of(key, version)
    if allowed is None:
        yield _unknown(model, path, version)
    elif (expected := _refusal(allowed, value)) is not None:
        message = f"`{key}` must be {expected}, not `{shortened(_text(value))}`"
        yield error("kafka-config-value", message, place(model, path))


def _unknown(model: Model, path: Path, version: str) -> Diagnostic:
    key = str(path[-1])
    if key in REMOVED_IN_4:
        other = REMOVED_IN_4[key]
        hint = f"use `{other}`" if other else "remove it"
        return error(
            "kafka-config-key",
            f"Kafka {version} has no topic config `{key}`: it went with 4.0",
            place(model, path),
            hint=hint,
        )
    near = nearest(key, TOPIC_CONFIGS)
    hint = f"did you mean `{near[0]}`?" if near else "use one of kafka.apache.org/documentation/#topicconfigs"
    return error("kafka-config-key", f"Kafka has no topic config `{key}`", place(model, path), hint=hint)


def _refusal(allowed: Range, value: ConfigValue) -> str | None:
    """Return what was expected, where *value* is not it."""
    text = _text(value)
    match allowed:
        case Anything():
            # `kafka-configs.sh --add-config` has brackets around lists, and no escape for them.
            return "a text without brackets and line breaks" if set(text) & set("[]\r\n\0") else None
        case Words(words, several):
            parts = text.split(",") if several else [text]
            good = all(part.strip() in words for part in parts) and len(set(parts)) == len(parts)
            return None if good else f"{'some' if several else 'one'} of {', '.join(f'`{word}`' for word in words)}"
        case Number(least, most, whole):
            number = _number(text, whole=whole)
            return None if number is not None and least <= number <= most else _bounds(allowed)


def _bounds(allowed: Number) -> str:
    kind = "an integer" if allowed.whole else "a number"
    return (
        f"{kind} from {allowed.least} to {allowed.most}"
        if allowed.most < 2**31 - 1
        else f"{kind}, at least {allowed.least}"
    )


def _number(text: str, *, whole: bool) -> float | None:
    try:
        return int(text) if whole else float(text)
    except ValueError:  # not a number, or one of more than 4300 digits
        return None


def _text(value: ConfigValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
