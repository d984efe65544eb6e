"""Names and texts of a document, quoted for the language of an artifact, or refused. Nothing is pasted as it is.

Every function here is a filter of the templates.
"""

from __future__ import annotations

import re
import shlex

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


def sh(value: object) -> str:
    """Return *value* as one word of a POSIX shell.

    Raises:
        ValueError: if it holds a NUL, which no argument of a program can.
    """
    return shlex.quote(_without_nul(str(value)))


def sql_name(name: str) -> str:
    """Return *name* as a quoted identifier of standard SQL (PostgreSQL, SQLite).

    Raises:
        ValueError: if it is empty or holds a NUL.
    """
    return '"' + _named(name).replace('"', '""') + '"'


def sql_text(text: str) -> str:
    """Return *text* as a string literal of standard SQL.

    Raises:
        ValueError: if it holds a NUL.
    """
    return "'" + _without_nul(text).replace("'", "''") + "'"


def tsql_name(name: str) -> str:
    """Return *name* in brackets, as T-SQL has identifiers.

    Raises:
        ValueError: if it is empty or if a client would not hand it on as it stands: sqlcmd replaces `$(NAME)` even inside
            of quotes, and ends a batch at a line `GO` wherever that line is.
    """
    return "[" + _unsplit(_named(name)).replace("]", "]]") + "]"


def tsql_text(text: str) -> str:
    """Return *text* as a Unicode string literal of T-SQL.

    Raises:
        ValueError: as `tsql_name`, but lines may end: the text may be a statement whose names are already quoted.
    """
    for line in text.split("\n"):
        _unsplit(line)
    return "N'" + text.replace("'", "''") + "'"


def comment(text: str) -> str:
    """Return *text* on one line, for a comment that ends with its line; sqlcmd replaces `$(NAME)` in comments too."""
    return _CONTROL.sub("?", text).replace("$(", "$ (")


def arm_text(text: str) -> str:
    """Return *text* as a value that Azure Resource Manager takes literally.

    `[…]` is an expression there, and `[[…]` is the text `[…]` (azure-docs template-expressions.md, "Escape characters").
    """
    return f"[{text}" if text.startswith("[") and text.endswith("]") else text


def arm_literal(text: str) -> str:
    """Return *text* as a string inside of an expression of Azure Resource Manager."""
    return "'" + text.replace("'", "''") + "'"


def _named(name: str) -> str:
    if not name:
        raise ValueError("an empty name cannot be quoted")
    return _without_nul(name)


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError(f"{text!r} holds a NUL character, which cannot be quoted")
    return text


def _unsplit(text: str) -> str:
    if "$(" in text or _CONTROL.search(text):
        raise ValueError(f"{text!r} cannot be used in a T-SQL script: it holds `$(` or a control character")
    return text
