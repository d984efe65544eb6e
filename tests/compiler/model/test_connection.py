"""Labels of servers: what people call them, without users and secrets."""

from __future__ import annotations

import pytest

from backplane_compiler.model.connection import server_key, server_label
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


@pytest.mark.parametrize(
    ("family", "one", "other", "same"),
    [
        ("kafka", "a:9092,b:1", "B:1,a", True),
        ("kafka", "a:9092", "a:9093", False),
        ("kafka", "${env:B}", "${env:b}", False),
        ("sqlite", "a.db", "./x/../a.db", True),
        ("sqlite", "a.db", "A.db", False),
        ("postgresql", "h/d", "H:5432/d", True),
        ("postgresql", "h/d", "h/D", False),
        ("sqlserver", "h,1433/d", "H/d", True),
        ("sqlserver", "h\\one/d", "h/d", False),
    ],
)
def test_spellings_of_one_server(family: str, one: str, other: str, same: bool) -> None:  # noqa: FBT001
    """Hosts in any case, with or without the usual port; paths to one file. Names of databases and files are exact."""
    assert (server_key(family, one) == server_key(family, other)) is same
