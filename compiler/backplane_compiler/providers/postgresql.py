"""PostgreSQL databases: the catalog read as any user may, tables and indexes created in one transaction."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from backplane_compiler.infra.state import InfraState
from backplane_compiler.plan.change import Change
from backplane_compiler.providers.api import Identity, Provider, ProviderError
from backplane_compiler.providers.postgresql_catalog import PostgreSqlCatalog
from backplane_compiler.providers.sql_tables import not_shown, observe_tables, schemas, statements
from backplane_runtime.event_table import quoted
from backplane_runtime.references import UnresolvedReferenceError, resolve_text
from backplane_runtime.settings import PostgreSql, Settings

_CONNECT_SECONDS = 8
_STATEMENT_MILLISECONDS = 9000
_LOCK_MILLISECONDS = 9000
# Anything that only this tool locks; two applies at once go one after the other.
_ADVISORY_LOCK = 0x6261636B706C616E
# What libpq says after this is the server's or the system's word; what is before it may hold parts of the URL.
_SERVERS_WORD = re.compile(r'(?:port \d+|socket "[^"]*") failed: (.+)')
_HOST = re.compile(r"@([\w.:,\[\]-]+)(?:[/?]|\Z)")


def open_provider(settings: Settings, environment: Mapping[str, str]) -> Provider:
    """Return a provider for the database of *settings*; it connects when it is first asked.

    Raises:
        ProviderError: if a reference cannot be resolved, or the URL cannot be read.
    """
    if not isinstance(settings, PostgreSql):
        raise TypeError(f"settings of PostgreSQL are needed, not {type(settings).__name__}")
    try:
        options = conninfo_to_dict(resolve_text(settings.url, environment))
    except UnresolvedReferenceError as error:
        raise ProviderError(f"postgresql: {error}") from error
    except (psycopg.Error, UnicodeError):
        # From None: the client quotes the part that it does not understand, which may be the password.
        raise ProviderError(
            "postgresql: the `url` is none that PostgreSQL understands",
            "write postgresql://user:${env:NAME}@host:port/database; `@ : / #` in a password are written as %40 %3A %2F %23",
        ) from None
    return PostgreSqlProvider(options, settings)


class PostgreSqlProvider:
    """One database; *options* are libpq's, in clear, and never shown."""

    def __init__(self, options: Mapping[str, Any], settings: PostgreSql) -> None:
        self._options = {"connect_timeout": _CONNECT_SECONDS, "application_name": "backplane", **options}
        self._schema = settings.schema
        # From the URL as it is written: once references are resolved, a password with an `@` may look like a host.
        host = _HOST.search(settings.url)
        self._label = f"postgresql {host[1]}" if host else "postgresql"
        self._connection: psycopg.Connection[Any] | None = None

    def identity(self) -> Identity:
        """Say which database this is, by what every user may read."""
        with self._cursor() as cursor:
            cursor.execute(
                "SELECT current_database(), current_setting('server_version'), "
                "(SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()), "
                "(SELECT system_identifier FROM pg_catalog.pg_control_system()), "
                "pg_catalog.to_regnamespace(%s) IS NOT NULL",
                [quoted(self._schema)],
            )
            database, version, number, system, schema_exists = _one(cursor)
        description = f"database {database}, PostgreSQL {version.split()[0]}"
        if not schema_exists:
            description += f", schema {self._schema} is not there yet and is created with the table"
        return Identity(f"{system}/{number}/{database}", description)

    def observe(self, desired: InfraState) -> InfraState:
        """Return the tables and indexes of *desired* that exist."""
        with self._cursor() as cursor:
            return observe_tables(desired, PostgreSqlCatalog(cursor))

    def apply(self, changes: Sequence[Change]) -> Mapping[str, ProviderError]:
        """Create tables and indexes, all of *changes* or none, and their schema where it is missing."""
        script = [*statements(changes)]
        with self._cursor() as cursor, cursor.connection.transaction():
            # A lock is not waited for without end; an index over many events may take its time.
            cursor.execute(
                "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', %s, true)",
                [str(_LOCK_MILLISECONDS)],
            )
            cursor.execute("SELECT pg_catalog.pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
            for schema in schemas(changes):
                _create_schema(cursor, schema)
            for statement in script:
                cursor.execute(statement.encode())
        return not_shown(changes, self.observe(InfraState.of(change.resource for change in changes)))

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _cursor(self) -> Iterator[psycopg.Cursor[Any]]:
        try:
            if self._connection is None:
                self._connection = self._connect()
            with self._connection.cursor() as cursor:
                yield cursor
        except psycopg.Error as error:
            # The server's own message; it names objects, never the connection.
            text = error.diag.message_primary or "the connection was lost"
            raise ProviderError(f"{self._label}: {text}", _hint(error)) from error

    def _connect(self) -> psycopg.Connection[Any]:
        try:
            # Names are UTF-8 here; in `SQL_ASCII` they would come as bytes.
            connection = psycopg.connect(**{**self._options, "client_encoding": "UTF8"}, autocommit=True)
        except (psycopg.Error, OSError, UnicodeError) as error:
            # From None: the client's text may hold parts of the URL.
            raise ProviderError(f"{self._label}: {_why_unreachable(error)}", "check `url` in the document") from None
        connection.execute(
            # The catalog's own functions spell types and defaults as the second says.
            "SELECT pg_catalog.set_config('statement_timeout', %s, false),"
            " pg_catalog.set_config('quote_all_identifiers', 'off', false)",
            [str(_STATEMENT_MILLISECONDS)],
        )
        return connection


def _create_schema(cursor: psycopg.Cursor[Any], schema: str) -> None:
    cursor.execute("SELECT pg_catalog.to_regnamespace(%s) IS NULL", [quoted(schema)])
    # Not `IF NOT EXISTS` alone: that asks for a right on the database even where there is nothing to do.
    if _one(cursor)[0]:
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}".encode())


def _one(cursor: psycopg.Cursor[Any]) -> Any:
    row = cursor.fetchone()
    if row is None:
        raise ProviderError("the database answered nothing to a question that has one answer")
    return row


def _why_unreachable(error: Exception) -> str:
    text = str(error)
    if (found := _SERVERS_WORD.search(text)) is not None:
        return found[1].strip()
    if isinstance(error, psycopg.errors.ConnectionTimeout) or "timeout expired" in text:
        return f"no answer within {_CONNECT_SECONDS} s"
    return "the host name cannot be resolved" if "resolve" in text else "the options of the `url` cannot be used"


def _hint(error: psycopg.Error) -> str | None:
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return "grant it to the user of `url`, or let its owner apply the plan"
    if isinstance(error, (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable)):
        return "another session holds a lock, or the server is overloaded; try again"
    return None
