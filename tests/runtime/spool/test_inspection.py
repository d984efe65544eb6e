"""Looking at a folder while its owner works."""

from __future__ import annotations

from pathlib import Path

import pytest

from backplane_runtime.spool import SpoolLog, SpoolOptions
from backplane_runtime.spool.files import Files
from backplane_runtime.spool.inspection import Events, look_at
from backplane_runtime.spool.verification import verify
from tests.runtime.spool.spools import KAFKA, put, read_all

pytestmark = pytest.mark.runtime_only

SEGMENTS = 3


class Releasing(Files):
    """A file system on which the owner removes what is delivered just before somebody opens a segment for the *when*th time."""

    def __init__(self, log: SpoolLog, when: int) -> None:
        self._log = log
        self._left = when

    def open_to_read(self, path: Path) -> int:
        self._left -= path.suffix == ".seg"
        if not self._left:
            self._log.release()
        return super().open_to_read(path)


@pytest.mark.parametrize("when", range(1, 2 * SEGMENTS + 1))
def test_segments_that_go_meanwhile_are_no_reason_to_fail(tmp_path: Path, when: int) -> None:
    """Nor is anything missing: all of it is delivered."""
    log = SpoolLog.create(tmp_path, SpoolOptions(destinations=(KAFKA,), segment_bytes=50))
    for _ in range(SEGMENTS):
        put(log, 4)
    read_all(log.reader("kafka"))
    log.reader("kafka").settle(log.end)
    view = look_at(log.path, files=Releasing(log, when))
    assert (view.end, [backlog.waiting for backlog in view.backlogs]) == (log.end, [0])
    put(log, 4)
    read_all(log.reader("kafka"))
    log.reader("kafka").settle(log.end)
    assert list(Events(log.path, log.end, files=Releasing(log, when))) == []
    assert verify(log.path, files=Releasing(log, when)) == []
    log.close()
