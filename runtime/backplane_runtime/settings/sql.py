"""Options of the SQL backplanes: one event table, in three dialects."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from backplane_runtime.settings.base import Refusal, Settings

IdempotencyFlag = Annotated[bool, Meta(description="Each event id is stored once; `false` is the unchecked fast path.")]
TimeoutSeconds = Annotated[int, Meta(ge=1, le=86_400, description="How long one statement may take, in seconds.")]
BatchSize = Annotated[int, Meta(ge=1, le=100_000, description="Events in one transaction.")]
TableName = Annotated[str, Meta(min_length=1, max_length=128, description="Name of the event table.")]
SchemaName = Annotated[str, Meta(min_length=1, max_length=128, description="Database schema of the event table.")]


_CREDENTIALS = re.compile(r"(?i)(?<=//)[^/@]*@|\b(?:password|pwd|user(?: id)?|uid)\s*=\s*(?:'[^']*'|\{[^}]*\}|[^;\s]*)")


def _without_credentials(address: str) -> str:
    """Return *address* without user and password, which may change while the database stays."""
    return _CREDENTIALS.sub("", address)


class SqlServer(Settings, frozen=True, kw_only=True):
    """Publish to a table in SQL Server or Azure SQL."""

    connection_string: Annotated[
        str,
        Meta(min_length=1, description="ADO.NET, ODBC or SQLAlchemy URL form; the password belongs in a reference."),
    ]
    schema: SchemaName = "dbo"
    table_name: TableName = "ExperimentEvents"
    batch_size: BatchSize = 100
    enable_idempotency: IdempotencyFlag = True
    auto_migrate: Annotated[bool, Meta(description="Create or upgrade the table at start; never in production.")] = (
        False
    )
    command_timeout_seconds: TimeoutSeconds = 30

    def place(self) -> Any:
        """Return the database and the table."""
        return [_without_credentials(self.connection_string), self.schema, self.table_name]


class PostgreSql(Settings, frozen=True, kw_only=True):
    """Publish to a table in PostgreSQL."""

    url: Annotated[
        str,
        Meta(min_length=1, description="`postgresql://user:${env:NAME}@host/db`; the password belongs in a reference."),
    ]
    schema: SchemaName = "public"
    table_name: TableName = "experiment_events"
    batch_size: BatchSize = 500
    enable_idempotency: IdempotencyFlag = True
    auto_migrate: Annotated[bool, Meta(description="Create the table at start.")] = False
    command_timeout_seconds: TimeoutSeconds = 30

    def place(self) -> Any:
        """Return the database and the table."""
        return [_without_credentials(self.url), self.schema, self.table_name]


class Sqlite(Settings, frozen=True, kw_only=True):
    """Publish to a table in an SQLite file: the embedded default, durable without a server."""

    path: Annotated[
        str,
        Meta(
            min_length=1,
            pattern=r"^[^\x00]*$",
            description="The database file, without NUL; relative to the working directory.",
        ),
    ] = "experiment-events.db"
    table_name: TableName = "ExperimentEvents"
    batch_size: BatchSize = 500
    enable_idempotency: IdempotencyFlag = True
    auto_migrate: Annotated[bool, Meta(description="Create the table at start.")] = True

    def place(self) -> Any:
        """Return the file and the table."""
        return [os.path.abspath(self.path), self.table_name]  # noqa: PTH100 - `resolve` would look at the disk

    def located(self) -> Sqlite:
        """Return the settings with the whole path; one that begins with a reference is taken for whole."""
        if self.path.startswith("${"):
            return self
        return msgspec.structs.replace(self, path=os.path.join(os.getcwd(), self.path))  # noqa: PTH109, PTH118 - pure text

    def _refusals(self) -> Iterator[Refusal]:
        if self.path == ":memory:":
            yield Refusal(
                "path",
                "`:memory:` is gone with its connection, and events are to stay",
                hint="name a file, or use the backplane `inMemory`",
            )
