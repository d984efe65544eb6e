"""Options that several commands share, and what a command does with the document that they name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from backplane_compiler.cli.output import FORMATS, Failure, report
from backplane_compiler.pipeline import Compilation, compile_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the user chose beside the command's own arguments."""

    env: str | None = None
    overlays: tuple[str, ...] = ()
    form: str = "text"
    color: str = "auto"
    quiet: bool = False
    verbose: bool = False


_DOCUMENT = (
    click.option("--env", metavar="NAME", help="Use this entry of the document's `environments`."),
    click.option(
        "--overlay", "overlays", multiple=True, metavar="FILE", help="Merge FILE over the document; repeatable."
    ),
    click.option("--format", "form", type=click.Choice(FORMATS), default="text", help="Form of the diagnostics."),
)
_OUTPUT = (
    click.option(
        "--color", type=click.Choice(("auto", "always", "never")), default="auto", help="Colour (and see NO_COLOR)."
    ),
    click.option("--quiet", is_flag=True, help="Print results and errors only."),
    click.option("--verbose", is_flag=True, help="Print more, and the traceback of an unexpected error."),
)
_CHOICES = frozenset(Choices.__dataclass_fields__)


def document_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options of every command that compiles a document; they arrive as one argument, `choices`."""
    return _with_options(command, (*_DOCUMENT, *_OUTPUT))


def output_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options of every other command; they arrive as one argument, `choices`."""
    return _with_options(command, _OUTPUT)


def _with_options(command: Callable[..., int], options: tuple[Callable[[Any], Any], ...]) -> Callable[..., int]:
    @wraps(command)
    def bundled(**given: Any) -> int:
        choices = Choices(**{name: value for name, value in given.items() if name in _CHOICES})
        return command(choices=choices, **{name: value for name, value in given.items() if name not in _CHOICES})

    decorated: Callable[..., int] = bundled
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def compiled(path: str, choices: Choices) -> Compilation:
    """Compile the document at *path* and show what there is to say about it.

    Raises:
        Failure: if it does not compile.
    """
    compilation = compile_file(path, env=choices.env, overlays=choices.overlays)
    show_diagnostics((compilation,), choices)
    if not compilation.ok:
        raise Failure(f"{path} does not compile")
    return compilation


def show_diagnostics(compilations: tuple[Compilation, ...], choices: Choices) -> None:
    """Report the diagnostics of *compilations*, with the secrets of their documents masked."""
    found = [item for compilation in compilations for item in compilation.diagnostics]
    if choices.quiet:
        found = [item for item in found if item.severity == "error"]
    secrets = frozenset[str]().union(*(compilation.secrets for compilation in compilations))
    report(found, form=choices.form, color=choices.color, secrets=secrets)
