"""Events in an SQLite file: the embedded default, durable without a server.

A batch is one transaction, synced before it is acknowledged. Write-ahead logging and a busy time-out let several
processes publish to one file; a writer that has waited too long tries again later. No connection is open when the process
forks (`fork_gate`).
"""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import msgspec

from backplane_runtime.backplanes.api import BackplaneHealth, Rejected, UnavailableError, Verdict, resolved
from backplane_runtime.backplanes.fork_gate import ForkGate
from backplane_runtime.backplanes.inherited import disown_in_children
from backplane_runtime.backplanes.rows import COLUMNS, each_alone, row
from backplane_runtime.backplanes.sqlite_table import find_table, table_check
from backplane_runtime.backplanes.table_check import FoundTable, table_health, table_problem
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
        self._check = table_check(self._table)
        self._connection: sqlite3.Connection | None = None
        self._path = ""
        self._file: tuple[int, int] | None = None  # device and inode of what the connection writes to
        disown_in_children(self)
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
        """Open the file once more and look at the table, and whether one may write; creates nothing."""
        with _gate.passing():
            return self._health(timeout)

    def close(self, timeout: float) -> None:  # noqa: ARG002 - the contract's signature
        """Close the file."""
        with _gate.passing():
            self.let_go()

    def let_go(self) -> None:
        """Close the file; the next `send` opens it again."""
        connection = self.disown()
        if connection is not None:
            connection.close()

    def _open(self) -> None:
        self._refuse_torn()
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
        except UnavailableError:
            connection.close()
            raise
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
                verdicts = each_alone(partial(self._insert_one, connection), batch, sqlite3.Error)
        except sqlite3.Error as error:
            reason = self._why(connection, error)
            self.let_go()
            raise reason from error
        if self._is_gone():
            raise UnavailableError(f"{self._settings.path}: was deleted or replaced while it was written to")
        return verdicts

    def _health(self, timeout: float) -> BackplaneHealth:
        try:
            self._refuse_torn()
            path = Path(resolved(self._settings).path)
            if not path.parent.exists():
                return BackplaneHealth(healthy=False, message=f"there is no directory {path.parent}; make it first")
            if not path.exists() and self._settings.auto_migrate:
                return _health_of_folder(path)
            with closing(
                sqlite3.connect(_to_write(path), timeout=timeout, uri=True, isolation_level=None)
            ) as connection:
                found = find_table(connection, self._table.name)
                _try_to_write(connection)
        except (sqlite3.Error, UnavailableError) as error:
            return BackplaneHealth(healthy=False, message=f"{self._settings.path}: {_said(error)}")
        except OSError as error:  # a name that is too long, a circle of links, a folder that one may not enter
            return BackplaneHealth(healthy=False, message=f"{self._settings.path}: {error.strerror}")
        problem = self._problem(found)
        if problem is not None and not (found is None and self._settings.auto_migrate):
            return BackplaneHealth(healthy=False, message=problem)
        unknown = [] if found is None else self._check.unknown(found)
        answer = table_health(self._table.name, unknown, {"path": str(path)})
        return msgspec.structs.replace(answer, message=f"{path}: {answer.message}")

    def disown(self) -> sqlite3.Connection | None:
        """Forget the connection."""
        connection, self._connection = self._connection, None
        return connection

    def _refuse_torn(self) -> None:
        if _gate.is_torn:
            raise UnavailableError(
                "this process was forked while SQLite was at work, so it must not use it; its events wait for another process"
            )

    def _problem(self, found: FoundTable | None) -> str | None:
        """Return why the table cannot take our rows, if it cannot."""
        if found is None:
            return self._no_table()
        problems = self._check.problems(found)
        return f"{self._settings.path}: {table_problem(f'`{self._table.name}`', problems)}" if problems else None

    def _is_gone(self) -> bool:
        # SQLite goes on writing to a file that was deleted or replaced, and says nothing: the events would be nowhere.
        return _identity(self._path) != self._file

    def _prepare(self, connection: sqlite3.Connection) -> None:
        found = find_table(connection, self._table.name)
        if found is None and self._settings.auto_migrate:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                for statement in create_statements(self._table):
                    connection.execute(statement)
            found = find_table(connection, self._table.name)
        if problem := self._problem(found):
            raise UnavailableError(problem)
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = FULL")  # an acknowledged event survives a power loss

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

    def _why(self, connection: sqlite3.Connection, error: sqlite3.Error) -> UnavailableError:
        """Return the reason for *error*: the table's, where it has changed under us, else SQLite's own words."""
        try:
            problem = self._problem(find_table(connection, self._table.name))
        except sqlite3.Error:
            problem = None  # the first error says more
        return self._unavailable(error) if problem is None else UnavailableError(problem)

    def _unavailable(self, error: sqlite3.Error) -> UnavailableError:
        return UnavailableError(f"{self._settings.path}: {_said(error)}")

    def _no_table(self) -> str:
        return (
            f"{self._settings.path}: no table `{self._table.name}`; run `backplane apply`, or set `autoMigrate: true`"
        )


def _is_of_one(error: sqlite3.Error) -> bool:
    # One event alone can be too large, or be there already; other constraints are the table's, and somebody may mend them.
    return isinstance(error, sqlite3.DataError) or error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_UNIQUE


def _write_ahead(connection: sqlite3.Connection) -> None:
    # Only the first process changes the file, and only here SQLite does not wait for another one that does the same.
    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return  # where the file system has no shared memory, SQLite keeps to its older way


def _health_of_folder(path: Path) -> BackplaneHealth:
    if not os.access(path.parent, os.W_OK):
        return BackplaneHealth(
            healthy=False, message=f"{path} cannot be made: {path.parent} is not writable by this user"
        )
    return BackplaneHealth(healthy=True, message=f"{path} will be created with the first event")


def _try_to_write(connection: sqlite3.Connection) -> None:
    # In a transaction that leaves nothing behind; without a statement that writes, a read-only file would let it begin.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute('CREATE TABLE "experiment-backplane health" (x)')
    connection.execute("ROLLBACK")


def _to_write(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=rw"


def _said(error: Exception) -> str:
    text = str(error)
    if "readonly" in text:
        return f"{text}: make the file and its folder writable by this user"
    return f"{text}: another process is writing for long" if "database is locked" in text else text


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
