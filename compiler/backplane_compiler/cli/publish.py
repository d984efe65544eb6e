"""`backplane publish`: events as JSON lines, and the ledger at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO

import click
import msgspec

from backplane_compiler.cli.options import accept_output_options
from backplane_compiler.cli.output import Failure, complain, emit, tell
from backplane_compiler.cli.plane import opened
from backplane_compiler.diagnostics.suggest import nearest
from backplane_compiler.plan.values import escaped
from backplane_runtime import DataPlane, Status
from backplane_runtime.events import AnalysisSignal, Assignment, Error, Event, Exposure, Outcome

_EVENTS: dict[str, type[Event]] = {
    kind.event_type.value.casefold(): kind for kind in (Exposure, Assignment, Outcome, AnalysisSignal, Error)
}
_FLUSH_EVERY = 2_000  # events; a file is read faster than a server takes it, and the queue is bounded
_SHOWN_PROBLEMS = 20
_REASON_WITHIN = 1.0  # seconds; with the default --timeout and the closing, the user knows within 10


@dataclass
class _Reading:
    """What became of the lines so far."""

    name: str
    number: int = 0
    problems: int = 0

    def complain(self, text: str) -> None:
        self.problems += 1
        if self.problems <= _SHOWN_PROBLEMS:
            tell(f"{self.name}:{self.number}: {text}")


@click.command()
@click.argument("config", metavar="RUNTIME.json")
@click.option(
    "-f",
    "--file",
    "path",
    default="-",
    metavar="FILE",
    help="Events as JSON lines; without it, or as `-`, standard input.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=4.0,
    show_default=True,
    help="Seconds without progress before it gives up.",
)
@accept_output_options
def command(config: str, path: str, timeout: float) -> int:
    """Publish events that are JSON lines, and print the ledger.

    A line has an `eventType` (exposure, assignment, outcome, analysisSignal, error) and the fields of that event, as in
    `backplane schema events`. A line that is not an event is reported, and the rest goes on; the exit code is then 1.

    \b
    Example:
      echo '{"eventType": "outcome", "experimentName": "checkout", "subjectId": "u1", "metric": "revenue", "value": 20}' \\
        | backplane publish build/runtime.json
    """
    plane = opened(config)
    reading = _Reading(name="standard input" if path == "-" else path)
    try:
        with ExitStack() as stack:
            delivered = _publish(plane, _opened_lines(path, stack), reading, timeout)
        reason = "" if delivered else plane.health(timeout=_REASON_WITHIN).message
    finally:
        # Also on Ctrl-C, which must answer within a second or so: close waits for `closeTimeoutMs` at most.
        plane.close()
        emit(msgspec.json.format(msgspec.json.encode(plane.ledger()), indent=2).decode())
    if not delivered:
        raise Failure(f"not every event was delivered: {reason}")
    if reading.problems:
        complain(f"{reading.problems} of {reading.number} lines were not published")
    return 1 if reading.problems else 0


def _opened_lines(path: str, stack: ExitStack) -> BinaryIO:
    if path == "-":
        return sys.stdin.buffer
    try:
        return stack.enter_context(open(path, "rb"))  # noqa: PTH123  the stack closes it
    except OSError as error:
        raise Failure(f"{path}: cannot be read: {error.strerror}") from error


def _publish(plane: DataPlane, lines: BinaryIO, reading: _Reading, timeout: float) -> bool:
    """Publish every event in *lines*, and say whether all of them were delivered."""
    for event in _events(lines, reading):
        if plane.publish(event) is Status.DROPPED:
            reading.complain("was dropped; see the log above")
        if reading.number % _FLUSH_EVERY == 0 and not _flushed(plane, timeout):
            return False
    return _flushed(plane, timeout)


def _flushed(plane: DataPlane, patience: float) -> bool:
    """Wait for all that was published; give up after *patience* seconds in which none of it was delivered."""
    waiting = plane.ledger().total.in_flight
    while not plane.flush(patience):
        left = plane.ledger().total.in_flight
        if left >= waiting:
            return False
        waiting = left
    return True


def _events(lines: BinaryIO, reading: _Reading) -> Iterator[Event]:
    for reading.number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield _event(line)
            except (msgspec.DecodeError, ValueError) as error:
                reading.complain(escaped(str(error)))
            except RecursionError:
                reading.complain("is nested too deep")


def _event(line: bytes) -> Event:
    fields = msgspec.json.decode(line, type=dict[str, object])
    name = fields.pop("eventType", None)
    if not isinstance(name, str) or name.casefold() not in _EVENTS:
        known = ", ".join(kind.event_type.value for kind in _EVENTS.values())
        raise ValueError(f"`eventType` must be one of {known}")
    kind = _EVENTS[name.casefold()]
    _refuse_unknown(fields, kind)
    return msgspec.convert(fields, kind)


def _refuse_unknown(fields: Iterable[str], kind: type[Event]) -> None:
    """Raise ValueError for a field that *kind* does not have: ignored, what it says would be lost without a word."""
    known = tuple(field.encode_name for field in msgspec.structs.fields(kind))
    for name in fields:
        if name not in known:
            near = nearest(name, known)
            ending = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
            raise ValueError(f"`{kind.event_type.value}` has no field `{name}`; {ending}")
