"""`backplane explain`: a saved plan in prose, or the page of a diagnostic code."""

from __future__ import annotations

from pathlib import Path

import click

from backplane_compiler.cli.options import accept_output_options
from backplane_compiler.cli.output import Failure, emit
from backplane_compiler.diagnostics.codes import code_names, explanation
from backplane_compiler.diagnostics.suggest import nearest
from backplane_compiler.infra.tables import KINDS
from backplane_compiler.plan.codec import PlanFormatError, plan_from_bytes
from backplane_compiler.plan.explain import explain_plan


@click.command()
@click.argument("subject", metavar="PLAN.json|CODE")
@accept_output_options
def command(subject: str) -> int:
    """Explain what a saved plan will do, or what a diagnostic code means.

    \b
    Example:
      backplane explain plan.json
      backplane explain unknown-key
    """
    if subject in code_names():
        emit(explanation(subject))
        return 0
    if not subject.endswith(".json") and not Path(subject).exists():
        near = nearest(subject, code_names())
        hint = f"did you mean `{near[0]}`?" if near else "a code is what stands in brackets, as in `error[unknown-key]`"
        raise Failure(f"there is no diagnostic code and no plan `{subject}`", hint=hint)
    try:
        plan = plan_from_bytes(Path(subject).read_bytes(), name=subject)
    except OSError as error:
        raise Failure(f"{subject}: cannot be read: {error.strerror}") from error
    except PlanFormatError as error:
        hint = f"a document is planned first: backplane plan {subject} -o plan.json"
        raise Failure(str(error), hint=hint if subject.endswith((".yaml", ".yml")) else None) from error
    emit(explain_plan(plan, KINDS))
    return 0
