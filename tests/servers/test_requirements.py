"""A machine without the servers: tests skip with one line that says what to install, and fail with it in CI."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ServerUnavailableError, requirements

ROOT = Path(__file__).parents[2]
ASKING_TEST = """
def test_asks(kafka): ...
def test_asks_again(kafka): ...
def test_asks_for_another(postgresql_url): ...
"""


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment in which no program is found."""
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    return {"PATH": str(nothing), "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}


def _pytest(tmp_path: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run three tests that need servers, with this project's conftest, where PostgreSQL's usual places are empty too."""
    (tmp_path / "conftest.py").write_text(
        "from tests.conftest import *\nfrom tests.servers import requirements\nrequirements.POSTGRESQL_PLACES = ()\n"
    )
    (tmp_path / "test_asking.py").write_text(ASKING_TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", "."]
    command += ["-rs", "-o", "markers=kafka:\npostgresql:", "test_asking.py"]
    return subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_developer_sees_one_line_a_server(tmp_path: Path, bare: dict[str, str]) -> None:
    """Tests skip, and the summary says once for each server what to install."""
    done = _pytest(tmp_path, bare)
    assert done.returncode == 0, done.stdout
    assert (
        "Kafka tests need Java 17 or newer, there is none (Debian, Ubuntu: apt-get install default-jre" in done.stdout
    )
    assert "PostgreSQL tests need a PostgreSQL server (Debian, Ubuntu: apt-get install postgresql" in done.stdout
    assert sum(line.startswith("SKIPPED") for line in done.stdout.splitlines()) == 2


def test_in_ci_a_missing_server_is_a_failure(tmp_path: Path, bare: dict[str, str]) -> None:
    """With CI=true the same line fails the run."""
    done = _pytest(tmp_path, bare | {"CI": "true"})
    assert done.returncode == 1, done.stdout
    assert "3 errors" in done.stdout
    assert "Kafka tests need Java 17 or newer" in done.stdout
    assert "skipped" not in done.stdout


def _fake(place: Path, name: str, script: str) -> None:
    program = place / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo 'openjdk version \"11.0.2\" 2019-01-15' >&2", "is 11 "),
        ("echo 'java version \"1.8.0_401\"' >&2", "is 8 "),
        ("echo 'Unable to locate a Java Runtime.' >&2; exit 1", "there is none "),
    ],
)
def test_a_java_that_does_not_do_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, found: str
) -> None:
    """An old Java, and the one of macOS that only says where to get one, are as good as none."""
    _fake(tmp_path, "java", script)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    with pytest.raises(ServerUnavailableError, match=found):
        requirements.java(at_least=17)


def test_the_newest_postgresql_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 15 is newer than version 9, though not for an alphabet; one without a server does not count."""
    for version, programs in {
        "9": ("initdb", "postgres", "psql"),
        "15": ("initdb", "postgres", "psql"),
        "17": ("psql",),
    }.items():
        place = tmp_path / version / "bin"
        place.mkdir(parents=True)
        for program in programs:
            _fake(place, program, "true")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(requirements, "POSTGRESQL_PLACES", (f"{tmp_path}/*/bin",))
    assert requirements.postgresql_programs() == tmp_path / "15" / "bin"
