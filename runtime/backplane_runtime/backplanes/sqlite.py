"""Events in an SQLite file: the embedded default, durable without a server.

A batch is one transaction, synced before it is acknowledged. Write-ahead logging and a busy time-out let several
processes publish to one file; a writer that has waited too long tries again later.

No connection may be open while the process forks (https://www.sqlite.org/howtocorrupt.html, 2.6): the child's SQLite takes
the locks of the copied one for its own, and what it commits is lost when the parent, which sees no other user, removes the
write-ahead log. So every connection is closed before a fork, and opened again with the next batch.
"""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from backplane_runtime import native
from backplane_runtime.backplanes.api import BackplaneHealth, Rejected, UnavailableError, Verdict, resolved
from backplane_runtime.backplanes.rows import COLUMNS, row
from backplane_runtime.envelope import Record
from backplane_runtime.event_table import TableOptions, create_statements, event_table, qualified_name, quoted
from backplane_runtime.settings import Sqlite

BUSY_SECONDS = 5.0  # how long a writer waits for another one before it tries again later
FORK_SECONDS = 1.0  # how long a fork waits for a batch that is being written

Identity = tuple[int, int]  # device and inode

_RESTART = "its events wait for a restart, because SQLite is not safe then"
_users: weakref.WeakSet[SqliteBackplane] = weakref.WeakSet()
_resting: list[Any] = []  # locks that the forking thread holds
_at_work: set[Identity] = set()  # files that could not be closed for the fork that happens now
_inherited: set[Identity] = set()  # the same, of forks that this process comes from


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
        self._file: Identity | None = None  # what the connection writes to
        self._using, self._asking = native.RLock(), native.RLock()  # held while there is a connection at work
        _users.add(self)

    def start(self) -> None:
        """Open the file, and create the table where `autoMigrate` says so."""
        with self._using:
            self._start()

    def _start(self) -> None:
        self._path = resolved(self._settings).path
        if _identity(self._path) in _inherited:
            raise UnavailableError(f"{self._settings.path}: was written to while this process was forked; {_RESTART}")
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

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        """Insert *batch* in one transaction."""
        with self._using:
            return self._send(batch)

    def _send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        if self._connection is not None and self._is_gone():
            self.close(0)
        if self._connection is None:
            self.start()
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
            self.close(0)
            raise self._unavailable(error) from error
        if self._is_gone():
            raise UnavailableError(f"{self._settings.path}: was deleted or replaced while it was written to")
        return verdicts

    def health(self, timeout: float) -> BackplaneHealth:
        """Open the file once more and count the table's columns; creates nothing."""
        with self._asking:
            return self._health(timeout)

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

    def close(self, timeout: float) -> None:  # noqa: ARG002 - the contract's signature
        """Close the file."""
        with self._using:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def rest(self, until: float) -> list[Any]:
        """Have no connection, and return the locks that keep it so; fewer than two if that could not be had *until* then."""
        held = [one for one in (self._using, self._asking) if one.acquire(timeout=max(0.0, until - time.monotonic()))]
        if self._using in held:
            self.close(0)
        return held

    @property
    def file(self) -> Identity | None:
        """Return what it writes to, or did."""
        return self._file

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


def _identity(path: str) -> Identity | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _connect(path: str, timeout: float) -> sqlite3.Connection:
    # Transactions are begun by hand; and the contract, not sqlite3, keeps threads apart: tests close from another one.
    return sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)


def _before_fork() -> None:
    until = time.monotonic() + FORK_SECONDS
    for user in list(_users):
        held = user.rest(until)
        _resting.extend(held)
        if len(held) < 2 and user.file is not None:  # noqa: PLR2004 - both of its locks
            _at_work.add(user.file)


def _after_fork_in_parent() -> None:
    _at_work.clear()
    while _resting:
        _resting.pop().release()


def _after_fork_in_child() -> None:
    _inherited.update(_at_work)
    _after_fork_in_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
