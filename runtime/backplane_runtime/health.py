"""Health: what each backplane answers when it is asked now, all at once and within one time limit."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import msgspec

from backplane_runtime import native, timestamps
from backplane_runtime.backplanes.api import BackplaneHealth
from backplane_runtime.delivery import Delivery
from backplane_runtime.lane import Lane

LONGEST_SECONDS = 86_400.0  # what libraries take as a time limit ends somewhere


class SpoolHealth(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The spool of a data plane: its folder, the bytes of its own logs, and what is wrong with it."""

    directory: str
    held_bytes: int
    problem: str | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer of a data plane: healthy if all of its backplanes are, and its counts add up.

    `memory_only` says that undelivered events live in memory alone, and are lost with the process.
    """

    healthy: bool
    message: str
    backplanes: dict[str, BackplaneHealth]
    memory_only: bool = True
    spool: SpoolHealth | None = None


def ask(delivery: Delivery, timeout: float) -> Health:
    """Ask the backplane of every lane at once; who has not answered after *timeout* seconds is unhealthy."""
    timeout = min(timeout, LONGEST_SECONDS)
    lanes = delivery.lanes
    answers: dict[str, BackplaneHealth] = {}
    threads = [native.thread(partial(_answer, lane, timeout, answers), "backplane-health") for lane in lanes]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + timeout
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    given = dict(answers)  # who answers from now on is too late
    silent = BackplaneHealth(healthy=False, message=f"no answer within {timeout:g} s")
    backplanes = {lane.options.name: _with_delivery(given.get(lane.options.name, silent), lane) for lane in lanes}
    return _summary(backplanes, delivery)


def _answer(lane: Lane, timeout: float, answers: dict[str, BackplaneHealth]) -> None:
    try:
        # There and back: what cannot be written as JSON would make every probe fail.
        given = msgspec.json.encode(lane.backplane.health(timeout))
        answers[lane.options.name] = msgspec.json.decode(given, type=BackplaneHealth)
    except BaseException as error:  # noqa: BLE001 - the contract forbids it, and a health check must answer all the same
        answers[lane.options.name] = BackplaneHealth(healthy=False, message=f"unexpected {type(error).__name__}")


def _with_delivery(answer: BackplaneHealth, lane: Lane) -> BackplaneHealth:
    """Return *answer* with what delivery knows: the last error, the last acknowledgement, the age of what waits."""
    oldest = lane.oldest
    known: dict[str, Any] = {
        "lastError": lane.last_error,
        "lastAcknowledged": lane.fates.last_acknowledged,
        "oldestSeconds": None if oldest is None else round(timestamps.age(oldest), 3),
    }
    details = {**answer.details, **{name: value for name, value in known.items() if value is not None}}
    return msgspec.structs.replace(answer, details=details)


def _summary(backplanes: dict[str, BackplaneHealth], delivery: Delivery) -> Health:
    failing = [f"{name}: {answer.message}" for name, answer in backplanes.items() if not answer.healthy]
    total = delivery.view().total
    if not total.is_lawful:  # a bug of ours, which nobody should have to find
        failing.append(f"the ledger does not add up: {total}")
    problem = delivery.chain.problem
    notes = [f"{name}: {answer.message}" for name, answer in backplanes.items()]
    message = "; ".join(failing or notes) + (f"; {problem}" if problem else "")
    spool = None
    if delivery.spooler is not None:
        held = sum(link.log.held_bytes for link in delivery.chain.links if link.is_durable)
        spool = SpoolHealth(directory=str(delivery.spooler.root), held_bytes=held, problem=problem)
    return Health(
        healthy=not failing,
        message=message,
        backplanes=backplanes,
        memory_only=delivery.memory_only,
        spool=spool,
    )
