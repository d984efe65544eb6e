"""The pytest plugin: the fixture `captured_events`. Pytest finds it by itself where this distribution is installed.

Every test run on this machine imports this module, used or not; so the runtime itself is imported by the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from backplane_runtime.capturing import CapturedEvents


@pytest.fixture
def captured_events() -> Iterator[CapturedEvents]:
    """Events that the test's application publishes to `captured_events.plane`; they stay in memory."""
    from backplane_runtime.capturing import capture_events  # noqa: PLC0415 - see above

    with capture_events() as captured:
        yield captured
