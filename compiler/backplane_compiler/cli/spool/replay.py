"""`backplane spool replay`: deliver what nobody else will."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

import click

from backplane_compiler.cli.options import Choices, output_options
from backplane_compiler.cli.output import Failure, tell
from backplane_compiler.cli.plane import assembled
from backplane_compiler.cli.spool.delivery import Counts, courier
from backplane_compiler.cli.spool.place import folder_named
from backplane_compiler.diagnostics.suggest import nearest
from backplane_compiler.plan.values import escaped
from backplane_runtime.lane import BATCH_BYTES, LaneOptions
from backplane_runtime.spool import Destination, SpoolFormatError, SpoolLog, take_over

_SHOWN_PROBLEMS = 20


@click.command()
@click.argument("source", metavar="FOLDER|FILE")
@click.argument("config", metavar="RUNTIME.json")
@click.option("--destination", metavar="NAME", help="Only what this backplane of FOLDER has not got yet.")
@click.option(
    "--to", "target", metavar="NAME", help="The backplane of RUNTIME.json that gets it. [default: the same name]"
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=4.0,
    show_default=True,
    help="Seconds without progress before it gives up.",
)
@output_options
def command(source: str, config: str, *, timeout: float, choices: Choices, **names: str | None) -> int:
    """Deliver the undelivered events of FOLDER, or the envelopes in FILE, with the backplanes of RUNTIME.json.

    For events that no process takes over: their backplane has another name now, or sends elsewhere. What is delivered is
    noted in FOLDER, which goes when nothing is left; FILE stays. What a backplane refuses is set aside in FOLDER. Exit 1 if
    some are refused, damaged or missing. An event whose fate is unknown is sent again: it keeps its id, so a table stores it once.

    \b
    Example:
      backplane spool replay 20260131T100000.000000Z-4711-3f9a2c10 build/runtime.json
      backplane spool replay undelivered.jsonl build/runtime.json --to archive
    """
    lanes = assembled(config).lanes
    try:
        if Path(source).is_file():
            results = _replay_file(Path(source), _chosen(lanes, **names), timeout)
        else:
            results = _replay_folder(folder_named(source), lanes, timeout, names)
    except OSError as error:
        raise Failure(f"{error.filename or source}: {error.strerror}") from error
    for name, counts in results:
        if not choices.quiet or not counts.is_complete:
            tell(f"{escaped(name)}: {counts}")
    return 0 if all(counts.is_complete for _, counts in results) else 1


def _taken_over(path: Path) -> SpoolLog:
    try:
        log = take_over(path)
    except SpoolFormatError as error:
        hint = f"save its events first: backplane spool export {path} -o FILE"
        raise Failure(f"{path}: {error}", hint=hint) from error
    if log is None:
        raise Failure(f"{path}: a process owns it, and delivers", hint="replay is for what a dead process left")
    return log


def _pairs(
    log: SpoolLog, lanes: Sequence[LaneOptions], *, destination: str | None, target: str | None
) -> list[tuple[Destination, LaneOptions]]:
    """Return who is owed something, each with the backplane that is to get it; all of them, or none."""
    known = {one.name: one for one in log.destinations}
    if destination is not None and destination not in known:
        raise Failure(f"{log.path} has no destination `{destination}`", hint=_hint(destination, known))
    owed = [one for one in log.destinations if log.position(one.name) < log.end and destination in (None, one.name)]
    if target is not None and len(owed) > 1:
        names = ", ".join(escaped(one.name) for one in owed)
        raise Failure(f"{log.path} holds events for several: {names}", hint="choose one of them: --destination NAME")
    return [(one, _lane(lanes, target or one.name)) for one in owed]


def _chosen(lanes: Sequence[LaneOptions], *, destination: str | None, target: str | None) -> Sequence[LaneOptions]:
    if destination is not None:
        raise Failure("--destination is about a folder", hint="--to chooses a backplane for the events of a file")
    return lanes if target is None else [_lane(lanes, target)]


def _lane(lanes: Sequence[LaneOptions], name: str) -> LaneOptions:
    by_name = {one.name: one for one in lanes}
    if name not in by_name:
        raise Failure(f"the config has no backplane `{name}`", hint=f"--to chooses one; {_hint(name, by_name)}")
    return by_name[name]


def _hint(name: str, known: Iterable[str]) -> str:
    near = nearest(name, list(known))
    return f"did you mean `{near[0]}`?" if near else f"there is: {', '.join(known)}"


def _replay_folder(
    path: Path, lanes: Sequence[LaneOptions], timeout: float, names: Mapping[str, str | None]
) -> list[tuple[str, Counts]]:
    log = _taken_over(path)
    try:
        pairs = _pairs(log, lanes, destination=names["destination"], target=names["target"])
        results = [(lane.name, _deliver(log, destination, lane, timeout)) for destination, lane in pairs]
    finally:
        log.close()
    if any(counts.refused for _, counts in results):
        tell(f"what was refused is set aside: backplane spool cat {path} --set-aside")
    return results


def _deliver(log: SpoolLog, destination: Destination, lane: LaneOptions, timeout: float) -> Counts:
    """Deliver and settle batch by batch, so that what is delivered is not delivered again, whatever happens then."""
    reader = log.reader(destination.name)
    with courier(lane, timeout, reader.set_aside) as one:
        while lines := reader.read(lane.batch_size, BATCH_BYTES):
            one.bring(lines, frozenset(destination.events))
            reader.settle(lines[-1][0] + 1)
            log.release()
    one.counts.lost = reader.skipped
    return one.counts


def _replay_file(path: Path, lanes: Sequence[LaneOptions], timeout: float) -> list[tuple[str, Counts]]:
    results: list[tuple[str, Counts]] = []
    for lane in lanes:
        with path.open("rb") as file, courier(lane, timeout, _Complaints(path)) as one:
            lines = enumerate((line.rstrip(b"\r\n") for line in file), start=1)
            while batch := [*islice(lines, lane.batch_size)]:
                types = frozenset(kind.value for kind in lane.events)
                one.bring(((number, line) for number, line in batch if line), types)
            results.append((lane.name, one.counts))
    return results


class _Complaints:
    """Says what is wrong with lines of the file *path*, with the first ones in full."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0

    def __call__(self, number: int, line: bytes, reason: str) -> None:  # noqa: ARG002 - a `Refuse`
        self._count += 1
        if self._count <= _SHOWN_PROBLEMS:
            tell(f"{self._path}:{number}: {escaped(reason)}")
