"""What a phase has to say about a document, as a value; rendering is done elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from backplane_compiler.diagnostics.codes import is_registered
from backplane_compiler.diagnostics.span import Span


class Severity(StrEnum):
    """How much a diagnostic weighs: only an error stops the compiler."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Label:
    """A second place that takes part in a diagnostic, and what it has to do with it."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: the message alone says what is wrong, the hint says what to do.

    Wording: lower case, no final full stop for one sentence, literals in backticks, the user's own word quoted,
    what was expected before what was found, the hint in the imperative. `span` is None only for a file that
    could not be read. A label on the primary span puts its text behind the carets.

    Raises:
        ValueError: `code` has no page in `pages/`.
    """

    code: str
    severity: Severity
    message: str
    span: Span | None
    labels: tuple[Label, ...] = ()
    hint: str | None = None

    def __post_init__(self) -> None:
        if not is_registered(self.code):
            raise ValueError(f"unknown diagnostic code `{self.code}`: add diagnostics/pages/{self.code}.md")


def sort_key(diagnostic: Diagnostic) -> tuple[str, int, int, str]:
    """The order in which diagnostics are shown: file, line, column, code; those without a place first."""
    if diagnostic.span is None:
        return ("", 0, 0, diagnostic.code)
    start = diagnostic.span.start
    return (diagnostic.span.file.name, start.line, start.column, diagnostic.code)


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether any of them stops the compiler."""
    return any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)
