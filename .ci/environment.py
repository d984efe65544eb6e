"""Make `.venv` hold what one of the make targets needs, and do nothing when it already does.

Usage: `python .ci/environment.py demo|demo-kafka|test|lint|bench`. Standard library only: it runs before anything is installed.
Uses uv when it is there, else venv and pip. Safe to run twice at once and safe to kill: a lock file beside the environment
says whether the last run finished, and an unfinished environment is thrown away and made again.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
LOCK = ROOT / ".venv.lock"
UNFINISHED = "unfinished"


@dataclass(frozen=True)
class PackageSet:
    """What one make target installs: extras of the project and groups of pyproject.toml."""

    extras: tuple[str, ...]
    groups: tuple[str, ...] = ()

    def holds(self, other: "PackageSet") -> bool:
        """Tell whether installing this set installs the other one too."""
        return set(other.extras) <= set(self.extras) and set(other.groups) <= set(self.groups)


TESTED = ("compiler", "kafka", "postgresql", "opentelemetry")

SETS = {
    "demo": PackageSet(extras=("compiler",)),
    "demo-kafka": PackageSet(extras=("compiler", "kafka")),
    "test": PackageSet(extras=TESTED, groups=("test",)),
    # mypy reads the types of everything that the code and the tests import, but the peers: they are measured, not used.
    "lint": PackageSet(extras=TESTED, groups=("test", "lint")),
    "bench": PackageSet(extras=("compiler", "opentelemetry"), groups=("bench",)),
}


def main(arguments: list[str]) -> int:
    """Bring the environment to the named set; return a process exit code."""
    if len(arguments) != 1 or arguments[0] not in SETS:
        return _complain(f"usage: environment.py {'|'.join(SETS)}")
    with _alone() as lock:
        try:
            _ensure(arguments[0], lock)
        except subprocess.CalledProcessError as error:
            return _complain(f"could not install the packages (exit {error.returncode}); what failed is above")
        except EnvironmentNotMadeError as error:
            return _complain(str(error))
    return 0


class EnvironmentNotMadeError(Exception):
    """Raised when there is no way to make a virtual environment here; the text says what to install."""


@contextmanager
def _alone() -> Iterator[IO[str]]:
    """Hold the lock file, so that two runs of make in one tree take turns."""
    with LOCK.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("waiting for another make that is changing .venv")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def _ensure(name: str, lock: IO[str]) -> None:
    wanted = _fingerprint(name)
    lock.seek(0)
    usable = lock.read() != UNFINISHED and _usable()
    if usable and _stamp(name).is_file() and _stamp(name).read_text(encoding="utf-8") == wanted:
        return
    _mark(lock, UNFINISHED)
    if not usable:
        _create()
    _install(name)
    for each, packages in SETS.items():
        if SETS[name].holds(packages):
            _stamp(each).write_text(_fingerprint(each), encoding="utf-8")
    _mark(lock, "")


def _mark(lock: IO[str], state: str) -> None:
    lock.seek(0)
    lock.truncate()
    lock.write(state)
    lock.flush()


def _stamp(name: str) -> Path:
    return ENVIRONMENT / f"installed-{name}"


def _fingerprint(name: str) -> str:
    """What the stamp of a set must say: it changes with pyproject.toml and with this file."""
    content = (ROOT / "pyproject.toml").read_bytes() + Path(__file__).read_bytes()
    return f"{name} {hashlib.sha256(content).hexdigest()} {ROOT}\n"


def _usable() -> bool:
    """Tell whether the environment runs, can be installed into, and has the Python that was asked for."""
    probe = "import sys; print('%d.%d' % sys.version_info[:2])" + ("" if shutil.which("uv") else "; import pip")
    try:
        done = subprocess.run([_python(), "-c", probe], capture_output=True, text=True, check=False)
    except OSError:
        return False
    same = done.stdout.strip() == f"{sys.version_info.major}.{sys.version_info.minor}"
    # Only a Python that somebody chose replaces an environment that works.
    return done.returncode == 0 and (same or not os.environ.get("PYTHON"))


def _python() -> str:
    return str(ENVIRONMENT / "bin" / "python")


def _create() -> None:
    _say(f"making .venv with Python {sys.version.split()[0]}")
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    if uv := shutil.which("uv"):
        # With a pip of its own: a missing client is answered with a `pip install`, which must not reach another Python.
        _run(uv, "venv", "--quiet", "--seed", "--python", sys.executable, str(ENVIRONMENT))
        return
    done = subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], capture_output=True, text=True, check=False)
    if done.returncode:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise EnvironmentNotMadeError(
            f"{sys.executable} cannot make a virtual environment. Install uv, or the venv module of this Python "
            f"(Debian, Ubuntu: apt-get install python{version}-venv)."
        )


def _install(name: str) -> None:
    chosen = SETS[name]
    parts = ", ".join((*(f"[{extra}]" for extra in chosen.extras), *chosen.groups))
    _say(f"installing the project with {parts}")
    started = time.monotonic()
    project = f"{ROOT}[{','.join(chosen.extras)}]"
    _run(*_installer(), "--editable", project, *_group_requirements(chosen.groups))
    _say(f"installed in {time.monotonic() - started:.0f} s")


def _installer() -> tuple[str, ...]:
    if uv := shutil.which("uv"):
        return (uv, "pip", "install", "--quiet", "--python", _python())
    return (_python(), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input")


def _group_requirements(groups: tuple[str, ...]) -> list[str]:
    """Read dependency groups here, because the pip of an older Python knows no `--group`."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [requirement for group in groups for requirement in document["dependency-groups"][group]]


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _say(text: str) -> None:
    print(f"· {text}", file=sys.stderr, flush=True)


def _complain(text: str) -> int:
    print(f"error: {text}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
