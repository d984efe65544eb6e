"""`backplane spool ls`: the folders of a spool, their owners, and what is undelivered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import msgspec

from backplane_compiler.cli.options import Choices, output_options
from backplane_compiler.cli.output import Failure, counted, emit, tell
from backplane_compiler.cli.spool.place import folders_in
from backplane_compiler.plan.values import escaped
from backplane_runtime.spool.inspection import Backlog, FolderView, look_at
from backplane_runtime.spool.layout import default_root


@click.command()
@click.argument("directory", metavar="[DIR]", required=False)
@click.option(
    "-f", "view", type=click.Choice(("text", "json")), default="text", show_default=True, help="Form of the answer."
)
@output_options
def command(directory: str | None, view: str, choices: Choices) -> int:
    """List the folders of the spool in DIR (default: where spools are unless a document says otherwise).

    Each process has a folder of its own. One whose owner is dead is delivered by the next process with the same
    backplanes; it waits as long as there is none.

    \b
    Example:
      backplane spool ls
      backplane spool ls /var/spool/checkout -f json
    """
    seen = [folder for path in folders_in(directory) if (folder := _looked_at(path)) is not None]
    if view == "json":
        emit(msgspec.json.format(msgspec.json.encode([_fields(folder) for folder in seen]), indent=2).decode())
    elif seen:
        emit("\n\n".join("\n".join(_text(folder)) for folder in seen))
    elif not choices.quiet:
        tell(f"nothing is spooled in {directory or default_root()}")
    return 0


def _looked_at(path: Path) -> FolderView | None:
    try:
        return look_at(path)
    except FileNotFoundError:
        return None  # its owner has just removed it
    except OSError as error:
        raise Failure(f"{path}: cannot be read: {error.strerror}") from error


def _text(view: FolderView) -> Iterator[str]:
    state = "alive" if view.is_alive else "dead"
    owner = f", pid {view.meta.pid} on {escaped(view.meta.host)}" if view.meta else ""
    program = f" ({escaped(view.meta.program)})" if view.meta and view.meta.program else ""
    age = f", started {_age(view.meta.started)} ago" if view.meta else ""
    yield f"{view.name}  {state}{owner}{program}{age}, {_size(view.size)}"
    if view.problem:
        yield f"  {escaped(view.problem)}; it holds {counted(view.end - 1, 'event')} at most"
    width = max((len(backlog.destination.name) for backlog in view.backlogs), default=0)
    for backlog in view.backlogs:
        yield f"  {_backlog(backlog, width)}"
    if view.set_aside:
        yield f"  {counted(view.set_aside, 'event')} set aside: backplane spool cat {view.name} --set-aside"
    if view.quarantined:
        yield f"  {_size(view.quarantined)} in quarantine: {view.path / 'quarantine'}"


def _backlog(backlog: Backlog, width: int) -> str:
    name = escaped(backlog.destination.name)
    return f"{name:<{width}}  {escaped(backlog.destination.type)}  {counted(backlog.waiting, 'event')} undelivered"


def _fields(view: FolderView) -> dict[str, object]:
    meta = view.meta
    return {
        "name": view.name,
        "path": str(view.path),
        "alive": view.is_alive,
        "pid": meta.pid if meta else None,
        "host": meta.host if meta else None,
        "program": meta.program if meta else None,
        "started": meta.started if meta else None,
        "bytes": view.size,
        "events": view.end - 1,
        "destinations": [
            {
                "name": backlog.destination.name,
                "type": backlog.destination.type,
                "target": backlog.destination.target,
                "undelivered": backlog.waiting,
            }
            for backlog in view.backlogs
        ],
        "setAside": view.set_aside,
        "quarantinedBytes": view.quarantined,
        "problem": view.problem or None,
    }


def _size(size: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return counted(size, "byte")


def _age(started: str) -> str:
    try:
        age = datetime.now(UTC) - datetime.fromisoformat(started)
    except (ValueError, TypeError):  # no moment, or one without a zone
        return "?"
    for unit, length in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1))):
        if age >= length:
            return f"{age // length} {unit}"
    return f"{max(0, age // timedelta(seconds=1))} s"
