"""PyYAML's syntax errors in our words, at the place where the mistake was made."""

from __future__ import annotations

from typing import Any, Final

import yaml

from backplane_compiler.diagnostics.model import Diagnostic, Label, Severity
from backplane_compiler.diagnostics.span import SourceFile, Span

_INDENT_HINT: Final = "indent it exactly like its siblings, with spaces"
_QUOTE_HINT: Final = "put the value in quotes"
_KNOWN: Final[dict[str, tuple[str, str | None]]] = {
    "mapping values are not allowed in this context": (
        "`:` is not allowed here",
        "put a value that holds `: ` in quotes, or check the indentation of the line",
    ),
    "did not find expected ',' or ']'": ("expected `,` or `]`", "close the list with `]`"),
    "did not find expected ',' or '}'": ("expected `,` or `}`", "close the mapping with `}`"),
    "did not find expected key": ("expected a key of this mapping", _INDENT_HINT),
    "did not find expected '-' indicator": ("expected `-` for the next item of this list", _INDENT_HINT),
    "could not find expected ':'": ("expected `:` after this key", "write `key: value`"),
    "block sequence entries are not allowed in this context": (
        "`-` is not allowed here",
        "start the list on the next line",
    ),
    "did not find expected <document start>": (
        "expected the end of the document",
        "check the indentation of this line",
    ),
    "found a tab character that violates indentation": ("a tab cannot indent YAML", "indent with spaces"),
    "found a tab character where an indentation space is expected": ("a tab cannot indent YAML", "indent with spaces"),
    "found incompatible YAML document": ("this version of YAML is not known", "remove the `%YAML` line"),
    "found unknown escape character": (
        "unknown escape in double quotes",
        "write `\\\\` for a backslash, or use single quotes",
    ),
    "found invalid Unicode character escape code": (
        "this escape is no Unicode character",
        "write the character itself",
    ),
}
_CONTEXTS: Final[dict[str, str]] = {
    "while parsing a flow sequence": "the list opens here",
    "while parsing a flow mapping": "the mapping opens here",
    "while parsing a block mapping": "the mapping starts here",
    "while parsing a block collection": "the list starts here",
    "while scanning a simple key": "the key",
}


def syntax_problem(error: yaml.MarkedYAMLError, file: SourceFile) -> Diagnostic:
    """What the parser stumbled over; the collection that it was in is labelled when that is another place."""
    problem, context = error.problem or "cannot be read as YAML", error.context or ""
    problem_span, context_span = _at(file, error.problem_mark), _at(file, error.context_mark)
    if context_span and "end of stream" in problem and "scalar" in context:
        hint = "close it with the same quote"
        return Diagnostic("yaml-syntax", Severity.ERROR, "quoted text is never closed", context_span, hint=hint)
    span = problem_span or context_span or Span.at_start(file)
    message, advice = _worded(problem, file, span)
    labels: tuple[Label, ...] = ()
    if context_span and advice != _QUOTE_HINT and context_span.start.line != span.start.line and context in _CONTEXTS:
        labels = (Label(context_span, _CONTEXTS[context]),)
    return Diagnostic("yaml-syntax", Severity.ERROR, message, span, labels, advice)


def _worded(problem: str, file: SourceFile, span: Span) -> tuple[str, str | None]:
    start = span.start
    character = file.text[start.offset : start.offset + 1]
    if problem == "found character that cannot start any token":
        if character == "\t":
            return "a tab cannot indent YAML", "indent with spaces"
        return f"a value cannot start with {'a backtick' if character == '`' else f'`{character}`'}", _QUOTE_HINT
    if problem == "did not find expected key" and file.line_text(start.line)[: start.column - 1].strip():
        return "expected nothing more on this line", _QUOTE_HINT
    if problem in _KNOWN:
        return _KNOWN[problem]
    return problem.replace("did not find expected", "expected").replace("'", "`"), None


def _at(file: SourceFile, mark: Any) -> Span | None:
    """One character at a mark; at the end of the text, the end of the last line that says something."""
    if mark is None:
        return None
    offset = min(mark.index, len(file.text.rstrip()))
    return Span.from_offsets(file, offset, min(offset + 1, len(file.text)))
