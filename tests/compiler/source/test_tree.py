"""Where a message about a path is shown."""

from __future__ import annotations

import pytest

from backplane_compiler.diagnostics import SourceFile
from backplane_compiler.source import Node, Path, dotted, lookup, span_of
from backplane_compiler.source.yaml_reader import parse_yaml

TEXT = """\
dataPlane:
  backplane:
    type: kafka
    options:
      brokers: [one, two]
      batchSize: many
  list:
    - name: first
      x: 1
    - second
"""


def tree() -> Node:
    node, _ = parse_yaml(SourceFile("doc.yaml", TEXT))
    assert node is not None
    return node


OPTIONS: Path = ("dataPlane", "backplane", "options")


@pytest.mark.parametrize(
    ("path", "key", "text"),
    [
        ((*OPTIONS, "batchSize"), False, "many"),
        ((*OPTIONS, "batchSize"), True, "batchSize"),
        ((*OPTIONS, "batchSize", "int"), False, "many"),
        ((*OPTIONS, "brokers", 1), False, "two"),
        ((*OPTIONS, "brokers"), False, "brokers"),
        (OPTIONS, False, "options"),
        (("dataPlane", "backplane", "kafka", "options", "batchSize"), False, "many"),
        (("dataPlane", "backplane", "kafka", "options", "missing"), False, "options"),
        (("dataPlane", "missing"), False, "dataPlane"),
        (("missing",), False, "dataPlane"),
        (("dataPlane", "list", 0), False, "name"),
        (("dataPlane", "list", 0, "missing"), False, "name"),
        (("dataPlane", "list", 1), False, "second"),
        (("dataPlane", "list", 7), False, "list"),
        ((), False, "dataPlane"),
    ],
)
def test_span_of(path: Path, key: bool, text: str) -> None:  # noqa: FBT001  a table
    span = span_of(tree(), path, key=key)
    assert TEXT[span.start_offset : span.end_offset] == text


def test_lookup_wants_the_exact_path() -> None:
    assert lookup(tree(), ("dataPlane", "list", 1)) is not None
    assert lookup(tree(), ("dataPlane", "kafka", "list")) is None
    assert lookup(tree(), ("dataPlane", "list", -1)) is None
    assert lookup(tree(), ("dataPlane", 0)) is None


def test_dotted_reads_as_people_write_it() -> None:
    assert dotted((*OPTIONS, "brokers", 0)) == "dataPlane.backplane.options.brokers[0]"
    assert dotted(("config", "min.insync.replicas")) == 'config["min.insync.replicas"]'
    assert dotted((0, "a")) == "[0].a"
