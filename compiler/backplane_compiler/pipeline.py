"""The page: every phase of the compiler, in order.

    source text -> located tree -> without secrets -> Document -> Model -> rules -+-> targets -> artifacts
     (yaml/json)     (spans)        (references)    (as written) (resolved)       +-> FrozenConfig -> runtime.json

A phase returns what it made and what it has to say. All errors of a phase are told at once, and the first phase that finds
one is the last that runs, so that one cause gives one message. Nothing here asks a network, a clock or the environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from backplane_compiler.diagnostics import Diagnostic, has_errors, sort_key
from backplane_compiler.diagnostics.masking import mask_diagnostic
from backplane_compiler.frozen.build import document_digest, freeze
from backplane_compiler.handlers import Handlers, lower_with, registered_handlers
from backplane_compiler.infra.state import Target
from backplane_compiler.model.model import Model
from backplane_compiler.model.resolve import resolve_model
from backplane_compiler.model.secret_forms import secrets_in_source
from backplane_compiler.model.secrets import hide_secrets
from backplane_compiler.render import Artifact, render_artifacts
from backplane_compiler.rules import check_rules
from backplane_compiler.schema.document import Document
from backplane_compiler.schema.load import check_document
from backplane_compiler.source import Node, load_tree
from backplane_runtime.config import FrozenConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """What a document compiles to; what comes after the first phase with errors is missing.

    `secrets` are those that stand in clear in the document: whoever shows diagnostics masks them.
    """

    diagnostics: tuple[Diagnostic, ...] = ()
    document: Document | None = None
    model: Model | None = None
    infra: tuple[Target, ...] = ()
    frozen: FrozenConfig | None = None
    artifacts: tuple[Artifact, ...] = ()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def ok(self) -> bool:
        """Say whether the document compiled."""
        return self.frozen is not None


def compile_file(path: str | Path, *, env: str | None = None, overlays: Sequence[str | Path] = ()) -> Compilation:
    """Compile the document at *path*, with one of its `environments` and with *overlays* merged over it, in order.

    Reads these files and nothing else. Never raises for what a document says: see `Compilation.diagnostics`.
    """
    tree, found = load_tree(path, env=env, overlays=overlays)
    result = Compilation() if tree is None else compile_tree(tree, registered_handlers())
    ordered = sorted((*found, *result.diagnostics), key=sort_key)
    # Lines of the source are shown, with what stands on them beside the part that the compiler has looked at.
    sources = {item.span.file.text for item in ordered if item.span is not None}
    secrets = result.secrets.union(*map(secrets_in_source, sources))
    return replace(result, diagnostics=tuple(mask_diagnostic(item, secrets) for item in ordered), secrets=secrets)


def compile_tree(tree: Node, handlers: Handlers) -> Compilation:
    """Compile a located tree: every phase after reading."""
    hidden = hide_secrets(tree)
    result = Compilation(diagnostics=hidden.diagnostics, secrets=hidden.texts)

    document, found = check_document(hidden.tree, handlers)
    result = replace(result, document=document, diagnostics=(*result.diagnostics, *found))
    if document is None:
        return result

    model, found = resolve_model(document, hidden.tree, hidden.secrets)
    result = replace(result, model=model, diagnostics=(*result.diagnostics, *found))
    if model is None:
        return result

    result = replace(result, diagnostics=(*result.diagnostics, *check_rules(model, handlers)))
    if has_errors(result.diagnostics):
        return result

    targets, found = lower_with(handlers, model)
    result = replace(result, diagnostics=(*result.diagnostics, *found))
    if has_errors(found):
        return result

    return replace(
        result,
        infra=targets,
        frozen=freeze(model, document_digest(hidden.tree)),
        artifacts=render_artifacts(targets),
    )
