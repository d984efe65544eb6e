"""Options of the backplanes that provision nothing: memory, log, OpenTelemetry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from backplane_runtime.settings.base import Refusal, Settings

LogLevel = Literal["debug", "info", "warning", "error", "critical"]
LogFormat = Literal["json", "text"]
Signal = Literal["logs", "spans", "both"]


class InMemory(Settings, frozen=True, kw_only=True):
    """Keep events in memory, for tests."""

    capacity: Annotated[int, Meta(ge=1, le=2**31 - 1, description="Events kept; the oldest go first.")] = 100_000


class Logging(Settings, frozen=True, kw_only=True):
    """Write each event to a Python logger."""

    logger: Annotated[str, Meta(min_length=1, description="Name of the logger.")] = "backplane.events"
    level: Annotated[LogLevel, Meta(description="Level of the records.")] = "info"
    format: Annotated[LogFormat, Meta(description="`json` is the envelope; `text` is one line for people.")] = "json"


class OpenTelemetry(Settings, frozen=True, kw_only=True):
    """Emit events by the OpenTelemetry conventions for feature flags."""

    signal: Annotated[Signal, Meta(description="Log events, spans, or both.")] = "logs"
    endpoint: Annotated[
        str | None,
        Meta(
            description="OTLP/HTTP end point, such as http://localhost:4318; where it is not set, as the environment "
            "variables `OTEL_EXPORTER_OTLP_…` say."
        ),
    ] = None
    headers: Annotated[dict[str, str], Meta(description="OTLP headers; secrets by reference.")] = msgspec.field(
        default_factory=dict
    )

    def _refusals(self) -> Iterator[Refusal]:
        # Not quoted: an end point may hold a secret. One with a reference in it is known when that is resolved.
        if self.endpoint is not None and "${" not in self.endpoint and not _is_http(self.endpoint):
            yield Refusal(
                "endpoint",
                "is not an http or https URL; OTLP over gRPC is not spoken here",
                hint="write it as in `http://localhost:4318`",
            )


def _is_http(endpoint: str) -> bool:
    from urllib.parse import urlsplit  # noqa: PLC0415 - few settings are looked at, and imports are paid by all

    try:
        parts = urlsplit(endpoint)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no number between 0 and 65535, brackets that do not close
        return False
