"""References to values that live outside the document: `${env:NAME}`, `${NAME}`, `${file:/path}`, defaults, escapes.

The grammar (design/document.md, "Secrets"): `NAME` is `[A-Za-z_][A-Za-z0-9_]*`; `${env:NAME:-default}` has a default, which
ends at the first `}`; `$${` is a literal `${`. A reference is resolved at the moment of use and never written anywhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_REFERENCE = re.compile(
    r"\$\$\{|\$\{(?:file:(?P<file>[^}]+)|(?:env:)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?)\}"
)


class UnresolvedReferenceError(LookupError):
    """A reference whose target is not there; the text names the reference and what to set, never a value."""


def resolve_text(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Return *text* with every reference replaced by what it stands for.

    Raises:
        UnresolvedReferenceError: if a variable is not set and has no default, or a file cannot be read.
    """
    variables = os.environ if environment is None else environment
    return _REFERENCE.sub(lambda match: _value(match, variables), text)


def resolve_all(plain: Any, environment: Mapping[str, str] | None = None) -> Any:
    """Return *plain* data with the references in all of its strings resolved."""
    if isinstance(plain, str):
        return resolve_text(plain, environment)
    if isinstance(plain, Mapping):
        return {key: resolve_all(value, environment) for key, value in plain.items()}
    if isinstance(plain, (list, tuple)):
        return [resolve_all(value, environment) for value in plain]
    return plain


def _value(match: re.Match[str], variables: Mapping[str, str]) -> str:
    if match.group() == "$${":
        return "${"
    if (path := match["file"]) is not None:
        return _file_text(path)
    name = match["name"]
    if name in variables:
        return variables[name]
    if match["default"] is not None:
        return match["default"]
    raise UnresolvedReferenceError(
        f"the environment variable `{name}` is not set; set it, or give `${{env:{name}:-default}}`"
    )


def _file_text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise UnresolvedReferenceError(f"the file of `${{file:{path}}}` cannot be read: {reason}") from error
