"""Health: what each backplane answers when it is asked now, all at once and within one time limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import msgspec

from backplane_runtime.backplanes.api import BackplaneHealth
from backplane_runtime.lane import Lane


class Health(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer of a data plane: healthy if all of its backplanes are.

    `memory_only` says that undelivered events live in memory alone, and are lost with the process.
    """

    healthy: bool
    message: str
    backplanes: dict[str, BackplaneHealth]
    memory_only: bool = True


def ask(lanes: Sequence[Lane], timeout: float) -> Health:
    """Ask the backplane of every lane at once; who has not answered after *timeout* seconds is unhealthy."""
    answers: dict[str, BackplaneHealth] = {}
    threads = [threading.Thread(target=_answer, args=(lane, timeout, answers), daemon=True) for lane in lanes]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + timeout
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    given = dict(answers)  # who answers from now on is too late
    silent = BackplaneHealth(healthy=False, message=f"no answer within {timeout:g} s")
    return _summary({lane.options.name: _with_error(given.get(lane.options.name, silent), lane) for lane in lanes})


def _answer(lane: Lane, timeout: float, answers: dict[str, BackplaneHealth]) -> None:
    try:
        answers[lane.options.name] = lane.backplane.health(timeout)
    except Exception as error:  # noqa: BLE001 - the contract forbids it, and a health check must answer all the same
        answers[lane.options.name] = BackplaneHealth(healthy=False, message=f"unexpected {type(error).__name__}")


def _with_error(answer: BackplaneHealth, lane: Lane) -> BackplaneHealth:
    if lane.last_error is None:
        return answer
    return msgspec.structs.replace(answer, details={**answer.details, "lastError": lane.last_error})


def _summary(backplanes: dict[str, BackplaneHealth]) -> Health:
    failing = [f"{name}: {answer.message}" for name, answer in backplanes.items() if not answer.healthy]
    message = "; ".join(failing) or "; ".join(f"{name}: {answer.message}" for name, answer in backplanes.items())
    return Health(healthy=not failing, message=message, backplanes=backplanes)
