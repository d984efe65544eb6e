"""The contract of `backplanes.api.Backplane` as a test: public, for any backplane, ours and those of extensions.

Each check ends in an `AssertionError` with the sentence that is broken. Nothing here knows a backplane from within: all is
seen by its four methods, and by a *read_back* that reads the storage by another way.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from backplane_runtime.backplanes.api import Backplane, BackplaneHealth, Rejected, UnavailableError, Verdict
from backplane_runtime.contract.limits import (
    GRACE_SECONDS,
    HEALTH_SECONDS,
    PATIENCE_SECONDS,
    DeliveryThread,
    Verdicts,
    expect,
    expect_at_last,
    held,
    in_child,
)
from backplane_runtime.contract.samples import StoredEvent, hard_records, sample_records
from backplane_runtime.envelope import Record
from backplane_runtime.events import EventType

_LOOKS = 5


class ContractOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the check has to know about a backplane's nature.

    `forks=False`: its storage is the memory of one process, so that nobody could see what a child stores.
    `outage` makes the storage unreachable while it is entered, so that batches are tried again; without it that is not
    checked. `largest_text` is how many characters one attribute of an event may have; storages have limits.
    `send_seconds` is the time that one `send` may take, also when nobody answers.
    """

    forks: bool = True
    outage: Callable[[], AbstractContextManager[Any]] | None = None
    largest_text: int = 1_000_000
    send_seconds: float = 10.0


def check_backplane_contract(
    make_backplane: Callable[[], Backplane],
    read_back: Callable[[], Iterable[StoredEvent]],
    options: ContractOptions = ContractOptions(),  # noqa: B008 - immutable
) -> tuple[str, ...]:
    """Check that what *make_backplane* returns keeps the contract of `Backplane`, and return what could not be checked.

    *read_back* reads, by another way than the backplane itself, all that the storage holds, in the order of storing; order
    counts within each event type. The storage is empty at first, and all backplanes that are made write to it.

    Raises:
        AssertionError: with the sentence of the contract that is broken.
    """
    contract = _Contract(make_backplane, read_back, options)
    contract.check_unstarted()
    contract.check_deliveries()
    contract.check_closing()
    skipped = []
    if options.outage is None:
        skipped.append("a batch that is tried again after an outage: no `outage` was given")
    else:
        contract.check_outage(options.outage)
    if not options.forks:
        skipped.append("a forked child: the storage is the memory of one process")
    elif not hasattr(os, "fork"):
        skipped.append("a forked child: this platform has no os.fork")
    else:
        contract.check_fork()
    return tuple(skipped)


