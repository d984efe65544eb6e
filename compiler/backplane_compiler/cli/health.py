"""`backplane health`: ask every server of a runtime config."""

from __future__ import annotations

import click
import msgspec

from backplane_compiler.cli.options import Choices, output_options
from backplane_compiler.cli.output import emit
from backplane_compiler.cli.plane import opened
from backplane_runtime.health import Health


@click.command()
@click.argument("config", metavar="RUNTIME.json")
@click.option(
    "-f", "view", type=click.Choice(("text", "json")), default="text", show_default=True, help="Form of the answer."
)
@click.option("--timeout", type=click.FloatRange(min=0.1), default=5.0, show_default=True, help="Seconds to wait.")
@output_options
def command(config: str, view: str, timeout: float, choices: Choices) -> int:
    """Ask every server that RUNTIME.json names; exit 1 where one is not well.

    \b
    Example:
      backplane health build/runtime.json
      backplane health -f json build/runtime.json
    """
    with opened(config) as plane:
        health = plane.health(timeout=timeout)
    if view == "json":
        emit(msgspec.json.format(msgspec.json.encode(health), indent=2).decode())
    else:
        emit(_text(health, verbose=choices.verbose))
    return 0 if health.healthy else 1


def _text(health: Health, *, verbose: bool) -> str:
    width = max((len(name) for name in health.backplanes), default=0)
    lines: list[str] = []
    for name, answer in health.backplanes.items():
        lines.append(f"{'ok  ' if answer.healthy else 'FAIL'}  {name:<{width}}  {answer.message}")
        if verbose:
            lines += [f"        {key}: {value}" for key, value in answer.details.items()]
    return "\n".join(lines)
