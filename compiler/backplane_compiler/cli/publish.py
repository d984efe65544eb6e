"""`backplane publish`: events as JSON lines, and the ledger at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import BinaryIO

import click
import msgspec

from backplane_compiler.cli.options import Choices, output_options
from backplane_compiler.cli.output import Failure, complain, emit, tell
from backplane_compiler.cli.plane import HeldNotes, opened
from backplane_compiler.diagnostics.suggest import nearest
from backplane_compiler.plan.values import escaped
from backplane_runtime import DataPlane, Status
from backplane_runtime.events import AnalysisSignal, Assignment, Error, Event, Exposure, Outcome

_EVENTS: dict[str, type[Event]] = {
    kind.event_type.value.casefold(): kind for kind in (Exposure, Assignment, Outcome, AnalysisSignal, Error)
}
_FLUSH_EVERY = 2_000  # events; a file is read faster than a server takes it, and the queue is bounded
_SHOWN_PROBLEMS = 20
_HOW_LINES_LOOK = (
    "`backplane schema events` has the fields of each event, and `backplane publish --help` a line that works"
)
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
@output_options
def command(config: str, path: str, timeout: float, choices: Choices) -> int:
    """Publish events that are JSON lines, and print the ledger.

    A line has an `eventType` (exposure, assignment, outcome, analysisSignal, error) and the fields of that event, as in
    `backplane schema events`. A line that is not an event is reported, and the rest goes on; the exit code is then 1, as
    it is where a server refuses an event.

    \b
    Example:
      echo '{"eventType": "outcome", "experimentName": "checkout", "subjectId": "u1", "metric": "revenue", "value": 20}' \\
        | backplane publish build/runtime.json
    """
    reading = _Reading(name="standard input" if path == "-" else path)
    log = None if choices.verbose else HeldNotes()
    reason = None
    with ExitStack() as stack:
        lines = _opened_lines(path, stack)
        plane = opened(config, log)
        try:
            if not _publish(plane, lines, reading, timeout):
                reason = _reason(plane, timeout)
        finally:
            lost = plane.ledger().total.dropped  # so far, for reasons of their own
            # Also on Ctrl-C, which must answer within a second or so: close waits for `closeTimeoutMs` at most.
            plane.close()
            ledger = plane.ledger()
            emit(msgspec.json.format(msgspec.json.encode(ledger), indent=2).decode())
            if log is not None and (reason is None or lost):  # otherwise the reason says all that the notes would
                for note in log.notes:
                    tell(note)
    if reason is not None:
        kept = ledger.total.spooled
        later = f"; {kept} of them wait in the spool, and are delivered by the next run" if kept else ""
        raise Failure(f"not every event was delivered: {reason}{later}")
    if reading.problems:
        complain(f"{reading.problems} of {reading.number} lines were not published", hint=_HOW_LINES_LOOK)
    if ledger.total.dropped:
        complain(f"events that were dropped: {ledger.total.dropped}; see the log above")
    return 1 if reading.problems or ledger.total.dropped else 0


def _opened_lines(path: str, stack: ExitStack) -> BinaryIO:
    if path == "-":
        if sys.stdin is None:
            raise Failure("standard input is closed, so there is nothing to read", hint="name a file: -f FILE")
        return sys.stdin.buffer
    try:
        return stack.enter_context(open(path, "rb"))  # noqa: PTH123  the stack closes it
    except OSError as error:
        raise Failure(f"{path}: cannot be read: {error.strerror}") from error


def _publish(plane: DataPlane, lines: BinaryIO, reading: _Reading, timeout: float) -> bool:
    """Publish every event in *lines*, and say whether all of them were delivered."""
    for event in _events(lines, reading):
        if plane.publish(event) is Status.DROPPED:
            reading.complain("was dropped; the reason is below")
        if reading.number % _FLUSH_EVERY == 0 and not _flushed(plane, timeout):
            return False
    return _flushed(plane, timeout)


def _flushed(plane: DataPlane, patience: float) -> bool:
    """Wait for all that was published; give up after *patience* seconds in which none of it was delivered."""
    waiting = _waiting(plane)
    while not plane.flush(patience):
        left = _waiting(plane)
        if left >= waiting:
            return False
        waiting = left
    return True


def _waiting(plane: DataPlane) -> int:
    total = plane.ledger().total
    return total.in_flight + total.spooled


def _reason(plane: DataPlane, patience: float) -> str:
    """Return what is wrong with each backplane that did not take its events, or that all of them are merely slow."""
    answers = plane.health(timeout=_REASON_WITHIN).backplanes.items()
    # What the last attempt met comes first: a server that is well may refuse events, for want of a permission or a column.
    wrong = {
        name: answer.details.get("lastError", "" if answer.healthy else answer.message) for name, answer in answers
    }
    said = "; ".join(f"{name}: {text}" for name, text in wrong.items() if text)
    return said or f"none was acknowledged within {patience:g} s"


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
    known = _field_names(kind)
    for name in fields:
        if name not in known:
            near = nearest(name, known)
            ending = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
            raise ValueError(f"`{kind.event_type.value}` has no field `{name}`; {ending}")


@cache  # 50 µs, a hundred times what the rest of a line takes
def _field_names(kind: type[Event]) -> tuple[str, ...]:
    return tuple(field.encode_name for field in msgspec.structs.fields(kind))
