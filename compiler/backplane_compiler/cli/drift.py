"""`backplane drift`: where live systems differ, one line each."""

from __future__ import annotations

import sys

import click

from backplane_compiler.cli.live import planned
from backplane_compiler.cli.options import Choices, compiled, document_options
from backplane_compiler.cli.output import emit, tell
from backplane_compiler.infra.tables import KINDS
from backplane_compiler.plan.drift import drift_lines


@click.command()
@click.argument("document", metavar="DOC")
@document_options
def command(document: str, choices: Choices) -> int:
    """Say in one line each where live systems differ from DOC; exit 2 where one does.

    \b
    Example:
      backplane drift --quiet backplane.yaml || echo "look at it"
    """
    plan = planned(compiled(document, choices, machine=sys.stderr), ())
    lines = tuple(drift_lines(plan, KINDS))
    for line in lines:
        emit(line)
    if not lines and not choices.quiet:
        tell("no drift")
    return 2 if lines else 0
