"""A row about memory: ten million events wait on disk, and neither their writing nor their delivery holds them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.faults.judgement import Outcome, Promise, judge
from tests.faults.scene import Row, Scene
from tests.faults.sinks import Arrival
from tests.faults.stage import Program, Stage, wait_until

MOST_MEGABYTES = 100.0
THREADS = 2
RATE = 60_000  # events a second of both together: what is dropped because the queue is full would be no backlog
LOOK_SECONDS = 0.2


class NullSink:
    """Counts and keeps nothing; away for as long as its gate is shut."""

    kind = "null"
    tells_repeats = False

    def __init__(self, folder: Path, size: int) -> None:
        self.gate, self._counts = folder / "gate", folder / "counts"
        self._counts.write_bytes(bytes(size))
        self.options: dict[str, Any] = {"gate": str(self.gate), "counts": str(self._counts)}

    def arrivals(self) -> Iterator[Arrival]:
        """Yield each event as often as it was sent; nobody knows their order."""
        for number, count in enumerate(self._counts.read_bytes()):
            for _ in range(count):
                yield Arrival(str(number), number, "")


class Memory:
    """Watches the resident memory of a program, in megabytes, without the mappings that it shares with us."""

    def __init__(self, program: Program) -> None:
        self.most = 0.0
        self._program = program
        threading.Thread(target=self._watch, daemon=True).start()

    def now(self) -> float:
        """Return what it is now; 0 where the program has ended."""
        return resident(self._program.pid) if self._program.code is None else 0.0

    def _watch(self) -> None:
        while self._program.code is None:
            self.most = max(self.most, self.now())
            threading.Event().wait(LOOK_SECONDS)


def resident(pid: int) -> float:
    """Return the resident memory of a process in megabytes: its own, and what it maps of programs and libraries.

    The tally and the counts are files that it maps, and not part of the measured thing.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0.0
    total, is_ours = 0, False
    for line in lines:
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            is_ours = line.endswith(("/tally", "/counts"))
        elif words[0] == "Rss:" and not is_ours:
            total += int(words[1])
    return total / 1000


def _pile_up(scene: Scene) -> Outcome:
    count = scene.sized(50_000, 10_000_000) // THREADS
    sink = NullSink(scene.folder, THREADS * count)
    sink.gate.touch()
    stage = Stage(scene.folder, sink, THREADS * count)
    stage.plane["spool"] |= {"maxBytes": 1 << 40}
    program = stage.start(threads=THREADS, count=count, rate=RATE / THREADS, settle=1_500)
    memory = Memory(program)
    wait_until(lambda: program.published() >= THREADS * count, "all published", 900)
    publishing, memory.most = memory.most, 0.0
    held = sum(path.stat().st_size for path in stage.spool.rglob("*.seg"))
    sink.gate.unlink()
    seconds = program.wait(1_600)
    note = f"{held / 1e6:,.0f} MB on disk, resident {publishing:.0f} MB publishing, {memory.most:.0f} MB delivering in {seconds:.0f} s"
    outcome = judge(stage, Promise("0 lost, at most 100 MB of memory"), note)
    worst = max(publishing, memory.most)
    return outcome if 0 < worst <= MOST_MEGABYTES else outcome.broken(f"{worst:.0f} MB resident")


ROWS = (Row("backlog of 10,000,000 events", _pile_up, is_asked_for=True),)
