"""`backplane spool`: which commands there are."""

from __future__ import annotations

import click

from backplane_compiler.cli.lazy_group import LazyGroup
from backplane_compiler.cli.output import tell

COMMANDS = {
    "ls": ("spool.ls", "List the folders: who owns them, what is undelivered."),
    "cat": ("spool.cat", "Print events as JSON lines."),
    "verify": ("spool.verify", "Check every byte and say what is damaged or missing."),
    "export": ("spool.export", "Write the undelivered events of a folder to a file."),
    "replay": ("spool.replay", "Deliver the events of a folder, or of a file, and then let go."),
}


@click.group(cls=LazyGroup, table=COMMANDS, invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> int:
    """Look at undelivered events on disk, while their process runs or when it is dead; only `replay` changes a byte.

    \b
    Example:
      backplane spool ls
      backplane spool cat 20260131T100000.000000Z-4711-3f9a2c10
    """
    if ctx.invoked_subcommand is None:
        tell(ctx.get_help())
        return 1
    return 0
