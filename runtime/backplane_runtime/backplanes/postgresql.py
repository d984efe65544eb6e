"""Events in a PostgreSQL table, through psycopg 3.

A batch is one statement in one transaction. After a lost connection nobody knows whether it was committed, so it is sent
again, and the unique event id keeps what is there already from being stored twice.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import partial
from typing import Any, cast

import psycopg
from psycopg import conninfo, errors

from backplane_runtime.backplanes.api import BackplaneHealth, Rejected, UnavailableError, Verdict, resolved, scrubbed
from backplane_runtime.backplanes.inherited import disown_in_children
from backplane_runtime.backplanes.postgresql_table import find_table, table_check
from backplane_runtime.backplanes.rows import COLUMNS, each_alone, row
from backplane_runtime.backplanes.table_check import FoundTable, table_health, table_problem
from backplane_runtime.envelope import Record
from backplane_runtime.event_table import (
    TableOptions,
    column_name,
    create_statements,
    event_table,
    qualified_name,
    quoted,
)
from backplane_runtime.settings import PostgreSql

CONNECT_SECONDS = 5
GRACE_SECONDS = 2.0  # after `commandTimeoutSeconds`, for the server to say that it has ended the statement
# A server that vanished without a word (its host died, a cable was pulled) is given up after seconds, not a quarter of an hour.
_CONNECTION: dict[str, Any] = {
    "application_name": "experiment-backplane",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}
_TYPES = ("text", "timestamptz", "text", "text", "text", "text", "text")  # of `COLUMNS`


# What one event alone can cause; a row of an index has a limit (correlation ids), and a message has one of 1 GB.
_POISON = (errors.DataError, errors.ProgramLimitExceeded)
_OF_TABLE = (psycopg.ProgrammingError, errors.NotNullViolation)
_MAYBE_ONE = (*_POISON, errors.UniqueViolation)


class PostgreSqlBackplane:
    """Inserts events into one table of one database."""

    def __init__(self, settings: PostgreSql) -> None:
        self._settings = settings
        options = TableOptions(schema=settings.schema, name=settings.table_name, idempotent=settings.enable_idempotency)
        self._table = event_table("postgresql", options)
        self._insert = self._insert_statement()
        self._check = table_check(self._table)
        self._connection: psycopg.Connection | None = None
        disown_in_children(self)

    def start(self) -> None:
        """Connect, create the table where `autoMigrate` says so, and see whether it takes our rows."""
        connection = self._connect(CONNECT_SECONDS)
        try:
            with self._watched(connection):
                found = find_table(connection, self._table)
                if found is None and self._settings.auto_migrate:  # one who may only insert need not be able to create
                    self._migrate(connection)
                    found = find_table(connection, self._table)
                if problem := self._problem(found):
                    raise UnavailableError(problem)  # noqa: TRY301 - closed below, as after any other fault
        except psycopg.Error as error:
            connection.close()
            raise self._unavailable(error) from error
        except UnavailableError:
            connection.close()
            raise
        self._connection = connection

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        """Insert *batch* in one transaction; where an event in it cannot be stored, each in one of its own."""
        if self._connection is None or self._connection.closed:
            self.start()
        connection = self._connection
        if connection is None:
            raise UnavailableError("not connected")
        try:
            with self._watched(connection):
                try:
                    return self._insert_all(connection, batch)
                except _MAYBE_ONE:
                    return each_alone(partial(self._insert_one, connection), batch, psycopg.Error)
        except psycopg.Error as error:
            reason = self._why(connection, error)
            self.close(0)
            raise reason from error

    def health(self, timeout: float) -> BackplaneHealth:
        """Connect once more and look at the table, and at what we may do with it; creates nothing."""
        started = time.monotonic()
        try:
            with closing(self._connect(max(2, int(timeout)))) as connection:  # libpq waits at least 2 s
                left = max(0.1, timeout - (time.monotonic() - started))
                with _deadline(connection, left):
                    found = find_table(connection, self._table)
        except (psycopg.Error, UnavailableError) as error:
            return BackplaneHealth(healthy=False, message=str(self._unavailable(error)))
        problem = self._problem(found)
        if found is None and self._settings.auto_migrate:
            return BackplaneHealth(healthy=True, message=f"table {self._title} will be created with the first event")
        if found is None or problem is not None:
            return BackplaneHealth(healthy=False, message=problem or self._no_table())
        return table_health(self._title, self._check.unknown(found))

    def close(self, timeout: float) -> None:  # noqa: ARG002 - libpq closes at once
        """Close the connection."""
        connection = self.disown()
        if connection is not None:
            connection.close()

    def disown(self) -> psycopg.Connection | None:
        """Forget the connection."""
        connection, self._connection = self._connection, None
        return connection

    @property
    def _title(self) -> str:
        return qualified_name(self._table)

    def _problem(self, found: FoundTable | None) -> str | None:
        """Return why the table cannot take our rows, if it cannot."""
        if found is None:
            return self._no_table()
        problems = self._check.problems(found)
        return table_problem(self._title, problems) if problems else None

    def _why(self, connection: psycopg.Connection, error: psycopg.Error) -> UnavailableError:
        """Return the reason for *error*: the table's, where it has changed under us, else the server's own words."""
        if isinstance(error, _OF_TABLE) and not connection.closed:
            try:
                with _deadline(connection, CONNECT_SECONDS):
                    problem = self._problem(find_table(connection, self._table))
            except psycopg.Error as second:
                return self._unavailable(second)
            if problem is not None:
                return UnavailableError(problem)
        return self._unavailable(error)

    def _watched(self, connection: psycopg.Connection) -> AbstractContextManager[None]:
        # The server ends a long statement itself; a server that stands still ends nothing.
        return _deadline(connection, self._settings.command_timeout_seconds + GRACE_SECONDS)

    def _insert_all(self, connection: psycopg.Connection, batch: Sequence[Record]) -> list[Verdict | Rejected]:
        columns = [list(column) for column in zip(*map(row, batch), strict=True)]
        with connection.transaction():
            stored = {event_id for (event_id,) in connection.execute(self._insert, columns).fetchall()}
        verdicts: list[Verdict | Rejected] = []
        for record in batch:
            verdicts.append(Verdict.ACKNOWLEDGED if record.event_id in stored else Verdict.DUPLICATE)
            if self._settings.enable_idempotency:
                stored.discard(record.event_id)  # the second of one id in one batch is a duplicate too
        return verdicts

    def _insert_one(self, connection: psycopg.Connection, record: Record) -> Verdict | Rejected:
        try:
            return self._insert_all(connection, [record])[0]
        except _POISON as error:
            return Rejected(f"{type(error).__name__}: a value that PostgreSQL cannot store")
        except errors.UniqueViolation:  # a table with unique ids, though `enableIdempotency` is off
            if self._is_stored(connection, record):
                return Verdict.DUPLICATE
            raise

    def _is_stored(self, connection: psycopg.Connection, record: Record) -> bool:
        event_id = quoted(column_name("postgresql", "EventId"))
        query = f"SELECT 1 FROM {self._name()} WHERE {event_id} = %s"  # noqa: S608 - names are quoted
        return connection.execute(query, (record.event_id,)).fetchone() is not None

    def _insert_statement(self) -> str:
        names = ", ".join(quoted(column_name("postgresql", column)) for column in COLUMNS)
        # Arrays of text, cast by the server: one statement and one round trip, whatever the size of the batch.
        arrays = ", ".join(f"%s::text[]::{type_}[]" for type_ in _TYPES)
        event_id = quoted(column_name("postgresql", "EventId"))
        conflict = f"ON CONFLICT ({event_id}) DO NOTHING" if self._settings.enable_idempotency else ""
        return (
            f"INSERT INTO {self._name()} ({names}) "  # noqa: S608 - names are quoted, values are parameters
            f"SELECT {names} FROM unnest({arrays}) WITH ORDINALITY AS batch ({names}, position) ORDER BY position "
            f"{conflict} RETURNING {event_id}"
        )

    def _name(self) -> str:
        """Return the table's name for a statement with parameters, where a percent sign is written twice."""
        return qualified_name(self._table).replace("%", "%%")

    def _migrate(self, connection: psycopg.Connection) -> None:
        with connection.transaction():
            # `IF NOT EXISTS` alone fails when two processes create the same table at the same time.
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (qualified_name(self._table),))
            for statement in create_statements(self._table):
                connection.execute(statement)

    def _connect(self, connect_seconds: int) -> psycopg.Connection:
        url = resolved(self._settings).url
        try:
            # What the address says itself wins, but for the encoding: events are UTF-8, whatever the database prefers.
            options = _CONNECTION | {"connect_timeout": str(connect_seconds)} | conninfo.conninfo_to_dict(url)
            connection = psycopg.connect(autocommit=True, **options | {"client_encoding": "UTF8"})
        except psycopg.OperationalError as error:
            raise self._unavailable(error) from error
        except psycopg.Error as error:  # psycopg quotes what it cannot parse, and that is a connection string
            raise UnavailableError("`url` is not a connection string that PostgreSQL understands") from error
        try:
            # Set here and not by the address: a pooler may refuse start-up options.
            milliseconds = str(self._settings.command_timeout_seconds * 1000)
            with _deadline(connection, connect_seconds):
                connection.execute("SELECT set_config('statement_timeout', %s, false)", (milliseconds,))
        except psycopg.Error as error:
            connection.close()
            raise self._unavailable(error) from error
        return connection

    def _unavailable(self, error: Exception) -> UnavailableError:
        if isinstance(error, (errors.UndefinedTable, errors.InvalidSchemaName)):
            return UnavailableError(self._no_table())
        # The rest of a server's message, its detail, quotes the row.
        text = error.diag.message_primary if isinstance(error, psycopg.Error) else None
        return UnavailableError(scrubbed(text or str(error) or type(error).__name__, self._secrets()))

    def _secrets(self) -> list[str | None]:
        try:
            url = resolved(self._settings).url
            return [url, cast("str | None", conninfo.conninfo_to_dict(url).get("password"))]
        except (psycopg.Error, UnavailableError):
            return [self._settings.url]

    def _no_table(self) -> str:
        return f"no table {qualified_name(self._table)}; run `backplane apply`, or set `autoMigrate: true`"


