"""The document refuses exactly what the settings refuse, and gives the same values."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backplane_compiler.schema.options import options_model, written
from backplane_runtime import settings
from backplane_runtime.settings import Settings, SettingsError, from_wire

OWNERS: tuple[type[Settings], ...] = (
    settings.Kafka,
    settings.KafkaSecurity,
    settings.AzureServiceBus,
    settings.SqlServer,
    settings.PostgreSql,
    settings.Sqlite,
    settings.InMemory,
    settings.Logging,
    settings.OpenTelemetry,
    settings.Plane,
    settings.PiiRedaction,
    settings.Spool,
)
_NEEDING = (settings.Kafka, settings.SqlServer, settings.PostgreSql, settings.AzureServiceBus)
_WORDS = (
    "all",
    "ALL",
    "1",
    "0",
    "zstd",
    "ssl",
    "SASLSSL",
    "plain",
    "PLAIN",
    "roundrobin",
    "spool",
    "x",
    "",
    "a,b",
    "5.0",
    "-3",
    "no",
    "${env:X}",
)
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 20),
    st.sampled_from((1 << 20, 900_001, 1 << 70)),
    st.floats(allow_nan=False, width=16),
    st.sampled_from(_WORDS),
)
_KEYS = st.sampled_from(
    ("exposure", "Exposure", "ERROR", "x", "protocol", "mechanism", "username", "password", "directory", "maxBytes")
)
_VALUES = st.one_of(_LEAVES, st.lists(_LEAVES, max_size=3), st.dictionaries(_KEYS, _LEAVES, max_size=3))


def _wire_names(owner: type[Settings]) -> list[str]:
    return [field.alias or name for name, field in options_model(owner).model_fields.items()]


@st.composite
def _documents(draw: st.DrawFn) -> tuple[type[Settings], dict[str, Any]]:
    owner = draw(st.sampled_from(OWNERS))
    required = {"brokers": ["h:1"], "connectionString": "Server=h", "url": "postgresql://h/d"}
    base = (
        {name: value for name, value in required.items() if name in _wire_names(owner)} if draw(st.booleans()) else {}
    )
    keys = st.sampled_from([*_wire_names(owner), "unknown"])
    return owner, base | draw(st.dictionaries(keys, _VALUES, max_size=3))


def _by_document(owner: type[Settings], plain: dict[str, Any]) -> Settings | None:
    try:
        return from_wire(owner, written(options_model(owner).model_validate(plain)))
    except (ValidationError, SettingsError):
        return None


def _by_program(owner: type[Settings], plain: dict[str, Any]) -> Settings | None:
    try:
        return from_wire(owner, plain)
    except SettingsError:
        return None


@given(_documents())
def test_document_and_program_agree(case: tuple[type[Settings], dict[str, Any]]) -> None:
    """Both accept, with equal values, or both refuse."""
    owner, plain = case
    assert _by_document(owner, plain) == _by_program(owner, plain)


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: owner.__name__)
def test_every_option_is_in_the_schema_with_its_words(owner: type[Settings]) -> None:
    """A field of the settings is a property of the schema, with description and default."""
    properties = options_model(owner).model_json_schema()["properties"]
    assert set(properties) == {field.encode_name for field in msgspec.structs.fields(owner)}
    assert all(item.get("description") for item in properties.values())


@pytest.mark.parametrize("owner", [owner for owner in OWNERS if owner not in _NEEDING])
def test_defaults_are_those_of_the_settings(owner: type[Settings]) -> None:
    """An empty mapping means what the constructor means without arguments."""
    assert _by_document(owner, {}) == owner()


@pytest.mark.parametrize("word", ["no", "yes", "on", "off", "true", 1, 0])
def test_only_a_bool_is_a_bool(word: object) -> None:
    """YAML 1.2 reads `no` as a string, and a number is no bool."""
    with pytest.raises(ValidationError):
        options_model(settings.Kafka).model_validate({"brokers": "h:1", "enableIdempotence": word})
