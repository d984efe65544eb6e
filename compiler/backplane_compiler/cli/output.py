"""Everything that reaches a terminal: data to standard output, the rest to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable
from typing import TextIO

from backplane_compiler.diagnostics.model import Diagnostic, Severity

FORMATS = ("text", "concise", "json", "sarif", "github")


class Failure(Exception):  # noqa: N818  it is a way for a command to end, not a bug
    """A command that cannot go on: one line for the user, a hint with one action, and the exit code."""

    def __init__(self, message: str, *, hint: str | None = None, code: int = 1) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


def emit(text: str, stream: TextIO | None = None) -> None:
    """Write *text* to *stream* (default: standard output), with one final newline."""
    print(text, end="" if text.endswith("\n") else "\n", file=stream)


def tell(text: str) -> None:
    """Write a line about what happens to standard error."""
    print(text, file=sys.stderr)


def complain(message: str, *, hint: str | None = None) -> None:
    """Write an error, and its hint, to standard error."""
    print(f"error: {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)


def counted(number: int, noun: str) -> str:
    """Return `1 event`, `2 events`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def report(
    diagnostics: Iterable[Diagnostic],
    *,
    form: str = "text",
    color: str = "auto",
    secrets: Collection[str] = (),
    machine: TextIO | None = None,
) -> None:
    """Write *diagnostics*: texts for people to standard error, other formats to *machine* (default: standard output).

    A command that has data of its own for standard output names standard error: two JSON texts in one stream are none.
    """
    found = tuple(diagnostics)
    if form in ("json", "sarif", "github"):
        emit(_machine(found, form, secrets), machine)
    elif found:
        tell(_text(found, form, use_color(color, sys.stderr), secrets).rstrip("\n"))
        tell("\n" + summary(found) if form == "text" else summary(found))


def summary(diagnostics: Collection[Diagnostic]) -> str:
    """Count *diagnostics*: `2 errors, 1 warning`."""
    counts = [(sum(item.severity is severity for item in diagnostics), severity.value) for severity in Severity]
    return ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts if count)


def use_color(choice: str, stream: TextIO) -> bool:
    """Say whether to colour *stream*: `always`, `never`, or `auto` (a terminal, and no `NO_COLOR`)."""
    if choice != "auto":
        return choice == "always"
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _text(found: tuple[Diagnostic, ...], form: str, color: bool, secrets: Collection[str]) -> str:  # noqa: FBT001
    if form == "concise":
        from backplane_compiler.diagnostics.concise import render_concise

        return render_concise(found, secrets=secrets)
    from backplane_compiler.diagnostics.text import render_text

    return render_text(found, color=color, secrets=secrets)


def _machine(found: tuple[Diagnostic, ...], form: str, secrets: Collection[str]) -> str:
    if form == "json":
        from backplane_compiler.diagnostics.machine import render_json

        return render_json(found, secrets=secrets)
    if form == "sarif":
        from backplane_compiler.diagnostics.sarif import render_sarif

        return render_sarif(found, secrets=secrets)
    from backplane_compiler.diagnostics.github import render_github

    return render_github(found, secrets=secrets)
