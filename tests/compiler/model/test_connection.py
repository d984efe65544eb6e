"""Labels of servers: what people call them, without users and secrets."""

from __future__ import annotations

import pytest

from backplane_compiler.model.connection import server_label
from backplane_runtime.settings import AzureServiceBus, InMemory, Kafka, PostgreSql, Settings, Sqlite, SqlServer


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        (Kafka(brokers=("b:1", "a:2")), "a:2,b:1"),
        (AzureServiceBus(fully_qualified_namespace="n.servicebus.windows.net"), "n.servicebus.windows.net"),
        (AzureServiceBus(connection_string="Endpoint=sb://n.servicebus.windows.net/;..."), "n.servicebus.windows.net"),
        (AzureServiceBus(connection_string="${env:SB}"), "${SB}"),
        (SqlServer(connection_string="Server=tcp:h,1433;Initial Catalog=d;Password=${env:P}"), "h,1433/d"),
        (SqlServer(connection_string="Driver={ODBC Driver 18 for SQL Server};Server=h;Database={d}"), "h/d"),
        (SqlServer(connection_string="mssql+pyodbc://u:${env:P}@h:1/d?driver=x"), "h:1/d"),
        (SqlServer(connection_string="Server=${env:HOST};Database=d"), "${env:HOST}/d"),
        (SqlServer(connection_string="${env:DB}"), "${DB}"),
        (PostgreSql(url="postgresql://u:${file:/a/b}@h:5432/d?sslmode=x"), "h:5432/d"),
        (PostgreSql(url="postgresql://u@${env:HOST:-a/b}/d"), "${env:HOST:-a/b}/d"),
        (PostgreSql(url="${PG}"), "${PG}"),
        (PostgreSql(url="${env:PG:-postgresql://u:secret@h/d}"), "${PG}"),
        (PostgreSql(url="${file:/run/pg}"), "${file:/run/pg}"),
        (PostgreSql(url="postgresql://u:a/secret@h/d/"), "h/d"),
        (PostgreSql(url="host='h' port=1 dbname=d user=u password=secret"), "h/d"),
        (Sqlite(path="a/b.db"), "a/b.db"),
        (InMemory(), "InMemory"),
    ],
)
def test_labels(settings: Settings, label: str) -> None:
    """Host and database where they are known; references as they are written; never what stands before an `@`."""
    assert server_label(settings) == label
