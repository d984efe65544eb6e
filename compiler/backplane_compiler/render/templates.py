"""The templates of `backplane_templates`, with our quoting as filters."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from backplane_compiler.render.quoting import comment, sh, sql_name, sql_text, tsql_name, tsql_text


def render_template(name: str, **values: Any) -> str:
    """Return the template *name* filled with *values*: lines end with LF, the last one too.

    Raises:
        ValueError: if a value cannot be quoted.
        jinja2.UndefinedError: if the template wants a value that is not there.
    """
    return _environment().get_template(name).render(**values).rstrip("\n") + "\n"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("backplane_templates", package_path=""),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  HTML's escapes are wrong in shell and SQL; each value goes through a filter below
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for quote in (comment, sh, sql_name, sql_text, tsql_name, tsql_text):
        environment.filters[quote.__name__] = quote
    return environment
