"""`backplane spool verify`: is every byte as it was written?"""

from __future__ import annotations

from pathlib import Path

import click

from backplane_compiler.cli.options import Choices, output_options
from backplane_compiler.cli.output import Failure, counted, emit, tell
from backplane_compiler.cli.spool.place import folders_in
from backplane_runtime.spool.verification import Finding, verify


@click.command()
@click.argument("directory", metavar="[DIR]", required=False)
@output_options
def command(directory: str | None, choices: Choices) -> int:
    """Check every frame of every folder in DIR, or of the folder DIR, and print where one is damaged; exit 1 then.

    Damage keeps nobody from delivering the rest: a process passes over it, counts it, and keeps a copy in `quarantine/`.

    \b
    Example:
      backplane spool verify
      backplane spool verify /var/spool/checkout
    """
    paths = folders_in(directory)
    found = [finding for path in paths for finding in _verified(path)]
    for finding in found:
        emit(f"{finding.path}: {finding.text}")
    if not found and not choices.quiet:
        tell(f"{counted(len(paths), 'folder')}: ok")
    return 1 if found else 0


def _verified(path: Path) -> list[Finding]:
    try:
        return verify(path)
    except FileNotFoundError:
        return []  # its owner has just removed it
    except OSError as error:
        raise Failure(f"{path}: cannot be read: {error.strerror}") from error
