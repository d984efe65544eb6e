"""PostgreSQL for tests: a cluster of its own from the operating system's programs, never the system's."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers import requirements
from tests.servers.errors import ServerFailedError
from tests.servers.guard import Launch
from tests.servers.ports import with_free_ports
from tests.servers.process import GuardedServer
from tests.servers.run_directory import run_directory

USER = "backplane"
NAME = "postgresql"
SECONDS = 60
STARTUP_VERSION = 3 << 16
# The data is thrown away, so nothing is worth waiting for the disk.
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=100", "shared_buffers=32MB")


@dataclass
class PostgreSQLServer:
    """A running server with password authentication; the password is random and worth looking for in output."""

    programs: Path
    directory: Path
    """The run's directory: `postgresql.log` is in it."""
    port: int
    password: str = field(repr=False)
    _launch: Launch = field(repr=False)
    _server: GuardedServer = field(repr=False)

    @property
    def url(self) -> str:
        """The address of the database that is always there."""
        return self.url_of("postgres")

    @property
    def pid(self) -> int:
        """The process id of the server, for tests that pause or kill it themselves."""
        return self._server.pid

    def url_of(self, database: str) -> str:
        """Return the address of a database: `postgresql://user:password@127.0.0.1:port/database`."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def fresh_database(self) -> Iterator[str]:
        """Yield the address of a new, empty database; it is dropped afterwards, even while somebody is connected."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            yield self.url_of(name)
        finally:
            if self._server.running:
                self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str) -> str:
        """Run one statement as superuser through `psql` and return what it prints, one line a row."""
        command = [str(self.programs / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement]
        connection = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": USER, "PGPASSWORD": self.password}
        done = subprocess.run(
            command,
            env=_without_libpq(os.environ) | connection | {"PGDATABASE": "postgres"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode:
            raise ServerFailedError(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def crash(self) -> None:
        """End the server at once, as a crash does: nobody is told good-bye, and the next start recovers."""
        self._server.stop(signal.SIGQUIT)

    def start_again(self) -> None:
        """Start the server that has ended, on its old port with its old data; return when it answers."""
        self._server = _running(self._launch, self.directory / NAME / f".s.PGSQL.{self.port}")

    def stop(self) -> None:
        """End the server, connections and all; harmless when it has ended. Its data goes with the run's directory."""
        self._server.stop(signal.SIGINT)


@contextmanager
def running_postgresql() -> Iterator[PostgreSQLServer]:
    """Yield a running server; end it and remove its data afterwards.

    Raises:
        ServerUnavailableError: PostgreSQL's server programs are not installed.
        ServerFailedError: The server does not start.
    """
    programs = requirements.postgresql_programs()
    with run_directory() as directory:
        password = f"pw-{secrets.token_urlsafe(12)}"
        cluster = _Cluster(programs, directory, password)
        cluster.initialise()
        server = with_free_ports(1, lambda ports: cluster.start(ports[0]))
        try:
            yield server
        finally:
            server.stop()


@dataclass(frozen=True)
class _Cluster:
    """The files of one PostgreSQL cluster, and how to start it."""

    programs: Path
    directory: Path
    password: str

    @property
    def home(self) -> Path:
        return self.directory / NAME

    def initialise(self) -> None:
        """Create the cluster. PostgreSQL refuses to run as root: then its files and processes get another user."""
        user = _unprivileged_user()
        self.home.mkdir(mode=0o700)
        password_file = self.home / "password"
        password_file.write_text(self.password, encoding="utf-8")
        if user is not None:
            shutil.chown(self.home, user)
            shutil.chown(password_file, user)
        self._initdb(password_file, user)

    def _initdb(self, password_file: Path, user: str | None) -> None:
        command = [str(self.programs / "initdb"), "--no-sync", f"--username={USER}", f"--pwfile={password_file}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", f"--pgdata={self.home / 'data'}"]
        done = subprocess.run(
            command,
            user=user,
            group=None if user is None else pwd.getpwnam(user).pw_gid,
            extra_groups=None if user is None else [],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode:
            raise ServerFailedError(f"initdb: {done.stderr.strip()}")

    def start(self, port: int) -> PostgreSQLServer:
        """Start the server on this port and return when it answers."""
        settings = (f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.home}", *QUICK)
        command = [str(self.programs / "postgres"), "-D", str(self.home / "data")]
        command += [part for setting in settings for part in ("-c", setting)]
        # SIGQUIT, not SIGKILL: the server then takes its processes and its shared memory along.
        launch = Launch(command, str(self.directory), NAME, user=_unprivileged_user(), last_signal=signal.SIGQUIT)
        server = _running(launch, self.home / f".s.PGSQL.{port}")
        return PostgreSQLServer(self.programs, self.directory, port, self.password, launch, server)


def _running(launch: Launch, own_socket: Path) -> GuardedServer:
    server = GuardedServer(launch)
    try:
        server.wait_until(lambda: _answers(own_socket))
    except BaseException:
        server.stop(signal.SIGQUIT)
        raise
    return server


def _unprivileged_user() -> str | None:
    """Return whom to run the server as: nobody in particular, except as root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _answers(own_socket: Path) -> bool:
    """Tell whether the server takes connections: it then asks for the password (R), and before that says an error (E).

    It is asked through its socket in the file system, which it opens after its port: on the port somebody else may answer.
    """
    parameters = f"user\0{USER}\0database\0postgres\0\0".encode()
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(str(own_socket))
            connection.sendall(struct.pack(">ii", 8 + len(parameters), STARTUP_VERSION) + parameters)
            return connection.recv(1) == b"R"
    except OSError:
        return False


def _without_libpq(environment: "os._Environ[str]") -> dict[str, str]:
    """Leave out what would point `psql` to another server."""
    return {key: value for key, value in environment.items() if not key.startswith("PG")}
