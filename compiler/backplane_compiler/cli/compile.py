"""`backplane compile`: write the runtime config and the provisioning artifacts."""

from __future__ import annotations

from pathlib import Path

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
    files = build_files(compiled(document, choices))
    try:
        report = write_build(Path(directory), files)
    except BuildError as error:
        raise Failure(str(error)) from error
    if not choices.quiet:
        for path in report.written:
            tell(f"wrote {Path(directory) / path}")
        for path in report.removed:
            tell(f"removed {Path(directory) / path}")
        if not report.written and not report.removed:
            tell(f"{directory} is as it should be; no file changed")
    return 0
