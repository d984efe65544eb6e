"""Kafka's jars are fetched once, whole or not at all."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import ServerUnavailableError
from tests.servers.kafka_jars import is_cached, kafka_libs

ROOT = Path(__file__).parents[2]
FETCHES = "from tests.servers.kafka_jars import kafka_libs; print(kafka_libs('4.0.1'), flush=True)"


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Maven that writes down that it was called and makes one jar, after a second; returns its diary."""
    diary = tmp_path / "calls"
    program = tmp_path / "bin" / "mvn"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho called >> {diary}\nfor last; do :; done\nmkdir "${{last#*=}}"\nsleep 1\ntouch "${{last#*=}}/k.jar"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return diary


def _fetching() -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", FETCHES], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_two_at_once_fetch_once(maven: Path) -> None:
    """The second waits for the first and takes what is there."""
    with _fetching() as first, _fetching() as second:
        assert first.communicate(timeout=30) == second.communicate(timeout=30)
    assert maven.read_text() == "called\n"
    assert [jar.name for jar in kafka_libs("4.0.1").iterdir()] == ["k.jar"]


def test_a_killed_fetch_leaves_nothing_that_looks_complete(maven: Path, tmp_path: Path) -> None:
    """The next one starts afresh and clears the leavings."""
    with _fetching() as killed:
        while not list(tmp_path.glob("cache/*/.kafka-*/libs")):
            time.sleep(0.02)
        killed.send_signal(signal.SIGKILL)
    assert not is_cached("4.0.1")
    assert [jar.name for jar in kafka_libs("4.0.1").iterdir()] == ["k.jar"]
    assert not list(tmp_path.glob("cache/*/.kafka-*"))


def test_what_maven_says_is_handed_on(maven: Path) -> None:
    """A version that there is not ends in one line, with Maven's own reason."""
    fake = maven.parent / "bin" / "mvn"
    fake.write_text("#!/bin/sh\necho '[ERROR] Could not find artifact kafka_2.13:jar:9.9.9'\nexit 1\n")
    with pytest.raises(ServerUnavailableError, match=r"^Maven could not fetch Kafka: .*9\.9\.9$"):
        kafka_libs("9.9.9")
    assert not is_cached("9.9.9")
