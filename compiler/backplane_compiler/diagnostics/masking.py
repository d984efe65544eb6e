"""Takes known secrets out of everything that is shown. Finding them is another layer's work."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Final

from backplane_compiler.diagnostics.model import Diagnostic, Label

MASK: Final = "***"
# It consists of our words, names of keys and of variables: a gap where one of them is the secret would tell which.
_QUOTES_NO_VALUE: Final = "secret-in-clear"

Stretch = tuple[int, int]


def mask(text: str, secrets: Collection[str]) -> str:
    """The text with every occurrence of a secret replaced by `***`."""
    return _masked(text, secret_stretches(text, secrets))


def mask_diagnostic(diagnostic: Diagnostic, secrets: Collection[str]) -> Diagnostic:
    """The same diagnostic with all that it says masked; its spans still point into the unmasked text."""
    if not secrets or diagnostic.code == _QUOTES_NO_VALUE:
        return diagnostic
    return replace(
        diagnostic,
        message=mask(diagnostic.message, secrets),
        labels=tuple(Label(label.span, mask(label.text, secrets)) for label in diagnostic.labels),
        hint=None if diagnostic.hint is None else mask(diagnostic.hint, secrets),
    )


def mask_line(line: str, columns: tuple[int, ...], secrets: Collection[str]) -> tuple[str, tuple[int, ...]]:
    """A source line masked, and where the given 0-based columns have gone; one inside a secret goes to its start."""
    stretches = secret_stretches(line, secrets)
    return _masked(line, stretches), tuple(_moved(column, stretches) for column in columns)


def secret_stretches(text: str, secrets: Collection[str]) -> tuple[Stretch, ...]:
    """Where secrets occur, in order; those that touch or overlap are one stretch, so that no rest is shown."""
    found = sorted(stretch for secret in secrets for form in _forms(secret) for stretch in _occurrences(text, form))
    joined: list[Stretch] = []
    for start, end in found:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def _forms(secret: str) -> set[str]:
    """A secret as it may stand in a source: as it is, escaped in quotes, and line by line where it has several."""
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], secret.replace("'", "''")}
    lines = {line.strip() for line in secret.splitlines()} if "\n" in secret else set()
    return {secret, *escaped, *lines} - {""}


def _occurrences(text: str, form: str) -> Iterator[Stretch]:
    at = text.find(form)
    while at >= 0:
        yield at, at + len(form)
        at = text.find(form, at + 1)


def _masked(text: str, stretches: tuple[Stretch, ...]) -> str:
    parts, at = [], 0
    for start, end in stretches:
        parts += [text[at:start], MASK]
        at = end
    return "".join((*parts, text[at:]))


def _moved(column: int, stretches: tuple[Stretch, ...]) -> int:
    shift = 0
    for start, end in stretches:
        if column <= start:
            break
        if column < end:
            return start + shift
        shift += len(MASK) - (end - start)
    return column + shift
