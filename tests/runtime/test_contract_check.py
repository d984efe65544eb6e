"""The contract test itself: for each sentence, a backplane that breaks it and nothing else."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from backplane_runtime.backplanes.api import Backplane
from backplane_runtime.contract import check, limits
from backplane_runtime.testing import ContractOptions, check_backplane_contract, sample_records
from tests.runtime import broken_backplanes
from tests.runtime.broken_backplanes import AWAY, SENTENCES, JsonLines, read

pytestmark = pytest.mark.runtime_only


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while JsonLines.opened:
        JsonLines.opened.pop().close()


def check_it(kind: type[JsonLines], folder: Path) -> tuple[str, ...]:
    path = folder / "events.jsonl"

    @contextmanager
    def away() -> Iterator[None]:
        (folder / AWAY).touch()
        yield
        (folder / AWAY).unlink()

    options = ContractOptions(outage=away, send_seconds=0.5)
    return check_backplane_contract(lambda: kind(path), lambda: read(path), options)


def test_one_that_keeps_it_passes(tmp_path: Path) -> None:
    """With nothing left out."""
    backplane: Backplane = JsonLines(tmp_path)  # the type checker agrees
    assert backplane.health(1).healthy
    assert check_it(JsonLines, tmp_path) == ()


@pytest.mark.parametrize("broken", SENTENCES, ids=lambda kind: str(kind.__name__))
def test_the_sentence_that_is_broken_is_said(
    broken: type[JsonLines], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A contract test that passes everything would be none."""
    for module in (check, limits):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 2.0)
        monkeypatch.setattr(module, "GRACE_SECONDS", 0.3)
        monkeypatch.setattr(module, "HEALTH_SECONDS", 0.5)
    with pytest.raises(AssertionError) as caught:
        check_it(broken, tmp_path)
    assert SENTENCES[broken] in str(caught.value)


def test_each_fault_is_of_one_backplane() -> None:
    """None is forgotten in the table."""
    kinds = {
        kind for kind in vars(broken_backplanes).values() if isinstance(kind, type) and issubclass(kind, JsonLines)
    }
    assert kinds - {JsonLines} == set(SENTENCES)


def test_without_fork_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""
    monkeypatch.delattr(os, "fork")
    assert check_it(JsonLines, tmp_path) == ("a forked child: this platform has no os.fork",)


def test_an_outage_that_is_none_is_said(tmp_path: Path) -> None:
    """Else a batch that is tried again would pass for checked."""
    path = tmp_path / "events.jsonl"
    with pytest.raises(AssertionError, match="`outage` takes the storage away"):
        check_backplane_contract(lambda: JsonLines(path), lambda: read(path), ContractOptions(outage=nullcontext))


def test_samples_are_of_all_types() -> None:
    """In turn."""
    assert [record.event_type for record in sample_records(10)] == [
        record.event_type for record in sample_records(5)
    ] * 2
