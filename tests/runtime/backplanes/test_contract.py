"""Backplanes that need nothing but the runtime keep the contract; so does the check itself."""

import json
import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from backplane_runtime.backplanes.api import Rejected, Verdict
from backplane_runtime.backplanes.in_memory import InMemoryBackplane
from backplane_runtime.backplanes.logger import LoggerBackplane
from backplane_runtime.backplanes.sqlite import SqliteBackplane
from backplane_runtime.envelope import Envelope, Record
from backplane_runtime.settings import InMemory, Logging, Sqlite
from backplane_runtime.testing import StoredEvent, check_backplane_contract

pytestmark = pytest.mark.runtime_only


def stored(envelope: bytes) -> StoredEvent:
    one = msgspec.json.decode(envelope, type=Envelope)
    return StoredEvent(one.event_id, one.event_type, bytes(one.payload))


class Made:
    """Remembers the backplane that was made last."""

    def __init__(self) -> None:
        self.last = InMemoryBackplane(InMemory())

    def __call__(self) -> InMemoryBackplane:
        self.last = InMemoryBackplane(InMemory())
        return self.last

    def read(self) -> list[StoredEvent]:
        return [stored(record.envelope) for record in self.last.records]


def test_in_memory() -> None:
    """The in-memory twin."""
    made = Made()
    check_backplane_contract(made, made.read)


def test_logging(caplog: pytest.LogCaptureFixture) -> None:
    """The logger."""
    caplog.set_level(logging.INFO, "test.contract")
    check_backplane_contract(
        lambda: LoggerBackplane(Logging(logger="test.contract")),
        lambda: [stored(record.getMessage().encode()) for record in caplog.records if record.name == "test.contract"],
    )


def sqlite_rows(path: Path) -> list[StoredEvent]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            'SELECT EventId, EventType, PayloadJson FROM "ExperimentEvents" ORDER BY Id'
        ).fetchall()
    return [StoredEvent(event_id, kind, payload.encode()) for event_id, kind, payload in rows]


@pytest.mark.parametrize("idempotent", [True, False])
def test_sqlite(tmp_path: Path, idempotent: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The embedded default."""
    path = tmp_path / "events.db"
    settings = Sqlite(path=str(path), enable_idempotency=idempotent)
    check_backplane_contract(lambda: SqliteBackplane(settings), lambda: sqlite_rows(path))


class Forgetful(InMemoryBackplane):
    """Loses the last record of each batch and says nothing."""

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        return [*super().send(batch[:-1]), Verdict.ACKNOWLEDGED]


class Unordered(InMemoryBackplane):
    """Stores backwards."""

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        return super().send(batch[::-1])


@pytest.mark.parametrize("broken", [Forgetful, Unordered])
def test_the_check_finds_what_is_broken(broken: type[InMemoryBackplane]) -> None:
    """A contract test that passes everything would be none."""
    backplane = broken(InMemory())
    with pytest.raises(AssertionError, match="in order"):
        check_backplane_contract(lambda: backplane, lambda: [stored(record.envelope) for record in backplane.records])


def test_logging_as_text(caplog: pytest.LogCaptureFixture) -> None:
    """A line for people."""
    caplog.set_level(logging.INFO, "test.text")
    backplane = LoggerBackplane(Logging(logger="test.text", format="text"))
    from backplane_runtime.testing import sample_records  # noqa: PLC0415 - beside its use

    backplane.send(sample_records(1))
    assert caplog.messages[0].startswith("Exposure experiment-0 variant='blau ü' subject='user-1' tenant='acme' id='")


def test_a_logger_that_discards_is_unhealthy() -> None:
    """Events must not vanish in a level."""
    logging.getLogger("test.quiet").setLevel(logging.ERROR)
    health = LoggerBackplane(Logging(logger="test.quiet")).health(1)
    assert (health.healthy, health.message) == (False, "logger `test.quiet` discards level INFO; lower its level")


def test_json_lines_are_whole_envelopes(caplog: pytest.LogCaptureFixture) -> None:
    """One a record."""
    caplog.set_level(logging.INFO, "test.json")
    from backplane_runtime.testing import sample_records  # noqa: PLC0415 - beside its use

    records = sample_records(3)
    LoggerBackplane(Logging(logger="test.json")).send(records)
    assert [json.loads(message)["eventId"] for message in caplog.messages] == [record.event_id for record in records]
