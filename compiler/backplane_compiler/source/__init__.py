"""Source text to one located tree: YAML and JSON, overlays, secret references."""

from backplane_compiler.source.environments import ENVIRONMENTS, select_environment
from backplane_compiler.source.files import load_source, parse_source
from backplane_compiler.source.load import load_tree
from backplane_compiler.source.overlay import merge
from backplane_compiler.source.tree import (
    Entry,
    Mapping,
    Node,
    Path,
    Scalar,
    Sequence,
    dotted,
    lookup,
    span_of,
    to_plain,
)

__all__ = [
    "ENVIRONMENTS",
    "Entry",
    "Mapping",
    "Node",
    "Path",
    "Scalar",
    "Sequence",
    "dotted",
    "load_source",
    "load_tree",
    "lookup",
    "merge",
    "parse_source",
    "select_environment",
    "span_of",
    "to_plain",
]
