"""What the commands that touch live systems share: planning, acknowledgements, exit codes."""

from __future__ import annotations

from collections.abc import Iterable

import click

from backplane_compiler.cli.output import Failure, tell
from backplane_compiler.live import make_plan
from backplane_compiler.pipeline import Compilation
from backplane_compiler.plan.plan import Acknowledgement, Plan, parse_acknowledgement
from backplane_compiler.providers.api import ProviderError

allow_option = click.option(
    "--allow", multiple=True, metavar="KIND:ADDRESS", help="Accept this risk for this resource; repeatable."
)


def planned(compilation: Compilation, allow: Iterable[str]) -> Plan:
    """Plan *compilation* with what the user allows.

    Raises:
        Failure: if a live system cannot be asked, or an acknowledgement cannot be read.
    """
    allowed = acknowledged(allow)
    try:
        plan = make_plan(compilation, allow=allowed)
    except ProviderError as error:
        raise Failure(str(error), hint=error.hint) from error
    warn_of_unused(plan)
    return plan


def acknowledged(allow: Iterable[str]) -> frozenset[tuple[Acknowledgement, str]]:
    """Read `KIND:ADDRESS` texts.

    Raises:
        Failure: for one of another form.
    """
    try:
        return frozenset(parse_acknowledgement(text) for text in allow)
    except ValueError as error:
        raise Failure(str(error)) from error


def warn_of_unused(plan: Plan) -> None:
    """Say which acknowledgements nothing asked for: most likely a typing error."""
    for kind, address in plan.unused_acknowledgements:
        tell(f"warning: nothing in this plan needs --allow {kind}:{address}")


def exit_code(plan: Plan) -> int:
    """Return 0 for an empty plan, 3 for a blocked one, 2 otherwise."""
    if plan.is_empty:
        return 0
    return 3 if plan.is_blocked else 2
