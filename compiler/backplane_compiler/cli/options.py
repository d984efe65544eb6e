"""Options that several commands share, and what a command does with the document that they name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TextIO

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
    click.option(
        "--format",
        "form",
        type=click.Choice(FORMATS),
        default="text",
        show_default=True,
        help="Form of the diagnostics.",
    ),
)
_OUTPUT = (
    click.option(
        "--color",
        type=click.Choice(("auto", "always", "never")),
        default="auto",
        show_default=True,
        help="Colour of the diagnostics (and see NO_COLOR).",
    ),
    click.option("--quiet", is_flag=True, help="Print results and errors only."),
    click.option("--verbose", is_flag=True, help="Print more, and the traceback of an unexpected error."),
)
_OURS = re.compile(rb'"format"\s*:\s*"experiment-backplane/(?P<kind>[a-z-]+)"')
_TAKEN_BY = {
    b"plan": ("a saved plan", "hand it to `backplane apply` or `backplane explain`"),
    b"runtime": ("a frozen config", "hand it to `backplane publish` or `backplane health`"),
}
_CHOICES = frozenset(Choices.__dataclass_fields__)


def document_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options of every command that compiles a document; they arrive as one argument, `choices`."""
    return _with_options(command, (*_DOCUMENT, *_OUTPUT))


def output_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options of every other command; they arrive as one argument, `choices`."""
    return _with_options(command, _OUTPUT)


def accept_output_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the same to a command that has no use for them, so that a script may give them to all commands alike."""

    @wraps(command)
    def without_choices(choices: Choices, **given: Any) -> int:  # noqa: ARG001  `--verbose` is seen by `app.run`
        return command(**given)

    return output_options(without_choices)


def _with_options(command: Callable[..., int], options: tuple[Callable[[Any], Any], ...]) -> Callable[..., int]:
    @wraps(command)
    def bundled(**given: Any) -> int:
        choices = Choices(**{name: value for name, value in given.items() if name in _CHOICES})
        return command(choices=choices, **{name: value for name, value in given.items() if name not in _CHOICES})

    decorated: Callable[..., int] = bundled
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def compiled(path: str, choices: Choices, *, machine: TextIO | None = None) -> Compilation:
    """Compile the document at *path* and show what there is to say about it; *machine* as in `report`.

    Raises:
        Failure: if it does not compile.
    """
    refuse_what_we_wrote(path)
    compilation = compile_file(path, env=choices.env, overlays=choices.overlays)
    show_diagnostics((compilation,), choices, machine=machine)
    if not compilation.ok:
        raise Failure(f"{path} does not compile")
    return compilation


def refuse_what_we_wrote(path: str) -> None:
    """Say which command takes the file at *path*, where it is one of ours; as a document it would be a page of errors.

    Raises:
        Failure: if it is a frozen config, a plan, or another file that this program writes.
    """
    found = _OURS.search(read_json(path) or b"")
    if found is not None:
        name, hint = _TAKEN_BY.get(found["kind"], ("part of a build", "name the document that it was compiled from"))
        raise Failure(f"{path} is {name}, not a document", hint=hint)


def read_json(path: str) -> bytes | None:
    """Return the bytes of *path* where its name ends in `.json`; what keeps it from being read is said by the compiler."""
    try:
        return Path(path).read_bytes() if path.endswith(".json") else None
    except OSError:
        return None


def show_diagnostics(compilations: tuple[Compilation, ...], choices: Choices, *, machine: TextIO | None = None) -> None:
    """Report the diagnostics of *compilations*, with the secrets of their documents masked; *machine* as in `report`."""
    found = [item for compilation in compilations for item in compilation.diagnostics]
    if choices.quiet:
        found = [item for item in found if item.severity == "error"]
    secrets = frozenset[str]().union(*(compilation.secrets for compilation in compilations))
    report(found, form=choices.form, color=choices.color, secrets=secrets, machine=machine)
