"""A spool whose folder somebody removes, or replaces, under a running program."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from backplane_runtime import Outcome, Status
from backplane_runtime.settings import Plane, Spool
from tests.runtime.scripted import scripted, wait_until

pytestmark = pytest.mark.runtime_only


def outcome(subject: str) -> Outcome:
    return Outcome("e", subject=subject, metric="m")


def remove(folder: Path) -> None:
    """Remove *folder* under somebody who may add a file to it while it is emptied."""
    for last_try in (False, False, True):
        try:
            shutil.rmtree(folder)
        except OSError as error:
            if last_try or error.errno != errno.ENOTEMPTY:
                raise
        else:
            return


def replace(folder: Path) -> None:
    remove(folder)
    folder.mkdir(exist_ok=True)  # the running program may have been faster


@pytest.mark.parametrize("strike", [remove, replace])
def test_a_spool_that_is_removed_under_a_running_program(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    strike: Callable[[Path], None],
) -> None:
    """What comes afterwards goes to a new folder; what was in the old one is gone, and counted so."""
    root = tmp_path / "spool"
    options = Plane(
        flush_interval_ms=10, close_timeout_ms=200, durability="processStrict", spool=Spool(directory=str(root))
    )
    name = str(request.node.nodeid)
    plane, backplane = scripted(name, options)
    backplane.is_down = True
    assert plane.publish(outcome("gone")) is Status.SPOOLED
    strike(root)
    # It may have made a new folder before the old one was removed whole, and lost that one, too.
    assert wait_until(lambda: (last := plane._delivery.chain.last).is_durable and not last.log.is_gone)
    assert wait_until(lambda: "can be written again" in caplog.text)
    assert plane.publish(outcome("kept")) is Status.SPOOLED
    plane.close()
    total = plane.ledger().total
    assert (total.spooled, total.dropped) == (1, 1)
    counts = plane.ledger().by_backplane["scripted"]
    assert (counts.in_flight, counts.dropped) == (1, 1)
    assert "was removed" in caplog.text

    second, backplane = scripted(name, options)
    assert second.flush(20)
    second.close()
    assert [record.subject for record in backplane.records] == ["kept"]


def test_what_the_disk_lost_ends_its_receipt(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Whoever waits for it must not wait for ever."""
    root = tmp_path / "spool"
    plane, backplane = scripted(
        str(request.node.nodeid), Plane(flush_interval_ms=300, spool=Spool(directory=str(root)))
    )
    receipt = plane.publish(outcome("gone"), receipt=True)
    assert receipt.spooled.result(10) is Status.SPOOLED
    remove(root)
    assert wait_until(root.exists)
    plane.publish(outcome("kept"))
    assert receipt.acknowledged.result(10) is Status.DROPPED
    assert plane.flush(10)
    plane.close()
    assert [record.subject for record in backplane.records] == ["kept"]
    assert (plane.ledger().total.acknowledged, plane.ledger().total.dropped) == (1, 1)


def test_what_cannot_be_set_aside_any_more_holds_nothing_up(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A rejected event of the folder that is gone is dropped and counted: there is no place to keep it."""
    root = tmp_path / "spool"
    options = Plane(flush_interval_ms=10, close_timeout_ms=200, spool=Spool(directory=str(root)))
    plane, backplane = scripted(str(request.node.nodeid), options)
    backplane.gate.clear()
    receipt = plane.publish(Outcome("poison", subject="s", metric="m"), receipt=True)
    assert receipt.spooled.result(10) is Status.SPOOLED
    assert wait_until(lambda: plane._delivery.lanes[0].oldest is not None)
    remove(root)
    assert wait_until(root.exists)
    plane.publish(outcome("kept"))
    backplane.gate.set()
    assert plane.flush(5)
    assert receipt.acknowledged.result(5) is Status.DROPPED
    plane.close()
    assert (plane.ledger().total.acknowledged, plane.ledger().total.dropped) == (1, 1)
