"""A receiver of OpenTelemetry, and backplanes that export to it.

What needs the SDK is imported where it is used: tests of the bare installation lie in this folder, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from backplane_runtime.settings import OpenTelemetry

if TYPE_CHECKING:
    from backplane_runtime.backplanes.otel import OpenTelemetryBackplane
    from tests.runtime.backplanes.otlp_receiver import OtlpReceiver

Opened = Callable[..., "OpenTelemetryBackplane"]


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    """A receiver that takes everything until it is told otherwise."""
    from tests.runtime.backplanes.otlp_receiver import running_receiver  # noqa: PLC0415 - see above

    with running_receiver() as running:
        yield running


@pytest.fixture
def opened(receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    """Makes backplanes that are closed at the end; with nothing of the machine's own OpenTelemetry, and little patience."""
    from backplane_runtime.backplanes.otel import OpenTelemetryBackplane  # noqa: PLC0415 - see above

    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1.5")
    made: list[OpenTelemetryBackplane] = []

    def make(**options: Any) -> OpenTelemetryBackplane:
        made.append(OpenTelemetryBackplane(OpenTelemetry(**({"endpoint": receiver.endpoint} | options))))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.close(1)
