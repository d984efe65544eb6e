"""What people who test applications use: events in memory, as typed values."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import assert_type

import pytest

from backplane_runtime import DataPlane, EventType, InvalidEventError, PublishError
from backplane_runtime.events import AnalysisSignal, Assignment, Error, Exposure, Outcome
from backplane_runtime.settings import InMemory, PiiRedaction, Plane
from backplane_runtime.testing import AnyEvent, CapturedEvents, capture_events

pytestmark = pytest.mark.runtime_only


@pytest.fixture
def captured() -> Iterator[CapturedEvents]:
    with capture_events() as events:
        yield events


def publish_all(plane: DataPlane) -> list[AnyEvent]:
    moment = "2026-01-31T23:59:59.123456Z"
    events: list[AnyEvent] = [
        Exposure("a", "blue", subject="s1", tenant="acme", attributes={"n": [1, None]}, timestamp=moment),
        Exposure("a", "red", subject="s2", timestamp=moment),
        Assignment("a", "", "blue", subject="s1", timestamp=moment),
        Exposure("b", "blue", subject="s1", timestamp=moment),
        Outcome("a", subject="s1", metric="m", value=1.5, timestamp=moment),
        AnalysisSignal("a", "custom", "look", timestamp=moment),
        Error("a", "t", "m", timestamp=moment),
    ]
    for event in events:
        plane.publish(event)
    return events


def test_events_are_what_was_published(captured: CapturedEvents) -> None:
    """Equal to what the application made, in its order; again and again, and after the end too."""
    published = publish_all(captured.plane)
    assert captured.events == captured.events == published
    captured.plane.close()
    assert captured.events == published
    assert_type(captured.events, list[AnyEvent])


def test_select_finds_by_kind_experiment_variant_and_subject(captured: CapturedEvents) -> None:
    """And by any of them together."""
    published = publish_all(captured.plane)
    assert captured.select(Exposure) == [published[0], published[1], published[3]]
    assert captured.select(Exposure, "a") == [published[0], published[1]]
    assert captured.select(Exposure, variant="blue") == [published[0], published[3]]
    assert captured.select(Exposure, "a", variant="blue", subject="s1") == [published[0]]
    assert captured.select(Assignment, variant="blue") == [published[2]]
    assert captured.select(Exposure, "a", variant="green") == []
    assert captured.select(AnalysisSignal, subject="s1") == []
    assert_type(captured.select(Outcome), list[Outcome])


def test_single_is_one_or_says_what_there_is(captured: CapturedEvents) -> None:
    """The text of a failing test is its explanation."""
    with pytest.raises(AssertionError, match=r"^expected one Exposure, found 0; published was: nothing$"):
        captured.single(Exposure)
    publish_all(captured.plane)
    exposure = captured.single(Exposure, "a", variant="red")
    assert_type(exposure, Exposure)
    assert exposure.subject == "s2"
    with pytest.raises(AssertionError, match="expected one Exposure variant='blue', found 2;") as raised:
        captured.single(Exposure, variant="blue")
    assert len(str(raised.value).splitlines()) == 8


def test_clear_forgets(captured: CapturedEvents) -> None:
    """Between two steps of one test."""
    publish_all(captured.plane)
    captured.clear()
    assert captured.events == []
    captured.plane.outcome("a", subject="s", metric="m")
    assert [event.event_type for event in captured.events] == [EventType.OUTCOME]


def test_options_apply() -> None:
    """What the application would publish is what is captured, redaction included."""
    options = Plane(pii_redaction=PiiRedaction(redact_subject_ids=True), enable_outcome_events=False)
    with capture_events(options) as captured:
        publish_all(captured.plane)
        assert captured.select(Outcome) == []
        assert captured.select(Exposure, subject="[redacted]") == captured.select(Exposure)


def test_a_plane_of_the_application_is_captured_where_it_is() -> None:
    """Through whatever was bound and decorated with it before; afterwards all is as it was."""
    plane = DataPlane(InMemory())
    bound = plane.bind(tenant="acme", subject="s")

    @plane.exposes("decorated", subject="user_id")
    def choose(user_id: str) -> str:
        return "blue"

    def use() -> None:
        plane.publish(Outcome("published", subject="s", metric="m"))
        plane.exposure("shorthand", "v", subject="s")
        bound.exposure("bound", "v")
        choose("s")

    names = ["published", "shorthand", "bound", "decorated"]
    with plane:
        with capture_events(instead_of=plane) as outer:
            use()
            with capture_events(instead_of=plane) as inner:
                use()
            assert [event.experiment for event in inner.events] == names
            with pytest.raises(InvalidEventError):
                plane.exposure("", "v", subject="s")  # the captured plane is strict
            assert [event.experiment for event in outer.events] == names
        assert plane.ledger().total.published == 0
        use()
        assert plane.ledger().total.published == 4
        assert len(outer.events) == 4


def test_an_event_that_is_lost_fails_the_test() -> None:
    """Also one that comes after the end."""
    with capture_events() as captured:
        pass
    with pytest.raises(PublishError):
        captured.plane.outcome("e", subject="s", metric="m")


APPLICATION_TEST = """
from backplane_runtime import Outcome
from backplane_runtime.testing import CapturedEvents

def test_first(captured_events: CapturedEvents) -> None:
    captured_events.plane.outcome("e", subject="s", metric="m", value=1.0)
    assert captured_events.single(Outcome, "e").value == 1.0

def test_second(captured_events: CapturedEvents) -> None:
    assert captured_events.events == []
"""
UNUSED = """
import sys

def test_unused() -> None:
    names = {name for name in sys.modules if name.startswith(("backplane_runtime", "msgspec"))}
    assert names == {"backplane_runtime", "backplane_runtime.pytest_plugin"}
"""


def run_pytest(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_application.py").write_text(source, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"],
        cwd=folder,
        env={**os.environ, "XDG_STATE_HOME": str(folder / "state"), "HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_pytest_finds_the_fixture_and_nothing_is_written(tmp_path: Path) -> None:
    """Each test has its own events; no folder of a spool appears, neither in the state folder nor anywhere here."""
    done = run_pytest(tmp_path, APPLICATION_TEST)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    files = [path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts]
    assert files == [tmp_path / "test_application.py"]


def test_unused_the_plugin_imports_nothing(tmp_path: Path) -> None:
    """Every test run of a machine that has this distribution pays for it."""
    done = run_pytest(tmp_path, UNUSED)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_durability_is_memory_whatever_is_asked() -> None:
    """A test that leaves files behind is found by the next one."""
    with capture_events(Plane(durability="host")) as captured:
        assert captured.plane._assembly.plane.durability == "memory"
