"""Every sample compiles in silence, and shows every option."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backplane_compiler.handlers import registered_handlers
from backplane_compiler.schema.options import options_model
from tests.compiler.checking import check

_SAMPLES = Path(__file__).parents[3] / "samples"
_OWN = sorted((*_SAMPLES.glob("*/backplane.yaml"), *_SAMPLES.glob("*/backplane.json")))
_FOLDERS = {
    "kafka": "kafka",
    "azure-service-bus": "azureServiceBus",
    "sql-server": "sqlServer",
    "postgresql": "postgresql",
    "sqlite": "sqlite",
    "in-memory": "inMemory",
    "logging": "logging",
    "open-telemetry": "openTelemetry",
}


@pytest.mark.parametrize("path", _OWN, ids=lambda path: path.parent.name)
def test_samples_compile_in_silence(path: Path) -> None:
    """Up to the frozen config, without a remark but notes of keys that this version does nothing with."""
    checked = check(path.read_text(encoding="utf-8"), name=path.name)
    assert {found.code for found in checked.diagnostics} <= {"not-yet-effective"}
    assert checked.frozen is not None


@pytest.mark.parametrize(("folder", "kind"), _FOLDERS.items())
def test_samples_show_every_option(folder: str, kind: str) -> None:
    """A new option needs its line in the sample; alternatives may stand in a comment."""
    text = (_SAMPLES / folder / "backplane.yaml").read_text(encoding="utf-8")
    handler = registered_handlers()[kind]
    assert handler.settings is not None
    models = [options_model(handler.settings), *([handler.provisioning] if handler.provisioning else [])]
    names = {name for model in models for name in _names(model.model_json_schema())}
    only_elsewhere = {"target", "edition", "compression"} if kind in ("postgresql", "sqlite") else set()
    only_elsewhere |= {"roles", "deployer", "writer", "reader"} if kind == "sqlite" else set()
    assert {name for name in names - only_elsewhere if name and name not in text} == set()


def _names(schema: Any) -> Iterator[str]:
    """Yield the keys of *schema*, those of the parts inside too."""
    for part in (schema, *schema.get("$defs", {}).values()):
        yield from part.get("properties", {})


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("kafka-backplane-example.yaml", []),
        ("azure-service-bus-backplane-example.yaml", ["unfinished-connection-string"]),
        ("sql-server-backplane-example.yaml", ["unfinished-connection-string"]),
    ],
)
def test_examples_of_the_specification_compile_unchanged(name: str, codes: list[str]) -> None:
    """Their `...` is a warning, never an error."""
    checked = check((_SAMPLES / "spec" / name).read_text(encoding="utf-8"), name=name)
    assert checked.codes == codes
    assert checked.frozen is not None


def test_the_general_template_lacks_only_its_brokers() -> None:
    """It is a template: rightly an error."""
    checked = check((_SAMPLES / "spec" / "data-plane-options.yaml").read_text(encoding="utf-8"))
    assert checked.codes == ["missing-key"]


def test_the_composite_sample_has_an_environment() -> None:
    """`--env dev` is a document of its own."""
    checked = check((_SAMPLES / "composite" / "backplane.yaml").read_text(encoding="utf-8"), env="dev")
    assert not checked.out
    assert checked.model is not None
    assert [backplane.type for backplane in checked.model.backplanes] == ["sqlite"]
