"""Apache Kafka's jars from Maven Central, fetched once into a cache outside the tree."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import requirements
from tests.servers.errors import ServerUnavailableError

VERSION_VARIABLE = "BACKPLANE_TEST_KAFKA_VERSION"
DEFAULT_VERSION = "4.1.2"
FETCH_SECONDS = 600

# kafka_2.13 does not bring its logging along: up to 3.9 that is reload4j, from 4.0 log4j 2 behind slf4j 1.7.
LOGGING_3 = ("org.slf4j:slf4j-reload4j:1.7.36",)
LOGGING_4 = ("org.apache.logging.log4j:log4j-slf4j-impl:2.25.5", "org.apache.logging.log4j:log4j-core:2.25.5")


def chosen_version() -> str:
    """Return the Kafka version to test with: `BACKPLANE_TEST_KAFKA_VERSION`, or the default."""
    return os.environ.get(VERSION_VARIABLE) or DEFAULT_VERSION


def major(version: str) -> int:
    """Return the first number of a version."""
    return int(version.partition(".")[0])


def is_cached(version: str) -> bool:
    """Tell whether the jars of this version are complete in the cache, fetched by the recipe of today."""
    recipe = _place(version) / "pom.xml"
    return recipe.is_file() and recipe.read_text(encoding="utf-8") == _pom(version)


def kafka_libs(version: str) -> Path:
    """Return the directory with Kafka's jars, after fetching them where that was not yet done.

    A fetch that is killed leaves nothing that looks complete, and two fetches at once take turns.

    Raises:
        ServerUnavailableError: Maven is missing or could not fetch.
    """
    if not is_cached(version):
        maven = requirements.maven()
        with _alone(version):
            if not is_cached(version):
                _fetch(version, maven)
    return _place(version) / "libs"


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "experiment-backplane"


def _place(version: str) -> Path:
    return _cache() / f"kafka-{version}"


@contextmanager
def _alone(version: str) -> Iterator[None]:
    _cache().mkdir(parents=True, exist_ok=True)
    with (_cache() / f"kafka-{version}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(version: str, maven: str) -> None:
    """Fetch into a directory beside the final one and rename it: the final name never holds half of the jars."""
    for left_over in _cache().glob(f".kafka-{version}-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".kafka-{version}-", dir=_cache()))
    try:
        (fresh / "pom.xml").write_text(_pom(version), encoding="utf-8")
        _copy_dependencies(maven, fresh)
        shutil.rmtree(_place(version), ignore_errors=True)
        fresh.rename(_place(version))
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _copy_dependencies(maven: str, directory: Path) -> None:
    command = [maven, "-q", "-B", "-f", str(directory / "pom.xml"), "dependency:copy-dependencies"]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={directory / 'libs'}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise ServerUnavailableError(
            f"Maven did not fetch Kafka within {FETCH_SECONDS} s: is there a network?"
        ) from None
    if done.returncode:
        said = next((line for line in done.stdout.splitlines() if "ERROR" in line), "it gave no reason")
        raise ServerUnavailableError(f"Maven could not fetch Kafka: {said}")


def _pom(version: str) -> str:
    kafka = (f"org.apache.kafka:kafka_2.13:{version}", f"org.apache.kafka:kafka-tools:{version}")
    logging = LOGGING_4 if major(version) >= 4 else LOGGING_3
    dependencies = "".join(_dependency(coordinates) for coordinates in (*kafka, *logging))
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0">\n  <modelVersion>4.0.0</modelVersion>\n'
        "  <groupId>experiment-backplane</groupId>\n  <artifactId>test-kafka</artifactId>\n  <version>1</version>\n"
        f"  <dependencies>\n{dependencies}  </dependencies>\n</project>\n"
    )


def _dependency(coordinates: str) -> str:
    group, artifact, version = coordinates.split(":")
    return (
        f"    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{version}</version></dependency>\n"
    )
