"""The page: every phase of the compiler, in order.

    source text -> located tree -> Document -> Model -> rules -+-> targets -> artifacts
     (yaml/json)     (spans)      (as written) (resolved)      +-> FrozenConfig -> runtime.json

A phase returns what it made and what it has to say; the first phase that finds an error is the last one that runs, so that
one cause gives one message. Nothing here asks a network, a clock or the environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from backplane_compiler.diagnostics import Diagnostic, has_errors
from backplane_compiler.frozen.build import document_digest, freeze
from backplane_compiler.handlers import Handlers, registered_handlers
from backplane_compiler.infra.lower import lower
from backplane_compiler.infra.state import Target
from backplane_compiler.model.model import Model
from backplane_compiler.model.resolve import resolve_model
from backplane_compiler.render.artifacts import Artifact, render_artifacts
from backplane_compiler.rules import check_rules
from backplane_compiler.schema.document import Document
from backplane_compiler.schema.load import check_document
from backplane_compiler.source import Node, load_tree
from backplane_runtime.config import FrozenConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """What a document compiles to; what comes after the first phase with errors is missing."""

    diagnostics: tuple[Diagnostic, ...] = ()
    document: Document | None = None
    model: Model | None = None
    infra: tuple[Target, ...] = ()
    frozen: FrozenConfig | None = None
    artifacts: tuple[Artifact, ...] = ()
    # Secrets that stand in clear in the document: renderers of diagnostics mask them.
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def ok(self) -> bool:
        """Say whether the document compiled."""
        return self.frozen is not None


def compile_file(path: str | Path, *, env: str | None = None, overlays: Sequence[str | Path] = ()) -> Compilation:
    """Compile the document at *path*, with one of its `environments` and with *overlays* merged over it, in order.

    Reads these files and nothing else. Never raises for what a document says: see `Compilation.diagnostics`.
    """
    tree, diagnostics = load_tree(path, env=env, overlays=overlays)
    if tree is None:
        return Compilation(diagnostics=diagnostics)
    result = compile_tree(tree, registered_handlers())
    return replace(result, diagnostics=(*diagnostics, *result.diagnostics))


def compile_tree(tree: Node, handlers: Handlers) -> Compilation:
    """Compile a located tree: every phase after reading."""
    document, found = check_document(tree, handlers)
    if document is None:
        return Compilation(diagnostics=found)

    model, more = resolve_model(document, tree)
    found += more
    if model is None:
        return Compilation(diagnostics=found, document=document)
    secrets = frozenset(model.secrets.values())

    found += check_rules(model, handlers)
    if has_errors(found):
        return Compilation(diagnostics=found, document=document, model=model, secrets=secrets)

    targets = lower(model, handlers)
    return Compilation(
        diagnostics=found,
        document=document,
        model=model,
        infra=targets,
        frozen=freeze(model, document_digest(tree)),
        artifacts=render_artifacts(targets),
        secrets=secrets,
    )
