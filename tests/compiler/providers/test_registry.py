"""Finding the provider of a backplane type."""

from __future__ import annotations

import sys

import pytest

from backplane_compiler.providers.api import ProviderError
from backplane_compiler.providers.registry import open_provider, reason_without_provider, settings_from_wire
from backplane_runtime.settings import InMemory, Kafka, PostgreSql, Settings, Sqlite, SqlServer


@pytest.mark.parametrize(
    ("type_name", "settings", "module", "line"),
    [
        (
            "kafka",
            Kafka(brokers=("b:1",)),
            "confluent_kafka",
            "backplane `kafka` needs confluent-kafka: pip install 'experiment-backplane[kafka]'",
        ),
        (
            "postgresql",
            PostgreSql(url="postgresql://h/d"),
            "psycopg",
            "backplane `postgresql` needs psycopg: pip install 'experiment-backplane[postgresql]'",
        ),
    ],
)
def test_a_missing_client_ends_in_one_line_with_the_command(
    monkeypatch: pytest.MonkeyPatch, type_name: str, settings: Settings, module: str, line: str
) -> None:
    forgotten = (module, f"backplane_compiler.providers.{type_name}")
    for name in [name for name in sys.modules if name.startswith(forgotten)]:
        monkeypatch.delitem(sys.modules, name)

    class Missing:
        def find_spec(self, name: str, *_: object) -> None:
            if name.partition(".")[0] == module:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    with pytest.raises(ProviderError) as caught:
        open_provider(type_name, settings, {})
    assert str(caught.value) == line


def test_types_without_a_provider_have_a_reason() -> None:
    assert reason_without_provider("kafka") is None
    assert "Azure Service Bus" in str(reason_without_provider("azureServiceBus"))
    assert "sql/sqlserver/schema.sql" in str(reason_without_provider("sqlServer"))
    assert reason_without_provider("logging") == "there is no provider for backplanes of the type `logging`"
    with pytest.raises(ProviderError, match="SQL Server"):
        open_provider("sqlServer", SqlServer(connection_string="Server=x"), {})
    with pytest.raises(ProviderError, match="logging"):
        settings_from_wire("logging", {})


def test_a_plans_connection_is_read_by_this_versions_options() -> None:
    assert settings_from_wire("sqlite", {"path": "x.db"}) == Sqlite(path="x.db")
    with pytest.raises(ProviderError, match="unknown option") as caught:
        settings_from_wire("sqlite", {"path": "x.db", "colour": 1})
    assert caught.value.hint == "make the plan again"


def test_settings_of_another_type_are_an_error_of_the_program() -> None:
    for type_name in ("kafka", "sqlite", "postgresql"):
        with pytest.raises(TypeError):
            open_provider(type_name, InMemory(), {})


def test_a_reference_that_cannot_be_resolved_is_named() -> None:
    cases: list[tuple[str, Settings]] = [
        ("kafka", Kafka(brokers=("${env:NOWHERE}:1",))),
        ("sqlite", Sqlite(path="${env:NOWHERE}.db")),
        ("postgresql", PostgreSql(url="postgresql://u:${env:NOWHERE}@h/d")),
    ]
    for type_name, settings in cases:
        with pytest.raises(ProviderError, match="`NOWHERE` is not set"):
            open_provider(type_name, settings, {})
