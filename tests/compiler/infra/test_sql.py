from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backplane_compiler.infra.sql import definition, index_resources, table_resource
from backplane_compiler.infra.sql_text import default_text, predicate_text, type_text
from backplane_compiler.infra.state import Property, resource_from_plain, resource_to_plain
from backplane_compiler.model.connection import server_label
from backplane_runtime.event_table import Dialect, TableOptions, event_table
from backplane_runtime.settings import PostgreSql, Sqlite, SqlServer
from tests.compiler.models import backplane, resources, values

DIALECTS = get_args(Dialect)
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


def test_sql_server_has_the_table_of_the_specification_with_every_constraint_named() -> None:
    found = resources(backplane("sqlServer", {"connectionString": "Server=db;Database=Exp"}))
    assert values(found["sqlserver.table.dbo.ExperimentEvents"]) == {
        "column Id": "bigint not null identity",
        "column EventId": "nvarchar(100) COLLATE Latin1_General_100_BIN2 not null",
        "column Timestamp": "datetimeoffset not null",
        "column EventType": "nvarchar(50) not null",
        "column SchemaVersion": "nvarchar(20) not null",
        "column PayloadJson": "nvarchar(max) not null",
        "column CorrelationId": "nvarchar(100) null",
        "column MetadataJson": "nvarchar(max) null",
        "column CreatedAt": "datetimeoffset null default sysdatetimeoffset()",
        "constraint PK_ExperimentEvents": "primary key (Id)",
        "constraint UQ_ExperimentEvents_EventId": "unique (EventId)",
        "constraint DF_ExperimentEvents_CreatedAt": "default (CreatedAt)",
    }


def test_indexes_stand_beside_their_table_and_wait_for_it() -> None:
    found = resources(backplane("postgresql", {"url": "postgresql://h/db"}))
    index = found["postgresql.index.public.experiment_events.ix_experiment_events_correlation_id"]
    assert values(index) == {"columns": "correlation_id", "rows": "where correlation_id IS NOT NULL"}
    assert index.depends_on == ("postgresql.table.public.experiment_events",)
    assert len(found) == 4


def test_options_reach_the_table() -> None:
    found = resources(backplane("sqlite", {"tableName": "Log", "enableIdempotency": False}, {"indexes": "minimal"}))
    assert [*found] == ["sqlite.table.Log"]
    assert "constraint unique (EventId)" not in values(found["sqlite.table.Log"])


@pytest.mark.parametrize("idempotent", [True, False])
@given(dialect=st.sampled_from(DIALECTS), schema=NAMES, name=NAMES)
def test_a_resource_alone_says_what_to_create(dialect: Dialect, schema: str, name: str, *, idempotent: bool) -> None:
    options = TableOptions(schema=None if dialect == "sqlite" else schema, name=name, idempotent=idempotent)
    table = event_table(dialect, options)
    read = [resource_from_plain(resource_to_plain(one)) for one in (table_resource(table), *index_resources(table))]
    assert definition(read[0]) == replace(table, indexes=())
    assert tuple(definition(one).indexes[0] for one in read[1:]) == table.indexes


def test_a_table_of_another_version_is_refused() -> None:
    resource = table_resource(event_table("sqlite", TableOptions(schema=None, name="T")))
    other = replace(resource, properties={**resource.properties, "column More": Property("text null")})
    with pytest.raises(ValueError, match="not the event table of this version"):
        definition(other)
    with pytest.raises(ValueError, match="not an address"):
        definition(replace(resource, address="kafka.topic.T"))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (type_text("timestamptz"), type_text("timestamp with time zone")),
        (type_text("NVARCHAR(100) collate Latin1_BIN"), type_text("nvarchar(100)  COLLATE Latin1_BIN")),
        (default_text("(sysdatetimeoffset())"), default_text("SYSDATETIMEOFFSET()")),
        (default_text("(strftime('%Y', 'now'))"), default_text("strftime('%Y', 'now')")),
        (predicate_text("([CorrelationId] IS NOT NULL)"), predicate_text("CorrelationId IS NOT NULL")),
        (predicate_text('("correlation_id" IS NOT NULL)'), predicate_text("correlation_id IS NOT NULL")),
    ],
)
def test_spellings_of_a_catalog_are_those_of_a_document(left: str, right: str) -> None:
    assert left == right


@pytest.mark.parametrize(
    ("left", "right"), [("(a) OR (b)", "a) OR (b"), ("'A'", "'a'"), ("(a = '(') OR (b = 1)", "a = '(') OR (b = 1")]
)
def test_what_differs_stays_different(left: str, right: str) -> None:
    assert default_text(left) != default_text(right)


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        (Sqlite(path="data/events.db"), "data/events.db"),
        (PostgreSql(url="postgresql://user:pa@ss@db:5432/exp?sslmode=require"), "db:5432/exp"),
        (PostgreSql(url="postgresql://db/exp?password=secret"), "db/exp"),
        (PostgreSql(url="${env:PG_URL}"), "${PG_URL}"),
        (PostgreSql(url="host=x password=secret"), "x"),
        (SqlServer(connection_string="Server=tcp:db,1433;Initial Catalog=Exp;Password=secret"), "db,1433/Exp"),
        (SqlServer(connection_string="Data Source=db"), "db"),
        (SqlServer(connection_string="mssql+pyodbc://u:secret@db/exp?driver=x"), "db/exp"),
        (SqlServer(connection_string="Password=secret"), "database"),
    ],
)
def test_a_label_shows_the_database_and_no_secret(settings: Sqlite | PostgreSql | SqlServer, label: str) -> None:
    assert server_label(settings) == label
