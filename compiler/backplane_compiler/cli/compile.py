"""`backplane compile`: write the runtime config and the provisioning artifacts."""

from __future__ import annotations

import click

from backplane_compiler.build import BuildError, build_files, write_build
from backplane_compiler.cli.options import Choices, compiled, document_options
from backplane_compiler.cli.output import Failure, tell


@click.command()
@click.argument("document", metavar="DOC")
@click.option("-o", "--output", "directory", required=True, metavar="DIR", help="Folder to write to; made if missing.")
@document_options
def command(document: str, directory: str, choices: Choices) -> int:
    """Write the runtime config and the provisioning artifacts of DOC into DIR.

    A second run changes no byte. Of what is in DIR, only files that an earlier run wrote are ever removed.

    \b
    Example:
      backplane compile backplane.yaml -o build
    """
    compilation = compiled(document, choices)
    try:
        report = write_build(directory, build_files(compilation))
    except BuildError as error:
        raise Failure(str(error)) from error
    if not choices.quiet:
        tell(f"{directory}: {report}")
    return 0
