"""`backplane plan`: compare a document with the live systems."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from backplane_compiler.cli.live import allow_option, exit_code, planned
from backplane_compiler.cli.options import Choices, compiled, document_options
from backplane_compiler.cli.output import Failure, emit, tell
from backplane_compiler.infra.tables import KINDS
from backplane_compiler.plan.codec import plan_to_bytes
from backplane_compiler.plan.plan import Plan
from backplane_compiler.plan.text import plan_text


@click.command()
@click.argument("document", metavar="DOC")
@click.option("-o", "--output", metavar="PLAN.json", help="Save the plan, for `backplane apply PLAN.json`.")
@click.option(
    "-f", "view", type=click.Choice(("text", "json")), default="text", show_default=True, help="Form of the plan."
)
@allow_option
@document_options
def command(document: str, output: str | None, view: str, allow: tuple[str, ...], choices: Choices) -> int:
    """Compare DOC with the live systems, and say what `apply` would do.

    Exit 0 where nothing is to change, 2 where something is, 3 where a step is blocked.

    \b
    Example:
      backplane plan backplane.yaml -o plan.json
      backplane plan --allow ordering:kafka.topic.experiment-errors backplane.yaml
    """
    plan = planned(compiled(document, choices, machine=sys.stderr), allow)
    raw = plan_to_bytes(plan)
    emit(raw.decode() if view == "json" else plan_text(plan, KINDS, verbose=choices.verbose))
    if output is not None:
        try:
            Path(output).write_bytes(raw)
        except OSError as error:
            raise Failure(f"{output}: cannot be written: {error.strerror}") from error
        if not choices.quiet:
            tell(f"saved {output}; {_next(plan, output)}")
    return exit_code(plan)


def _next(plan: Plan, path: str) -> str:
    if plan.is_blocked:
        return f"`backplane explain {path}` says what to do about the blocked steps"
    return f"`backplane apply {path}` executes exactly this plan"
