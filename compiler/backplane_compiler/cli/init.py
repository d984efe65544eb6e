"""`backplane init`: a starter document and a publisher."""

from __future__ import annotations

import shlex
from importlib.resources import files
from pathlib import Path

import click

from backplane_compiler.cli.options import Choices, output_options
from backplane_compiler.cli.output import Failure, tell
from backplane_compiler.diagnostics.suggest import nearest

KINDS = ("sqlite", "kafka", "azureServiceBus", "sqlServer", "postgresql")


def _kind(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Return the one of KINDS that *value* names in any case; click's own choice would show them all in lower case."""
    known = {kind.casefold(): kind for kind in KINDS}
    if value.casefold() not in known:
        near = nearest(value, KINDS)
        ending = f"; did you mean `{near[0]}`?" if near else ""
        raise click.BadParameter(f"`{value}` is none of {', '.join(KINDS)}{ending}", ctx, param)
    return known[value.casefold()]


@click.command()
@click.argument("directory", metavar="[DIR]", default=".")
@click.option(
    "--kind", callback=_kind, metavar="KIND", default="sqlite", show_default=True, help=f"One of {', '.join(KINDS)}."
)
@output_options
def command(directory: str, kind: str, choices: Choices) -> int:
    """Write a commented starter document and a ten-line publisher into DIR (default: here); never overwrite.

    \b
    Example:
      backplane init shop --kind kafka
    """
    folder = Path(directory)
    _write(folder, kind)
    if not choices.quiet:
        tell(f"wrote {folder / 'backplane.yaml'} and {folder / 'publish.py'}")
        enter = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
        tell(f"next: {enter}backplane check backplane.yaml && backplane compile backplane.yaml -o build")
    return 0


def _write(folder: Path, kind: str) -> None:
    starters = files("backplane_templates") / "init"
    wanted = {"backplane.yaml": starters / f"{kind}.yaml", "publish.py": starters / "publish.py.txt"}
    for name in wanted:
        if (folder / name).exists():
            raise Failure(f"{folder / name} is already there, and init never overwrites", hint="choose another DIR")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, starter in wanted.items():
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write(starter.read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(f"{error.filename or folder}: cannot be written: {error.strerror}") from error
