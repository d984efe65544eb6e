"""`backplane apply`: bring about what a document or a saved plan says."""

from __future__ import annotations

import sys

import click

from backplane_compiler.apply import ApplyOptions, PlanBlockedError, StalePlanError
from backplane_compiler.apply_report import ApplyReport
from backplane_compiler.cli.live import acknowledged, allow_option, planned, warn_of_unused
from backplane_compiler.cli.options import Choices, compiled, document_options, read_json
from backplane_compiler.cli.output import Failure, emit
from backplane_compiler.cli.progress import blocked_lines, outcome_text, progress_for, say_stopping
from backplane_compiler.infra.tables import KINDS
from backplane_compiler.live import apply_plan
from backplane_compiler.pipeline import Compilation
from backplane_compiler.plan.codec import PlanFormatError, is_plan, plan_from_bytes
from backplane_compiler.plan.plan import Plan
from backplane_compiler.plan.text import plan_text
from backplane_compiler.providers.api import ProviderError

_BLOCKED_HINTS = {"text": "see the lines marked `!`", "json": "see the lines whose event is `blocked`"}


@click.command()
@click.argument("document", metavar="DOC|PLAN.json")
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.option(
    "-f",
    "view",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="Form of the progress: json is a line a step.",
)
@allow_option
@document_options
def command(document: str, view: str, allow: tuple[str, ...], choices: Choices, *, yes: bool) -> int:
    """Execute a saved plan, or plan DOC and execute that.

    Nothing is touched where a step is blocked (exit 3) or the world has moved since the plan was made. A second `apply`
    continues what a first one began. Ctrl-C finishes the running call, then stops (exit 130).

    \b
    Example:
      backplane apply backplane.yaml
      backplane apply plan.json --yes
    """
    plan, secrets = _plan_of(document, allow, choices)
    if view == "text":
        emit(plan_text(plan, KINDS, verbose=choices.verbose))
    if plan.is_empty:
        if view == "json":
            emit(outcome_text(ApplyReport(results=(), interrupted=False), view))
        return 0
    if plan.is_blocked:
        if view == "json":
            emit(blocked_lines(plan))
        raise Failure("nothing was applied: a step is blocked", hint=_BLOCKED_HINTS[view], code=3)
    _ask(yes=yes)
    return _execute(plan, secrets, view)


def _plan_of(path: str, allow: tuple[str, ...], choices: Choices) -> tuple[Plan, dict[str, str]]:
    """Return the plan that *path* holds or asks for, and what stood in clear in the document."""
    raw = read_json(path)
    if raw is None or not is_plan(raw):
        compilation = compiled(path, choices, machine=sys.stderr)
        return planned(compilation, allow), _secrets(compilation)
    if choices.env is not None or choices.overlays:
        raise Failure(
            f"{path} is a saved plan: --env and --overlay were chosen when it was made", hint="leave them out"
        )
    try:
        plan = plan_from_bytes(raw, name=path).with_allowed(acknowledged(allow))
    except PlanFormatError as error:
        raise Failure(str(error)) from error
    warn_of_unused(plan)
    return plan, {}


def _secrets(compilation: Compilation) -> dict[str, str]:
    return dict(compilation.model.secrets) if compilation.model else {}


def _ask(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Failure("nothing was applied: there is no terminal to ask on", hint="read the plan, then add --yes")
    if not click.confirm("Apply these changes?", err=True):
        raise Failure("nothing was applied")


def _execute(plan: Plan, secrets: dict[str, str], view: str) -> int:
    options = ApplyOptions(on_event=progress_for(view, plan), on_stop=say_stopping)
    try:
        report = apply_plan(plan, secrets=secrets, options=options)
    except (PlanBlockedError, StalePlanError) as error:
        raise Failure(str(error), hint="make the plan again", code=1) from error
    except ProviderError as error:
        raise Failure(str(error), hint=error.hint) from error
    emit(outcome_text(report, view))
    if report.interrupted:
        return 130
    return 0 if report.succeeded else 1