@contextmanager
def _deadline(connection: psycopg.Connection, seconds: float) -> Iterator[None]:
    """Cut *connection* off after *seconds*, so that who waits for its answer gets an error instead.

    Raises:
        psycopg.OperationalError: if that was needed, or there is no file or thread to be had for the watch.
    """
    is_over = threading.Event()
    try:
        own = socket.socket(fileno=os.dup(connection.fileno()))
        timer = _started_timer(seconds, own, is_over)
    except (OSError, RuntimeError) as error:  # any other error would be blamed on the events
        raise psycopg.OperationalError(getattr(error, "strerror", None) or str(error)) from error
    try:
        yield
    except psycopg.OperationalError as error:
        if is_over.is_set():
            raise psycopg.OperationalError(f"the server gave no answer within {seconds:.1f} s") from error
        raise
    finally:
        timer.cancel()
        own.close()


def _started_timer(seconds: float, own: socket.socket, is_over: threading.Event) -> threading.Timer:
    timer = threading.Timer(seconds, _cut_off, (own, is_over))
    timer.daemon = True
    try:
        timer.start()
    except RuntimeError:
        own.close()
        raise
    return timer


def _cut_off(own: socket.socket, is_over: threading.Event) -> None:
    is_over.set()
    with suppress(OSError):  # it was closed meanwhile
        own.shutdown(socket.SHUT_RDWR)
