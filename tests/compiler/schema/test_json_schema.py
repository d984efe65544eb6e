"""The JSON Schemas are schemas, take what the compiler takes, and refuse what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from backplane_compiler.diagnostics import SourceFile
from backplane_compiler.handlers import registered_handlers
from backplane_compiler.schema.json_schema import document_schema, event_schema, events_schema, runtime_schema
from backplane_compiler.source import parse_source, to_plain
from backplane_runtime.envelope import encode_record
from backplane_runtime.events import (
    EVENTS,
    AnalysisSignal,
    Assignment,
    Error,
    EventType,
    Exposure,
    Outcome,
)
from tests.compiler.checking import check

_ROOT = Path(__file__).parents[3]
_SAMPLES = sorted(
    path
    for path in _ROOT.glob("samples/*/*")
    if path.suffix in (".yaml", ".json") and path.name != "data-plane-options.yaml"
)
_DOCUMENT = Draft202012Validator(document_schema(registered_handlers()))
_EVENTS = (
    Exposure("checkout", "blue", subject="u"),
    Assignment("checkout", "", "blue", subject="u"),
    Outcome("checkout", subject="u", metric="revenue", value=1.5),
    AnalysisSignal("checkout", "custom", "look"),
    Error("checkout", "Timeout", "slow"),
)


def _plain(text: str, name: str) -> Any:
    tree, _ = parse_source(SourceFile(name, text))
    assert tree is not None
    return to_plain(tree)


@pytest.mark.parametrize("schema", [document_schema(registered_handlers()), runtime_schema(), events_schema()])
def test_they_are_schemas(schema: dict[str, Any]) -> None:
    """Each is a valid schema of 2020-12 and can be written as JSON."""
    Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize("path", _SAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_samples_are_valid(path: Path) -> None:
    """What we show is what editors accept."""
    assert not [*_DOCUMENT.iter_errors(_plain(path.read_text(encoding="utf-8"), path.name))]


@pytest.mark.parametrize(
    "name",
    [
        "plane-unknown-keys",
        "kafka-no-brokers",
        "kafka-no-options",
        "backplane-type-typo",
        "composite-nested",
        "root-two",
        "local-options",
        "composite-empty",
    ],
)
def test_bad_documents_are_refused(name: str) -> None:
    """Unknown keys, missing keys and wrong words are seen by an editor too."""
    text = (_ROOT / "tests" / "golden" / "err" / f"{name}.yaml").read_text(encoding="utf-8")
    assert [*_DOCUMENT.iter_errors(_plain(text, "x.yaml"))]


def test_every_key_has_a_meaning() -> None:
    """An editor shows it."""
    definitions = document_schema(registered_handlers())["$defs"]
    properties = [item for definition in definitions.values() for item in definition.get("properties", {}).items()]
    assert [name for name, written in properties if not written.get("description")] == []


def test_defaults_are_what_one_could_write() -> None:
    """An editor offers them: `1m`, not a number of milliseconds that the compiler refuses."""
    schema = document_schema(registered_handlers())
    for definition in schema["$defs"].values():
        for name, written in definition.get("properties", {}).items():
            if isinstance(written, dict) and "default" in written:
                validator = Draft202012Validator({**written, "$defs": schema["$defs"]})
                assert validator.is_valid(written["default"]), name


@pytest.mark.parametrize("wanted", [{"partitions": 0}, {"topics": {"error": {"replicationFactor": 32768}}}])
def test_ranges_of_provisioning_are_told(wanted: dict[str, Any]) -> None:
    """In keywords that JSON Schema has: others are passed over in silence."""
    backplane = {"type": "kafka", "options": {"brokers": ["h:1"]}, "provisioning": wanted}
    assert [*_DOCUMENT.iter_errors({"dataPlane": {"backplane": backplane}})]


@pytest.mark.parametrize("path", _SAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_frozen_configs_are_valid(path: Path) -> None:
    """`runtime.json` follows its own schema."""
    frozen = check(path.read_text(encoding="utf-8"), name=path.name).frozen
    assert frozen is not None
    assert not [*Draft202012Validator(runtime_schema()).iter_errors(json.loads(frozen))]


@pytest.mark.parametrize("event", _EVENTS, ids=lambda event: type(event).__name__)
def test_events_follow_the_schema_of_their_type_only(
    event: Exposure | Assignment | Outcome | AnalysisSignal | Error,
) -> None:
    """What the runtime encodes is valid for its own type, and for no other."""
    kind = next(kind for kind, owner in EVENTS.items() if isinstance(event, owner))
    plain = json.loads(encode_record(event, event).envelope)
    assert not [*Draft202012Validator(events_schema()).iter_errors(plain)]
    for other in EventType:
        assert Draft202012Validator(event_schema(other)).is_valid(plain) is (other is kind)


def test_required_fields_are_those_of_the_contract() -> None:
    """The bold ones of design/interface.md, with those that the runtime fills in."""
    required = {kind: set(event_schema(kind)["$defs"][EVENTS[kind].__name__]["required"]) for kind in EventType}
    assert required[EventType.EXPOSURE] == {"experimentName", "variantKey", "subjectId", "timestamp", "selectionReason"}
    assert required[EventType.ANALYSIS_SIGNAL] == {"experimentName", "signalType", "severity", "timestamp", "message"}
    assert required[EventType.OUTCOME] == {"experimentName", "subjectId", "metric", "timestamp"}
