"""Options of the SQL backplanes: one event table, in three dialects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from backplane_runtime.settings.base import Refusal, Settings

IdempotencyFlag = Annotated[bool, Meta(description="Each event id is stored once; `false` is the unchecked fast path.")]
TimeoutSeconds = Annotated[int, Meta(ge=1, le=86_400, description="How long one statement may take, in seconds.")]
BatchSize = Annotated[int, Meta(ge=1, le=100_000, description="Events in one transaction.")]
TableName = Annotated[str, Meta(min_length=1, max_length=128, description="Name of the event table.")]
SchemaName = Annotated[str, Meta(min_length=1, max_length=128, description="Database schema of the event table.")]


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

    def _refusals(self) -> Iterator[Refusal]:
        if self.path == ":memory:":
            yield Refusal(
                "path",
                "`:memory:` is gone with its connection, and events are to stay",
                hint="name a file, or use the backplane `inMemory`",
            )
