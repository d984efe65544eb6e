"""What `apply` shows while it works, and at the end."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress

from backplane_compiler.apply_report import ApplyReport, Event, Fate, OnEvent, StepDone, StepFailed, StepStarted
from backplane_compiler.cli.output import emit, tell
from backplane_compiler.plan.plan import Plan
from backplane_compiler.plan.values import escaped

_STANDARD_ERROR = 2


def progress_for(view: str, plan: Plan) -> OnEvent:
    """Return what hears of each step: JSON lines, lines on a terminal, or nobody."""
    if view == "json":
        return _json_line
    if sys.stderr.isatty():
        return _Lines(sum(1 for _ in plan.steps()))
    return _say_nothing


def say_stopping() -> None:
    """Answer Ctrl-C; safe in a signal handler, which may come in the middle of a line that `tell` writes."""
    with suppress(OSError):  # nobody listens: the same key ended a `tee`. Raised here, it would tear the running call
        os.write(_STANDARD_ERROR, b"stopping after the running call; Ctrl-C again does not wait for it\n")


def outcome_text(report: ApplyReport, view: str) -> str:
    """Return what became of every step: `3 done`, and a line for each that was not."""
    counts = {fate: len(report.with_fate(fate)) for fate in Fate}
    if view == "json":
        named = {fate.value: count for fate, count in counts.items()}
        return json.dumps({"event": "end", "interrupted": report.interrupted, **named})
    words = {Fate.DONE: "done", Fate.FAILED: "failed", Fate.NOT_DONE: "not done"}
    lines = [
        f"  {words[result.fate]}: {escaped(result.address)}" + (f" ({escaped(result.reason)})" if result.reason else "")
        for result in report.results
        if result.fate is not Fate.DONE
    ]
    lines.append(", ".join(f"{counts[fate]} {words[fate]}" for fate in Fate if counts[fate]))
    if report.interrupted:
        lines.append("interrupted; run it again to continue")
    return "\n".join(lines)


def blocked_lines(plan: Plan) -> str:
    """Return a JSON line for each step that is blocked: why, and which acknowledgement it needs (null: none helps)."""
    lines = []
    for target in plan.targets:
        for step in target.steps:
            for obstacle in step.open_obstacles(plan.allowed):
                line = {"event": "blocked", "server": target.server.label, "address": step.address}
                lines.append(json.dumps({**line, "reason": obstacle.message, "needs": obstacle.needs}))
    return "\n".join(lines)


class _Lines:
    """A line for each finished step, with how many there are and how long the rest will take."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._finished = 0
        self._began = time.monotonic()

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepStarted):
            return
        self._finished += 1
        word = "failed" if isinstance(event, StepFailed) else "done"
        left = self._total - self._finished
        each = (time.monotonic() - self._began) / self._finished
        rest = f", about {left * each:.0f} s left" if left and left * each >= 1 else ""
        tell(f"  {word} {escaped(event.step.address)} ({self._finished} of {self._total}{rest})")


def _say_nothing(event: Event) -> None:
    pass


def _json_line(event: Event) -> None:
    names = {StepStarted: "started", StepDone: "done", StepFailed: "failed"}
    line = {"event": names[type(event)], "server": event.server.label, "address": event.step.address}
    if isinstance(event, StepFailed):
        line["reason"] = event.reason
    emit(json.dumps(line))
