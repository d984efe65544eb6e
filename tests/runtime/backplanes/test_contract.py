"""Backplanes that need nothing but the runtime keep the contract."""

import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from backplane_runtime.backplanes.in_memory import InMemoryBackplane
from backplane_runtime.backplanes.logger import LoggerBackplane
from backplane_runtime.backplanes.sqlite import SqliteBackplane
from backplane_runtime.envelope import Envelope
from backplane_runtime.settings import InMemory, Logging, Sqlite
from backplane_runtime.testing import ContractOptions, StoredEvent, check_backplane_contract

pytestmark = pytest.mark.runtime_only


def stored(envelope: bytes) -> StoredEvent:
    one = msgspec.json.decode(envelope, type=Envelope)
    return StoredEvent(one.event_id, one.event_type, bytes(one.payload))


def test_in_memory() -> None:
    """The in-memory twin, but for what its nature forbids: nobody sees a child's memory, and memory is always there."""
    made: list[InMemoryBackplane] = []

    def make() -> InMemoryBackplane:
        made.append(InMemoryBackplane(InMemory()))
        return made[-1]

    skipped = check_backplane_contract(
        make,
        lambda: [stored(record.envelope) for backplane in made for record in backplane.records],
        ContractOptions(forks=False),
    )
    assert skipped == (
        "a batch that is tried again after an outage: no `outage` was given",
        "a forked child: the storage is the memory of one process",
    )


@pytest.fixture
def event_log(tmp_path: Path) -> Iterator[Path]:
    """A logger `test.contract` that writes to a file, which is seen from a child too."""
    path, logger = tmp_path / "events.log", logging.getLogger("test.contract")
    handler = logging.FileHandler(path, encoding="utf-8")
    logger.addHandler(handler)
    logger.propagate = False
    yield path
    logger.removeHandler(handler)
    handler.close()


def test_logging(event_log: Path) -> None:
    """The logger; it is away while its level forbids our records."""

    @contextmanager
    def silenced() -> Iterator[None]:
        logging.getLogger("test.contract").setLevel(logging.ERROR)
        yield
        logging.getLogger("test.contract").setLevel(logging.INFO)

    skipped = check_backplane_contract(
        lambda: LoggerBackplane(Logging(logger="test.contract")),
        lambda: [stored(line) for line in event_log.read_bytes().split(b"\n") if line],
        ContractOptions(outage=silenced),
    )
    assert skipped == ()


def sqlite_rows(path: Path) -> list[StoredEvent]:
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            'SELECT EventId, EventType, PayloadJson FROM "ExperimentEvents" ORDER BY Id'
        ).fetchall()
    return [StoredEvent(event_id, kind, payload.encode()) for event_id, kind, payload in rows]


@pytest.mark.parametrize("idempotent", [True, False])
def test_sqlite(tmp_path: Path, idempotent: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a parameter of the test
    """The embedded default; it is away while somebody else writes."""
    monkeypatch.setattr("backplane_runtime.backplanes.sqlite.BUSY_SECONDS", 0.3)
    path = tmp_path / "events.db"

    @contextmanager
    def busy() -> Iterator[None]:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield

    settings = Sqlite(path=str(path), enable_idempotency=idempotent)
    skipped = check_backplane_contract(
        lambda: SqliteBackplane(settings), lambda: sqlite_rows(path), ContractOptions(outage=busy)
    )
    assert skipped == ()


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