class _Contract:
    """The checks of one backplane, and what it was given so far."""

    def __init__(
        self,
        make: Callable[[], Backplane],
        read_back: Callable[[], Iterable[StoredEvent]],
        options: ContractOptions,
    ) -> None:
        self._make = make
        self._read_back = read_back
        self._options = options
        self._sent: list[Record] = []  # what was acknowledged, in order
        self._tells = False  # whether the backplane tells a repeat from a new record

    def check_unstarted(self) -> None:
        """Before `start`, health answers and `close` is harmless; making one opens nothing."""
        backplane = self._made_quietly()
        with DeliveryThread(self._options.send_seconds) as delivery:
            self._ask(backplane, "before `start`")
            for _ in ("once", "and again"):
                delivery.close(backplane, 0, "`close` is safe before `start`, and a second time")

    def _made_quietly(self) -> Backplane:
        made: list[Backplane] = []
        for _ in range(_LOOKS):  # another client in this process may open something at the very moment
            before = held()
            made.append(self._make())
            if held() <= before:
                return made[-1]
        raise AssertionError("constructing a backplane opens nothing: no thread, no file, no connection")

    def check_deliveries(self) -> None:
        """Everything about `send` that needs no fault."""
        with DeliveryThread(self._options.send_seconds) as delivery, delivery.started(self._make()) as backplane:
            self._send(delivery, backplane, sample_records())
            self._send(delivery, backplane, hard_records(self._options.largest_text))
            self._repeat(delivery, backplane)
            health = self._ask(backplane, "of another thread, while the backplane is at work")
            expect(health.healthy, f"a backplane that takes events is healthy; it says: {health.message}")

    def check_closing(self) -> None:
        """`close` lets go, may come twice, leaves health answering, and can be followed by `start`."""
        before = held()
        backplane = self._make()
        with DeliveryThread(self._options.send_seconds) as delivery:
            for _ in ("the first life", "the second"):
                delivery.start(backplane)
                self._send(delivery, backplane, sample_records(5))
                for _ in ("once", "and again"):
                    delivery.close(backplane, HEALTH_SECONDS, "`close` is safe a second time, and ends in time")
                self._ask(backplane, "after `close`")
        expect_at_last(lambda: held() <= before, "`close` lets go of everything: threads, files, connections")

    def check_outage(self, outage: Callable[[], AbstractContextManager[Any]]) -> None:
        """While nobody answers, `send` says so in time; afterwards it stores what comes again, once and in order."""
        records = sample_records(10)
        with DeliveryThread(self._options.send_seconds) as delivery, delivery.started(self._make()) as backplane:
            self._send(delivery, backplane, sample_records(5))
            with outage():
                left = self._try(delivery, backplane, records)
                expect(bool(left), "`outage` takes the storage away: something is left to be sent again")
                self._ask(backplane, "while nobody answers")
            self._send(delivery, backplane, left, of=records)

    def check_fork(self) -> None:
        """A child builds its own backplane; it disturbs neither its parent's nor its parent's events."""
        records = sample_records(5)
        with DeliveryThread(self._options.send_seconds) as delivery, delivery.started(self._make()) as backplane:
            self._send(delivery, backplane, sample_records(5))
            code = in_child(lambda: self._be_child(backplane, records))
            expect(code == 0, f"a forked child can send with a backplane of its own; it ended with {code}")
            self._note(records, "what a forked child sends is stored")
            more = sample_records(5)
            try:
                left = self._again(more, delivery.send(backplane, more))
            except UnavailableError as error:
                raise AssertionError(
                    f"a child that closes what it inherited does not disturb its parent: {error}"
                ) from error
            self._send(delivery, backplane, left, of=more)

    def _be_child(self, inherited: Backplane, records: list[Record]) -> None:
        inherited.close(0)  # harmless to the parent
        left, deadline = records, time.monotonic() + PATIENCE_SECONDS
        with DeliveryThread(self._options.send_seconds) as delivery, delivery.started(self._make()) as own:
            while left and time.monotonic() < deadline:
                left = self._try(delivery, own, left)
        expect(not left, "a forked child's records are acknowledged")

    def _send(
        self, delivery: DeliveryThread, backplane: Backplane, records: list[Record], *, of: Sequence[Record] = ()
    ) -> None:
        """Send *records* until all are acknowledged; *of* is all that was to be stored, where some of it was before."""
        left, deadline = list(records), time.monotonic() + PATIENCE_SECONDS
        while left:
            expect(time.monotonic() < deadline, f"records are acknowledged within {PATIENCE_SECONDS:g} s")
            left = self._try(delivery, backplane, left)
        self._note(of or records, "what is acknowledged is stored: once, in order, byte for byte")

    def _try(self, delivery: DeliveryThread, backplane: Backplane, records: list[Record]) -> list[Record]:
        """Send once, and return what is to be sent again."""
        try:
            verdicts = delivery.send(backplane, records)
        except UnavailableError as error:
            expect("\n" not in str(error) and bool(str(error)), "`UnavailableError` says why, in one line")
            time.sleep(0.1)
            return records
        return self._again(records, verdicts)

    def _again(self, records: list[Record], verdicts: Verdicts) -> list[Record]:
        """Check *verdicts* of valid *records*, and return what is to be sent again."""
        _expect_counted(verdicts, records)
        poison = [verdict.reason for verdict in verdicts if isinstance(verdict, Rejected)]
        expect(not poison, f"valid records are not rejected: {poison}")
        taken = [one for one, verdict in zip(records, verdicts, strict=True) if verdict is not Verdict.RETRY]
        stored = {one.event_id for one in self._read_back()}
        expect(stored >= {one.event_id for one in taken}, "what is acknowledged is stored when `send` returns")
        return [one for one, verdict in zip(records, verdicts, strict=True) if verdict is Verdict.RETRY]

    def _repeat(self, delivery: DeliveryThread, backplane: Backplane) -> None:
        """Send again what is there, and one new record twice in one batch."""
        old = self._sent[:5]
        verdicts = delivery.send(backplane, old)
        _expect_counted(verdicts, old)
        self._tells = all(verdict is Verdict.DUPLICATE for verdict in verdicts)
        self._note([], "what is reported as a duplicate is not stored again")
        (new,) = sample_records(1)
        verdicts = delivery.send(backplane, [new, new])
        _expect_counted(verdicts, [new, new])
        self._note([new], "a record that is twice in one batch is stored once where the backplane is able to tell")

    def _note(self, records: Sequence[Record], sentence: str) -> None:
        """Take *records* as acknowledged, and compare all that was with all that is stored."""
        self._sent += records
        everything = list(self._read_back())
        for kind in EventType:
            sent = [
                StoredEvent(one.event_id, kind.wire_name, one.payload) for one in self._sent if one.event_type is kind
            ]
            found = [one for one in everything if one.event_type == kind.wire_name]
            if not self._tells:  # a repeat may be there again; where it was stored first is its place
                found = _without_repeats(found)
            expect(found == sent, f"{sentence}; {kind.value}: {_difference(sent, found)}")

    def _ask(self, backplane: Backplane, when: str) -> BackplaneHealth:
        """Ask for health on this thread, which is not that of delivery."""
        started = time.monotonic()
        try:
            answer = backplane.health(HEALTH_SECONDS)
        except Exception as error:
            raise AssertionError(f"`health` never raises, {when} either: {error!r}") from error
        seconds = time.monotonic() - started
        expect(
            seconds <= HEALTH_SECONDS + GRACE_SECONDS,
            f"`health` answers within its time limit, {when}: {seconds:.1f} s",
        )
        expect("\n" not in answer.message, f"`health` is one line, {when}")
        return answer


def _without_repeats(found: Sequence[StoredEvent]) -> list[StoredEvent]:
    first: dict[str, StoredEvent] = {}
    for one in found:
        first.setdefault(one.event_id, one)
    return list(first.values())


def _difference(sent: Sequence[StoredEvent], found: Sequence[StoredEvent]) -> str:
    """Say where two lists differ first; whole payloads would bury it."""
    for place, (one, other) in enumerate(zip(sent, found, strict=False)):
        if one != other:
            return f"sent as number {place}: {repr(one)[:500]}, found {repr(other)[:500]}"
    return f"sent {len(sent)}, found {len(found)}"


def _expect_counted(verdicts: Verdicts, records: Sequence[Record]) -> None:
    expect(
        len(verdicts) == len(records), f"`send` returns one verdict for each record: {len(verdicts)} for {len(records)}"
    )
