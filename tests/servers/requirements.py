"""What this machine must have for a server to run, each lack said in one line with the command that ends it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.servers.errors import ServerUnavailableError

INSTALL_JAVA = "Debian, Ubuntu: apt-get install default-jre-headless; macOS: brew install openjdk@17"
INSTALL_MAVEN = "Debian, Ubuntu: apt-get install maven; macOS: brew install maven"
INSTALL_OPENSSL = "Debian, Ubuntu: apt-get install openssl; macOS: brew install openssl"
INSTALL_POSTGRESQL = "Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql"
POSTGRESQL_PLACES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # Red Hat
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)


def java(*, at_least: int) -> str:
    """Return a Java of at least this major version, from JAVA_HOME or else from PATH."""
    home = os.environ.get("JAVA_HOME")
    command = str(Path(home, "bin", "java")) if home else shutil.which("java")
    found = _java_version(command) if command else None
    if command is None or found is None or found < at_least:
        has = "there is none" if found is None else f"{command} is {found}"
        raise ServerUnavailableError(f"Kafka tests need Java {at_least} or newer, {has} ({INSTALL_JAVA})")
    return command


def _java_version(command: str) -> int | None:
    """Run it: on macOS `/usr/bin/java` exists even where no Java does."""
    try:
        done = subprocess.run([command, "-version"], capture_output=True, text=True, check=False, timeout=30)
    except OSError:
        return None
    version = re.search(r'version "(?:1\.)?(\d+)', done.stderr)
    return int(version[1]) if version else None


def maven() -> str:
    """Return the Maven command, which fetches Kafka's jars."""
    command = shutil.which("mvn")
    if command is None:
        raise ServerUnavailableError(f"Kafka tests need Maven, once, to fetch Kafka ({INSTALL_MAVEN})")
    return command


def openssl() -> str:
    """Return the OpenSSL command, which makes keys and certificates."""
    command = shutil.which("openssl")
    if command is None:
        raise ServerUnavailableError(f"tests of TLS need OpenSSL ({INSTALL_OPENSSL})")
    return command


def postgresql_programs() -> Path:
    """Return the directory that holds `initdb`, `postgres` and `psql` of one PostgreSQL, the newest one."""
    on_path = shutil.which("initdb")
    places = [Path(on_path).resolve().parent] if on_path else []
    for pattern in POSTGRESQL_PLACES:
        places += sorted(Path("/").glob(pattern.lstrip("/")), key=_version_in, reverse=True)
    for place in places:
        if all((place / program).exists() for program in ("initdb", "postgres", "psql")):
            return place
    raise ServerUnavailableError(f"PostgreSQL tests need a PostgreSQL server ({INSTALL_POSTGRESQL})")


def _version_in(place: Path) -> int:
    numbers = re.findall(r"\d+", str(place))
    return int(numbers[-1]) if numbers else 0
