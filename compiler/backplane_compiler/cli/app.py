"""The command `backplane`: which commands there are, and how each way of ending becomes an exit code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from enum import IntEnum

import click

from backplane_compiler.cli.lazy_group import LazyGroup
from backplane_compiler.cli.output import Failure, complain, tell

# name -> (module, one line of help). The order is the one in which people meet them.
COMMANDS = {
    "init": ("init", "Write a commented starter document and a ten-line publisher."),
    "check": ("check", "Check documents and write nothing."),
    "compile": ("compile", "Write the runtime config and the provisioning artifacts."),
    "plan": ("plan", "Compare a document with the live systems."),
    "apply": ("apply", "Bring about what a document or a saved plan says."),
    "drift": ("drift", "Say in one line each where live systems differ; for CI."),
    "explain": ("explain", "Explain a saved plan, or a diagnostic code."),
    "publish": ("publish", "Publish events from JSON lines and print the ledger."),
    "health": ("health", "Ask every server of a runtime config how it is."),
    "spool": ("spool.group", "Look at and move undelivered events."),
    "schema": ("schema", "Print a JSON Schema."),
}


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class Exit(IntEnum):
    """What the exit code says (design/architecture.md, "Exit codes")."""

    DONE = 0
    ERROR = 1
    CHANGES = 2
    BLOCKED = 3
    INTERRUPTED = 130


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `backplane init`, or see `backplane COMMAND --help` for examples.",
)
@click.version_option(package_name="experiment-backplane", prog_name="backplane")
@click.pass_context
def backplane(ctx: click.Context) -> int:
    """Compile one document into topics, queues, tables and a runtime config, and publish events to them.

    \b
    Example:
      backplane init demo && cd demo
      backplane check backplane.yaml
      backplane plan backplane.yaml
    """
    if ctx.invoked_subcommand is None:
        tell(ctx.get_help())
        return Exit.ERROR
    return Exit.DONE


def run(arguments: Sequence[str]) -> int:
    """Run the command line *arguments* and return the exit code; no traceback reaches the user without `--verbose`."""
    try:
        code: int | None = backplane.main(args=list(arguments), prog_name="backplane", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()  # here it can be said that the disk is full, at exit no more
    except (Exception, KeyboardInterrupt) as error:
        if "--verbose" in arguments and _is_bug(error):
            raise
        return _explain_end(error)
    return int(code or 0)


def _is_bug(error: BaseException) -> bool:
    return not _is_full(error) and not isinstance(
        error, (click.ClickException, click.Abort, Failure, KeyboardInterrupt, BrokenPipeError)
    )


def _is_full(error: BaseException) -> bool:
    """Say whether *error* comes from a standard output that takes no more; errors of files have a name."""
    return isinstance(error, OSError) and error.filename is None and error.errno in _FULL


def _explain_end(error: BaseException) -> int:
    """Say why a command ended early, and return its exit code."""
    match error:
        case Failure():
            complain(str(error), hint=error.hint)
            return error.code
        case click.UsageError():
            path = error.ctx.command_path if error.ctx else "backplane"
            complain(_in_our_style(error.format_message()), hint=f"see `{path} --help`")
        case click.ClickException():
            complain(_in_our_style(error.format_message()))
        case KeyboardInterrupt() | click.Abort():
            complain("interrupted")
            return Exit.INTERRUPTED
        case BrokenPipeError():
            _silence_stdout()
        case OSError() if _is_full(error):
            _silence_stdout()
            complain(f"standard output cannot be written: {error.strerror}")
        case _:
            complain(
                f"unexpected {type(error).__name__}; this is a bug in backplane",
                hint="run it again with --verbose and report what it prints",
            )
    return Exit.ERROR


def _in_our_style(message: str) -> str:
    """Return click's sentence as the rest of our texts are: lower case, no final stop."""
    return message[:1].lower() + message[1:].removesuffix(".")


def _silence_stdout() -> None:
    # The reader has gone, or the disk is full; without this the interpreter complains once more when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
