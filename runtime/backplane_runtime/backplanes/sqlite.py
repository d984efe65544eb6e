"""Events in an SQLite file: the embedded default, durable without a server.

A batch is one transaction, synced before it is acknowledged. Write-ahead logging and a busy time-out let several
processes publish to one file; a writer that has waited too long tries again later.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from backplane_runtime.backplanes.api import BackplaneHealth, Rejected, UnavailableError, Verdict, resolved
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

    def start(self) -> None:
        """Open the file, and create the table where `autoMigrate` says so."""
        try:
            connection = _connect(resolved(self._settings).path, BUSY_SECONDS)
        except sqlite3.Error as error:
            raise self._unavailable(error) from error
        try:
            self._prepare(connection)
        except sqlite3.Error as error:
            connection.close()
            raise self._unavailable(error) from error
        self._connection = connection

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        """Insert *batch* in one transaction."""
        if self._connection is None:
            self.start()
        connection = self._connection
        if connection is None:
            raise UnavailableError("not connected")
        try:
            return self._insert_all(connection, batch)
        except sqlite3.Error as error:
            self.close(0)
            raise self._unavailable(error) from error

    def health(self, timeout: float) -> BackplaneHealth:
        """Open the file once more and count the table's columns; creates nothing."""
        try:
            path = Path(resolved(self._settings).path)
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
        if not found and not self._settings.auto_migrate:
            return BackplaneHealth(healthy=False, message=self._no_table())
        return BackplaneHealth(healthy=True, message=f"{path}: table {self._table.name}", details={"path": str(path)})

    def close(self, timeout: float) -> None:  # noqa: ARG002 - the contract's signature
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

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

    def _unavailable(self, error: sqlite3.Error) -> UnavailableError:
        text = self._no_table() if "no such table" in str(error) else f"{self._settings.path}: {error}"
        return UnavailableError(text)

    def _no_table(self) -> str:
        return (
            f"{self._settings.path}: no table `{self._table.name}`; run `backplane apply`, or set `autoMigrate: true`"
        )


def _connect(path: str, timeout: float) -> sqlite3.Connection:
    # Transactions are begun by hand; and the contract, not sqlite3, keeps threads apart: tests close from another one.
    return sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
