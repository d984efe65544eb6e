"""One way for tests to compile a text: up to the model and its rules, and to the frozen bytes."""

from __future__ import annotations

from dataclasses import dataclass

from backplane_compiler.diagnostics import Diagnostic, SourceFile, has_errors, sort_key
from backplane_compiler.diagnostics.concise import render_concise
from backplane_compiler.frozen.build import document_digest, freeze
from backplane_compiler.handlers import registered_handlers
from backplane_compiler.model.model import Model
from backplane_compiler.model.resolve import resolve_model
from backplane_compiler.model.secrets import hide_secrets
from backplane_compiler.rules import check_rules
from backplane_compiler.schema.load import check_document
from backplane_compiler.source import parse_source, select_environment
from backplane_runtime.config import to_bytes


@dataclass(frozen=True, slots=True)
class Checked:
    """What a text compiles to; `out` is the diagnostics, one a line."""

    diagnostics: tuple[Diagnostic, ...]
    model: Model | None
    frozen: bytes | None
    out: str

    @property
    def codes(self) -> list[str]:
        """The codes in the order of the source."""
        return [found.code for found in self.diagnostics]


def check(text: str, *, name: str = "doc.yaml", env: str | None = None) -> Checked:
    """Compile *text* as the pipeline does, without files and artifacts."""
    tree, found = parse_source(SourceFile(name, text))
    assert tree is not None, found
    tree, more = select_environment(tree, env)
    hidden = hide_secrets(tree)
    found = (*found, *more, *hidden.diagnostics)
    model: Model | None = None
    if not has_errors(found):
        document, more = check_document(hidden.tree, registered_handlers())
        found += more
        if document is not None:
            model, more = resolve_model(document, hidden.tree, hidden.secrets)
            found += more
    if model is not None:
        found += check_rules(model, registered_handlers())
    ordered = tuple(sorted(found, key=sort_key))
    good = model is not None and not has_errors(ordered)
    frozen = to_bytes(freeze(model, document_digest(hidden.tree))) if good and model is not None else None
    return Checked(ordered, model, frozen, render_concise(ordered, secrets=hidden.texts))
