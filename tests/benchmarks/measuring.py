"""How a call is measured: CPU time of the calling thread and wall time, with the background threads at work.

Ours and every peer are measured by the same two functions, so what they cost is comparable; the loop and the call of a
small wrapper (about 50 ns) are in every figure.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

BURST = 200  # calls in a row
BLOCK = 20  # of them that are timed together: to look at the clock costs a third of a call
BURSTS = 40  # of one run
PAUSE_SECONDS = 0.02  # after a burst: time for the background thread to take what was handed over
RUNS = 8

THREADS = 4
RATE = 10_000  # calls a second, of all threads together
LOAD_SECONDS = 3.0

Call = Callable[[Any], object]  # one event, of what was prepared for it; of its subject, where nothing was
Prepare = Callable[[str], Any]  # what a call takes, of a subject; not part of the cost


@dataclass(frozen=True)
class Cost:
    """Seconds that one call takes: of the calling thread's CPU, and on the clock."""

    cpu: float
    wall: float


@dataclass(frozen=True)
class Load:
    """What a call takes at a steady rate, and the rate that was reached, in calls a second."""

    median: Cost
    p99: Cost
    rate: float


@dataclass(frozen=True)
class Measured:
    """What one call costs in bursts, and under a steady load from several threads."""

    name: str
    cost: Cost
    load: Load


def measured(name: str, call: Call, prepare: Prepare = str) -> Measured:
    """Return what *call* costs, both ways."""
    return Measured(name, measure(call, prepare), measure_load(call, prepare))


def measure(call: Call, prepare: Prepare = str) -> Cost:
    """Return the cost of the best of `RUNS` runs: the others were disturbed. A run's cost is the median of its blocks."""
    return min((_run(call, prepare, number) for number in range(RUNS)), key=lambda run: run.cpu)


def measure_load(call: Call, prepare: Prepare) -> Load:
    """Return what *call* takes when `THREADS` threads together call it `RATE` times a second."""
    samples: list[Cost] = []
    finished: list[float] = []

    def work(name: int) -> None:
        subjects = subjects_of(f"load-{name}", int(RATE / THREADS * LOAD_SECONDS))
        own = _steadily(call, map(prepare, subjects), started + THREADS / RATE * name / THREADS)
        samples.extend(own)
        finished.append(time.perf_counter())

    started = time.perf_counter() + 0.05
    threads = [threading.Thread(target=work, args=(name,)) for name in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(
        median=_quantile(samples, 0.5), p99=_quantile(samples, 0.99), rate=len(samples) / (max(finished) - started)
    )


def subjects_of(run: str, count: int) -> list[str]:
    """Return *count* subjects that no other *run* has: a repeated one would take the short way of a suppressed repeat."""
    return [f"user-{run}-{number}" for number in range(count)]


def _run(call: Call, prepare: Prepare, number: int) -> Cost:
    subjects = subjects_of(f"burst-{number}", BURST * BURSTS)
    blocks = []
    for first in range(0, len(subjects), BURST):
        prepared = [prepare(subject) for subject in subjects[first : first + BURST]]
        blocks += [_block(call, prepared[start : start + BLOCK]) for start in range(0, BURST, BLOCK)]
        time.sleep(PAUSE_SECONDS)
    return Cost(cpu=statistics.median(one.cpu for one in blocks), wall=statistics.median(one.wall for one in blocks))


def _block(call: Call, prepared: Sequence[Any]) -> Cost:
    wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
    for one in prepared:
        call(one)
    cpu, wall = time.thread_time_ns() - cpu, time.perf_counter_ns() - wall
    return Cost(cpu=cpu / len(prepared) / 1e9, wall=wall / len(prepared) / 1e9)


def _steadily(call: Call, prepared: Iterable[Any], started: float) -> list[Cost]:
    """Call once every `THREADS / RATE` seconds; a late call is made at once, so that the rate holds."""
    samples = []
    for number, one in enumerate(prepared):
        ahead = started + number * THREADS / RATE - time.perf_counter()
        if ahead > 0:
            time.sleep(ahead)
        samples.append(_block(call, (one,)))
    return samples


def _quantile(samples: Sequence[Cost], share: float) -> Cost:
    at = min(len(samples) - 1, int(len(samples) * share))
    return Cost(cpu=sorted(one.cpu for one in samples)[at], wall=sorted(one.wall for one in samples)[at])
