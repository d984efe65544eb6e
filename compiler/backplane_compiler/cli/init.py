"""`backplane init`: a starter document and a publisher."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from backplane_compiler.cli.output import Failure, tell

KINDS = ("sqlite", "kafka", "azureServiceBus", "sqlServer", "postgresql")


@click.command()
@click.argument("directory", metavar="[DIR]", default=".")
@click.option("--kind", type=click.Choice(KINDS, case_sensitive=False), default="sqlite", help="Type of the backplane.")
def command(directory: str, kind: str) -> int:
    """Write a commented starter document and a ten-line publisher into DIR; never overwrite.

    \b
    Example:
      backplane init shop --kind kafka
    """
    starters = files("backplane_templates") / "init"
    wanted = {"backplane.yaml": starters / f"{kind}.yaml", "publish.py": starters / "publish.py.txt"}
    folder = Path(directory)
    for name in wanted:
        if (folder / name).exists():
            raise Failure(f"{folder / name} is already there, and init never overwrites", hint="choose another DIR")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, starter in wanted.items():
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write(starter.read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}") from error
    tell(f"wrote {folder / 'backplane.yaml'} and {folder / 'publish.py'}")
    tell(f"next: cd {folder} && backplane check backplane.yaml && backplane compile backplane.yaml -o build")
    return 0
