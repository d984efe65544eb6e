"""The contract that every backplane keeps, checked against the real files."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from backplane_daily_files import DailyFiles, DailyFilesBackplane

from backplane_runtime.backplanes.api import UnavailableError
from backplane_runtime.testing import ContractOptions, StoredEvent, check_backplane_contract, sample_records


def read_back(folder: Path) -> Iterator[StoredEvent]:
    """Read the files by another way than the backplane does."""
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            event = json.loads(line)
            payload = line[line.index(b'"payload":') + len(b'"payload":') :]
            yield StoredEvent(event["eventId"], event["eventType"], payload[: _end_of_object(payload)])


def _end_of_object(text: bytes) -> int:
    _, end = json.JSONDecoder().raw_decode(text.decode())
    return len(text.decode()[:end].encode())


def test_the_contract(tmp_path: Path) -> None:
    """Nothing of it is left out: files are seen from a forked child, and a folder can be taken away."""
    folder, away = tmp_path / "events", tmp_path / "away"

    @contextmanager
    def outage() -> Iterator[None]:
        folder.rename(away)
        yield
        away.rename(folder)

    skipped = check_backplane_contract(
        lambda: DailyFilesBackplane(DailyFiles(folder=str(folder))),
        lambda: read_back(folder if folder.exists() else away),
        ContractOptions(outage=outage),
    )
    assert skipped == ()


def test_a_line_that_a_dead_process_left_unfinished(tmp_path: Path) -> None:
    """It was not acknowledged, so it comes again; what is written next must not continue it."""
    backplane, (first, torn, other) = DailyFilesBackplane(DailyFiles(folder=str(tmp_path))), sample_records(3)
    backplane.send([first])
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes() + torn.envelope[:-9])
    backplane.send([torn, other])
    assert path.read_bytes().splitlines() == [first.envelope, torn.envelope, other.envelope]


def test_a_folder_that_stands_outside_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """References are resolved when they are used; until what they name is there, events wait."""
    backplane, records = DailyFilesBackplane(DailyFiles(folder="${env:EVENTS}")), sample_records(2)
    assert "`EVENTS` is not set" in backplane.health(1).message
    with pytest.raises(UnavailableError, match="`EVENTS` is not set"):
        backplane.start()
    monkeypatch.setenv("EVENTS", str(tmp_path / "events"))
    backplane.start()
    backplane.send(records)
    assert [one.event_id for one in read_back(tmp_path / "events")] == [one.event_id for one in records]


def test_what_waits_goes_to_the_same_folder_in_batches_of_another_size() -> None:
    """What was spooled for one place is not sent to another, so the place must not change with the rest."""
    small, large = (DailyFiles(folder="events", batch_size=size) for size in (1, 1000))
    assert small.place() == large.place() != DailyFiles(folder="elsewhere").place()
