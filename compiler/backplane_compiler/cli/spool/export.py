"""`backplane spool export`: the undelivered events of a folder, in a file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from backplane_compiler.cli.options import Choices, output_options
from backplane_compiler.cli.output import Failure, counted, tell
from backplane_compiler.cli.spool.place import folder_named
from backplane_compiler.cli.spool.selection import Selection
from backplane_runtime.spool.files import FILES


@click.command()
@click.argument("folder", metavar="FOLDER")
@click.option("-o", "--output", required=True, metavar="FILE", help="File to write; it must not be there.")
@click.option("--destination", metavar="NAME", help="Only what this backplane has not got yet.")
@output_options
def command(folder: str, output: str, destination: str | None, choices: Choices) -> int:
    """Write the undelivered events of FOLDER to FILE, one envelope a line; FOLDER stays as it is.

    FILE appears when it is complete, for its owner only. Exit 1 if some events are damaged or missing; FILE holds the others.

    \b
    Example:
      backplane spool export 20260131T100000.000000Z-4711-3f9a2c10 -o undelivered.jsonl
    """
    target = Path(output)
    if target.exists():
        raise Failure(f"{output} is already there", hint="choose another name, or remove it")
    selection = Selection(folder_named(folder), destination)
    try:
        count = _write(target, selection)
    except OSError as error:
        raise Failure(f"{output}: cannot be written: {error.strerror}") from error
    if not choices.quiet:
        tell(f"wrote {counted(count, 'event')} to {output}")
    return 1 if selection.complained() else 0


def _write(target: Path, selection: Selection) -> int:
    """Write every event, durably, and return how many there are."""
    count = 0
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        try:
            for line in selection:
                file.write(line + b"\n")
                count += 1
            file.flush()
            FILES.sync(file.fileno())
            Path(file.name).rename(target)
            FILES.sync_folder(target.parent)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)  # it may have its name already
            raise
    return count
