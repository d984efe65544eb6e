"""`backplane spool cat`: events as JSON lines."""

from __future__ import annotations

import sys

import click
import msgspec

from backplane_compiler.cli.options import accept_output_options
from backplane_compiler.cli.output import Failure, emit
from backplane_compiler.cli.spool.place import folder_named
from backplane_compiler.cli.spool.selection import Selection
from backplane_runtime.spool.keeping import read_set_aside


@click.command()
@click.argument("folder", metavar="FOLDER")
@click.option("--destination", metavar="NAME", help="Only what this backplane has not got yet.")
@click.option("--set-aside", is_flag=True, help="The events that a backplane refused for good, with the reason.")
@click.option("--all", "everything", is_flag=True, help="Delivered events too, as far as they are still there.")
@accept_output_options
def command(folder: str, destination: str | None, *, set_aside: bool, everything: bool) -> int:
    """Print the undelivered events of FOLDER, one envelope a line; exit 1 if some are damaged or missing.

    FOLDER is a path, or a name that `backplane spool ls` prints.

    \b
    Example:
      backplane spool cat 20260131T100000.000000Z-4711-3f9a2c10 | jq .payload.experimentName
      backplane spool cat /var/spool/checkout/20260131T100000.000000Z-4711-3f9a2c10 --set-aside
    """
    path = folder_named(folder)
    if set_aside:
        try:
            for entry in read_set_aside(path):
                if destination in (None, entry.destination):
                    emit(msgspec.json.encode(entry).decode())
        except OSError as error:
            raise Failure(f"{path}: cannot be read: {error.strerror}") from error
        return 0
    selection = Selection(path, destination, everything=everything)
    for line in selection:
        sys.stdout.buffer.write(line + b"\n")
    return 1 if selection.complained() else 0
