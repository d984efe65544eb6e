"""`backplane check`: compile and write nothing."""

from __future__ import annotations

import click

from backplane_compiler.cli.options import Choices, document_options, refuse_what_we_wrote, show_diagnostics
from backplane_compiler.cli.output import tell
from backplane_compiler.pipeline import compile_file


@click.command()
@click.argument("documents", nargs=-1, required=True, metavar="DOC...")
@document_options
def command(documents: tuple[str, ...], choices: Choices) -> int:
    """Check documents and write nothing; exit 1 if one has an error.

    \b
    Example:
      backplane check backplane.yaml
      backplane check --format github backplane.yaml
      backplane check --env prod backplane.yaml     # where it has `environments: {prod: ...}`
    """
    for path in documents:
        refuse_what_we_wrote(path)
    compilations = tuple(compile_file(path, env=choices.env, overlays=choices.overlays) for path in documents)
    show_diagnostics(compilations, choices)
    if choices.form == "text" and not choices.quiet:
        for path, compilation in zip(documents, compilations, strict=True):
            tell(f"{path}: {'ok' if compilation.ok else 'does not compile'}")
    return 0 if all(compilation.ok for compilation in compilations) else 1
