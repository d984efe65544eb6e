"""One way for tests to compile a text: every phase, up to the bytes of every file."""

from __future__ import annotations

from dataclasses import dataclass

from backplane_compiler.build import build_files
from backplane_compiler.diagnostics import Diagnostic, SourceFile, has_errors, sort_key
from backplane_compiler.diagnostics.concise import render_concise
from backplane_compiler.handlers import registered_handlers
from backplane_compiler.model.model import Model
from backplane_compiler.pipeline import Compilation, compile_tree
from backplane_compiler.render import Artifact
from backplane_compiler.source import parse_source, select_environment


@dataclass(frozen=True, slots=True)
class Checked:
    """What a text compiles to; `out` is the diagnostics, one a line, `outputs` the text of every file."""

    diagnostics: tuple[Diagnostic, ...]
    model: Model | None
    frozen: bytes | None
    out: str
    outputs: tuple[str, ...] = ()

    @property
    def codes(self) -> list[str]:
        """The codes in the order of the source."""
        return [found.code for found in self.diagnostics]


def check(text: str, *, name: str = "doc.yaml", env: str | None = None) -> Checked:
    """Compile *text* as the pipeline does, without reading files; whatever compiles is also rendered."""
    tree, found = parse_source(SourceFile(name, text))
    assert tree is not None, found
    tree, more = select_environment(tree, env)
    found = (*found, *more)
    result = Compilation() if has_errors(found) else compile_tree(tree, registered_handlers())
    ordered = tuple(sorted((*found, *result.diagnostics), key=sort_key))
    files = build_files(result) if result.ok else {}
    frozen = files.get("runtime.json")
    assert frozen is None or isinstance(frozen, bytes)
    outputs = tuple(file.text if isinstance(file, Artifact) else file.decode() for file in files.values())
    return Checked(ordered, result.model, frozen, render_concise(ordered, secrets=result.secrets), outputs)
