"""Spellings of SQL that mean the same, made the same: types, defaults and conditions."""

from __future__ import annotations

import re

# PostgreSQL's `format_type` answers with the long names (documentation, table 8.1 "Data Types", column "Aliases").
_ALIASES = {
    "timestamptz": "timestamp with time zone",
    "timetz": "time with time zone",
    "varchar": "character varying",
    "bool": "boolean",
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
}
# Spellings of PostgreSQL that hold the same values: no limit, and the precision that it has anyway (table 8.9).
_SAME_TYPE = {
    "character varying": "text",
    "timestamp(6) with time zone": "timestamp with time zone",
}
_SAME_DEFAULT = {"current_timestamp": "now()", "transaction_timestamp()": "now()"}  # section 9.9.5
_STRING = re.compile(r"('(?:[^']|'')*')")
_BRACKETED = re.compile(r'\[([A-Za-z_]\w*)\]|"([A-Za-z_]\w*)"')
_COLLATION = re.compile(r"\s+collate\s+", re.IGNORECASE)


def type_text(sql: str) -> str:
    """Return the one spelling of a column's type; the name of a collation is kept as it is."""
    name, *collation = _COLLATION.split(" ".join(sql.split()), maxsplit=1)
    name = _ALIASES.get(name.lower(), name.lower())
    return " COLLATE ".join([_SAME_TYPE.get(name, name), *collation])


def default_text(sql: str) -> str:
    """Return the one spelling of a default: without outer parentheses, lower case outside of strings."""
    text = "".join(part if part.startswith("'") else part.lower() for part in _STRING.split(_bare(sql)))
    return _SAME_DEFAULT.get(text, text)


def predicate_text(sql: str) -> str:
    """Return the one spelling of a condition: without outer parentheses, without quotes around plain names."""
    parts = _STRING.split(_bare(" ".join(sql.split())))
    return "".join(
        part if part.startswith("'") else _BRACKETED.sub(lambda name: name[1] or name[2], part) for part in parts
    )


def _bare(sql: str) -> str:
    """Return *sql* without the parentheses that catalogs put around whole expressions."""
    sql = sql.strip()
    while sql.startswith("(") and _closes(sql) == len(sql) - 1:
        sql = sql[1:-1].strip()
    return sql


def _closes(sql: str) -> int:
    """Return where the parenthesis that *sql* starts with is closed, or -1."""
    depth, quoted = 0, False
    for place, letter in enumerate(sql):
        if letter == "'":
            quoted = not quoted
        elif not quoted:
            depth += (letter == "(") - (letter == ")")
            if depth == 0:
                return place
    return -1
