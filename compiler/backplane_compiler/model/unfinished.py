"""Connection strings that end in `...`, as examples have them: they compile, and connect to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from backplane_compiler.diagnostics import Diagnostic, Severity
from backplane_compiler.source import Mapping, Node, Path, Scalar, dotted, lookup

_CONNECTION_KEYS: Final = ("connectionString", "url")
_DOTS: Final = ("...", "…")


def check_unfinished(tree: Node, path: Path) -> Iterator[Diagnostic]:
    """Yield a warning for each connection at or below *path* that still has its `...`."""
    node = lookup(tree, path)
    if isinstance(node, Scalar):
        if path[-1] in _CONNECTION_KEYS and isinstance(node.value, str) and any(dots in node.value for dots in _DOTS):
            message = f"`{dotted(path)}` is not finished: it still has `...` in it"
            hint = "write the rest of it, or put all of it into a reference such as `${env:CONNECTION}`"
            yield Diagnostic("unfinished-connection-string", Severity.WARNING, message, node.span, hint=hint)
        return
    if node is not None:
        keys = [entry.key for entry in node.entries] if isinstance(node, Mapping) else range(len(node.items))
        for key in keys:
            yield from check_unfinished(tree, (*path, key))
