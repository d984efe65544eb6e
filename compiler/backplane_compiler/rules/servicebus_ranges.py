"""Ranges of Service Bus properties (azure-sdk-for-net, `AdministrationClientConstants.cs`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel

from backplane_compiler.diagnostics import Diagnostic
from backplane_compiler.model.model import Model
from backplane_compiler.rules.finding import backplanes_of, error, place
from backplane_compiler.schema.provisioning import ServiceBusProvisioning
from backplane_compiler.schema.scalars import UNLIMITED
from backplane_compiler.source import Path
from backplane_runtime.settings import AzureServiceBus

_SECOND: Final = 1000
_MINUTE: Final = 60 * _SECOND
_DAY: Final = 24 * 60 * _MINUTE
# Property -> least and most milliseconds (None: none), and the same in words.
_DURATIONS: Final[Mapping[str, tuple[int, int | None, str]]] = MappingProxyType(
    {
        "lock_duration": (5 * _SECOND, 5 * _MINUTE, "from `5s` to `5m`"),
        "duplicate_detection_window": (20 * _SECOND, 7 * _DAY, "from `20s` to `7d`"),
        "default_message_time_to_live": (_SECOND, None, "at least `1s`"),
        "auto_delete_on_idle": (5 * _MINUTE, None, "at least `5m`"),
    }
)
_SIZES: Final = (1024, 2048, 3072, 4096, 5120, 10240, 20480, 40960, 81920)


def check(model: Model) -> Iterator[Diagnostic]:
    """Yield an error for each property of an entity or a subscription that is out of its range."""
    for backplane, _, provisioning in backplanes_of(model, AzureServiceBus, ServiceBusProvisioning):
        path: Path = (*backplane.path, "provisioning")
        yield from _check(model, provisioning.entity, (*path, "entity"))
        for kind, override in provisioning.entities.items():
            yield from _check(model, override, (*path, "entities", kind.value))
        for index, subscription in enumerate(provisioning.subscriptions):
            yield from _check(model, subscription, (*path, "subscriptions", index))


def _check(model: Model, part: BaseModel, path: Path) -> Iterator[Diagnostic]:
    for name, (least, most, words) in _DURATIONS.items():
        value: int | None = getattr(part, name, None)
        if value is None or (value == UNLIMITED and most is None):
            continue
        if value < least or (most is not None and value > most):
            key = _alias(part, name)
            yield error("servicebus-range", f"`{key}` must be {words}", place(model, (*path, key)))
    size: int | None = getattr(part, "max_size_in_megabytes", None)
    if size is not None and size not in _SIZES:
        message = f"`maxSizeInMegabytes` must be one of {', '.join(f'`{one}`' for one in _SIZES)}, not `{size}`"
        yield error("servicebus-range", message, place(model, (*path, "maxSizeInMegabytes")))


def _alias(part: BaseModel, name: str) -> str:
    return type(part).model_fields[name].alias or name
