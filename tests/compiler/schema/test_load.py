"""Checking as a whole: all errors at once, hints, environments, catalog, extensions."""

from __future__ import annotations

from pathlib import Path

import pytest

from backplane_compiler.diagnostics import SourceFile
from backplane_compiler.handlers import BackplaneHandler, register_handler, registered_handlers
from backplane_compiler.schema.load import check_document
from backplane_compiler.source import parse_source
from backplane_runtime import settings
from backplane_runtime.config import Experiment, Variant
from tests.compiler.checking import check

_GOLDEN = Path(__file__).parents[2] / "golden" / "err"
_LOGGING = "dataPlane:\n  backplane: { type: logging }\n"


def _hint(text: str) -> str | None:
    (found,) = check(text).diagnostics
    return found.hint


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("enableErrorEvents: no", "write `false`"),
        ("enableErrorEvents: 'True'", "write `true`, without quotes"),
        ("batchsiz: 5", "did you mean `batchSize`?"),
        ("failureMode: spol", "did you mean `spool`?"),
        ("spool: { directory: 7 }", 'write it in quotes: `"7"`'),
    ],
)
def test_hints_say_one_thing_to_do(line: str, hint: str) -> None:
    """The hint is what to write."""
    assert _hint(f"dataPlane:\n  {line}\n  backplane: {{ type: logging }}\n") == hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("kafka-security-typo", "did you mean `mechanism`?"),
        ("backplane-type-typo", "did you mean `kafka`?"),
        ("root-typo", "did you mean `dataPlane`?"),
        ("kafka-no-options", "add `brokers:` under `options`"),
        ("kafka-timestamp-in-4", "use `message.timestamp.before.max.ms`"),
    ],
)
def test_hints_know_where_they_are(name: str, hint: str) -> None:
    """The nearest name is one that may stand at this place."""
    assert _hint((_GOLDEN / f"{name}.yaml").read_text(encoding="utf-8")) == hint


def test_a_key_missing_in_an_item_of_a_list_goes_into_that_item() -> None:
    """`under backplanes` would begin another item."""
    members = "[{ name: a, type: logging }, { type: sqlite }]"
    text = f"dataPlane: {{ backplane: {{ type: composite, options: {{ backplanes: {members} }} }} }}\n"
    assert _hint(text) == "add `name:` under `backplanes[1]`"


@pytest.mark.parametrize(
    "text",
    [
        f"enviroments: {{ prod: {{}} }}\n{_LOGGING}",
        "enviroments: {}\nexperimentFramework: { dataPlane: { backplane: { type: logging } } }\n",
        "experimentFramework: { dataPlane: { backplane: { type: logging } }, enviroments: {} }\n",
    ],
)
def test_environments_are_among_the_names_that_may_stand_at_the_root(text: str) -> None:
    """They are taken out before the keys are checked, and are known all the same."""
    assert _hint(text) == "did you mean `environments`?"


def test_all_errors_of_a_document_come_at_once() -> None:
    """Plane, options, provisioning and catalog in one run."""
    text = (
        "trials: [{ serviceType: A }, { serviceType: A }]\n"
        "dataPlane:\n  batchSize: 0\n  backplane:\n    type: kafka\n    options: { acks: 9 }\n"
        "    provisioning: { partitions: 0 }\n"
    )
    assert check(text).codes == ["duplicate-name", "option-value", "missing-key", "option-value", "option-value"]


def test_environment_is_merged_over_the_document() -> None:
    """Maps deep, null removes, and the place of a value is where it is written."""
    text = (
        "environments:\n  dev:\n    dataPlane:\n      samplingRate: 2\n"
        "dataPlane:\n  samplingRate: 0.5\n  backplane: { type: logging }\n"
    )
    assert check(text).frozen is not None
    assert check(text, env="dev").out.startswith("doc.yaml:4:21: error[option-value]")


def test_an_environment_under_the_frameworks_root_changes_what_stands_beside_it() -> None:
    """The overlay has the shape of the mapping that it stands in."""
    text = (
        "experimentFramework:\n  environments: { dev: { dataPlane: { backplane: { type: inMemory } } } }\n"
        "  dataPlane: { backplane: { type: logging } }\n"
    )
    model = check(text, env="dev").model
    assert model is not None
    assert model.backplanes[0].type == "inMemory"


def test_the_catalog_has_words_as_they_are_written() -> None:
    """`true` and `1` are keys of variants; the trials of an experiment are its variants."""
    text = (
        "trials:\n  - { serviceType: B, control: { key: off }, conditions: [{ key: true, weight: 1 }, { key: 012 }] }\n"
        "experiments:\n  - { name: A, trials: [{ control: { key: c } }, { control: { key: c }, conditions: [{ key: d }] }] }\n"
    ) + _LOGGING
    model = check(text).model
    assert model is not None
    assert model.experiments == (
        Experiment(name="A", variants=(Variant(key="c"), Variant(key="d"))),
        Experiment(name="B", variants=(Variant(key="off"), Variant(key="true", weight=1.0), Variant(key="012"))),
    )


def test_a_type_of_an_extension_is_checked_like_a_built_in_one() -> None:
    """A handler brings the options of its type; nothing else knows of it."""

    class Pager(settings.Settings, frozen=True, kw_only=True):
        number: int

    handlers = {**registered_handlers(), "pager": BackplaneHandler(type="pager", settings=Pager)}
    tree, _ = parse_source(SourceFile("d.yaml", "dataPlane:\n  backplane: { type: Pager, options: { number: x } }\n"))
    assert tree is not None
    document, found = check_document(tree, handlers)
    assert document is None
    assert [item.message for item in found] == [
        "`dataPlane.backplane.options.number` must be an integer, not the string `x`"
    ]


def test_a_type_is_registered_once() -> None:
    """In any case of letters; the same handler twice is no harm."""
    kafka = registered_handlers()["kafka"]
    register_handler(kafka)
    with pytest.raises(ValueError, match="registered already"):
        register_handler(BackplaneHandler(type="Kafka", settings=settings.Logging))
