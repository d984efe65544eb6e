"""Events in an SQLite file: the embedded default, durable without a server.

A batch is one transaction, synced before it is acknowledged. Write-ahead logging and a busy time-out let several
processes publish to one file; a writer that has waited too long tries again later. No connection is open when the process
forks (`fork_gate`).
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from backplane_runtime.backplanes.api import BackplaneHealth, Rejected, UnavailableError, Verdict, resolved
from backplane_runtime.backplanes.fork_gate import ForkGate
from backplane_runtime.backplanes.rows import COLUMNS, row
from backplane_runtime.envelope import Record
from backplane_runtime.event_table import TableOptions, create_statements, event_table, qualified_name, quoted
from backplane_runtime.settings import Sqlite

BUSY_SECONDS = 5.0  # how long a writer waits for another one before it tries again later


class SqliteBackplane:
    """Inserts events into one table of one file."""

    def __init__(self, settings: Sqlite) -> None:
        self._settings = settings
        self._table = event_table(
            "sqlite", TableOptions(schema=None, name=settings.table_name, idempotent=settings.enable_idempotency)
        )
        columns, marks = ", ".join(map(quoted, COLUMNS)), ", ".join("?" * len(COLUMNS))
        conflict = ' ON CONFLICT ("EventId") DO NOTHING' if settings.enable_idempotency else ""
        self._insert = f"INSERT INTO {qualified_name(self._table)} ({columns}) VALUES ({marks}){conflict}"  # noqa: S608 - quoted
        self._connection: sqlite3.Connection | None = None
        self._path = ""
        self._file: tuple[int, int] | None = None  # device and inode of what the connection writes to
        _members.add(self)

    def start(self) -> None:
        """Open the file, and create the table where `autoMigrate` says so."""
        with _gate.passing():
            self._open()

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        """Insert *batch* in one transaction."""
        with _gate.passing():
            return self._send(batch)

    def health(self, timeout: float) -> BackplaneHealth:
        """Open the file once more and count the table's columns; creates nothing."""
        with _gate.passing():
            return self._health(timeout)

    def close(self, timeout: float) -> None:  # noqa: ARG002 - the contract's signature
        """Close the file."""
        with _gate.passing():
            self.let_go()

    def let_go(self) -> None:
        """Close the file; the next `send` opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> None:
        if _gate.is_torn:
            raise UnavailableError(
                f"{self._settings.path}: this process was forked while SQLite was at work, so it must not use it; "
                "its events wait for another process"
            )
        self._path = resolved(self._settings).path
        try:
            connection = _connect(self._path, BUSY_SECONDS)
        except sqlite3.Error as error:
            raise self._unavailable(error) from error
        try:
            self._prepare(connection)
        except sqlite3.Error as error:
            connection.close()
            raise self._unavailable(error) from error
        self._connection, self._file = connection, _identity(self._path)

    def _send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        if self._connection is not None and self._is_gone():
            self.let_go()
        if self._connection is None:
            self._open()
        connection = self._connection
        if connection is None:
            raise UnavailableError("not connected")
        try:
            try:
                verdicts = self._insert_all(connection, batch)
            except (sqlite3.DataError, sqlite3.IntegrityError) as error:
                if not _is_of_one(error):
                    raise
                verdicts = [self._insert_one(connection, record) for record in batch]
        except sqlite3.Error as error:
            self.let_go()
            raise self._unavailable(error) from error
        if self._is_gone():
            raise UnavailableError(f"{self._settings.path}: was deleted or replaced while it was written to")
        return verdicts

    def _health(self, timeout: float) -> BackplaneHealth:
        try:
            path = Path(resolved(self._settings).path)
            if not path.parent.exists():
                return BackplaneHealth(healthy=False, message=f"there is no directory {path.parent}; make it first")
            if not path.exists() and self._settings.auto_migrate:
                return BackplaneHealth(healthy=True, message=f"{path} will be created with the first event")
            with closing(
                sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", timeout=timeout, uri=True)
            ) as connection:
                found = connection.execute("SELECT count(*) FROM pragma_table_info(?)", (self._table.name,)).fetchone()[
                    0
                ]
        except (sqlite3.Error, UnavailableError) as error:
            return BackplaneHealth(healthy=False, message=f"{self._settings.path}: {error}")
        except OSError as error:  # a name that is too long, a circle of links, a folder that one may not enter
            return BackplaneHealth(healthy=False, message=f"{self._settings.path}: {error.strerror}")
        if not found and not self._settings.auto_migrate:
            return BackplaneHealth(healthy=False, message=self._no_table())
        return BackplaneHealth(healthy=True, message=f"{path}: table {self._table.name}", details={"path": str(path)})

    def _is_gone(self) -> bool:
        # SQLite goes on writing to a file that was deleted or replaced, and says nothing: the events would be nowhere.
        return _identity(self._path) != self._file

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # an acknowledged event survives a power loss
        if self._settings.auto_migrate:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                for statement in create_statements(self._table):
                    connection.execute(statement)

    def _insert_all(self, connection: sqlite3.Connection, batch: Sequence[Record]) -> list[Verdict | Rejected]:
        with connection:  # commits, or rolls back what failed
            connection.execute("BEGIN IMMEDIATE")
            # One by one costs little in a transaction, and tells which of them were there already.
            inserted = [connection.execute(self._insert, row(record)).rowcount for record in batch]
        return [Verdict.ACKNOWLEDGED if count else Verdict.DUPLICATE for count in inserted]

    def _insert_one(self, connection: sqlite3.Connection, record: Record) -> Verdict | Rejected:
        try:
            return self._insert_all(connection, [record])[0]
        except sqlite3.DataError as error:
            return Rejected(str(error))
        except sqlite3.IntegrityError:  # a table with unique ids, though `enableIdempotency` is off
            query = f'SELECT 1 FROM {qualified_name(self._table)} WHERE "EventId" = ?'  # noqa: S608 - the name is quoted
            if connection.execute(query, (record.event_id,)).fetchone():
                return Verdict.DUPLICATE
            raise

    def _unavailable(self, error: sqlite3.Error) -> UnavailableError:
        text = self._no_table() if "no such table" in str(error) else f"{self._settings.path}: {error}"
        return UnavailableError(text)

    def _no_table(self) -> str:
        return (
            f"{self._settings.path}: no table `{self._table.name}`; run `backplane apply`, or set `autoMigrate: true`"
        )


def _is_of_one(error: sqlite3.Error) -> bool:
    # One event alone can be too large, or be there already; other constraints are the table's, and somebody may mend them.
    return isinstance(error, sqlite3.DataError) or error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_UNIQUE


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _let_all_go() -> None:
    for member in list(_members):
        member.let_go()


def _connect(path: str, timeout: float) -> sqlite3.Connection:
    # Transactions are begun by hand; and the contract, not sqlite3, keeps threads apart: tests close from another one.
    return sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)


_members: weakref.WeakSet[SqliteBackplane] = weakref.WeakSet()
_gate = ForkGate(_let_all_go)
