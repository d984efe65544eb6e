"""YAML to the located tree, from the event stream of PyYAML's C parser.

Events, not `compose`: six times as fast, and every decision about scalars, keys and aliases is ours.
libyaml follows YAML 1.1 where characters are concerned: NEL, LS and PS break lines.
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from backplane_compiler.diagnostics.model import Diagnostic, Severity
from backplane_compiler.diagnostics.span import SourceFile, Span
from backplane_compiler.source.tree import Node
from backplane_compiler.source.yaml_build import StopReadingError, TreeBuilder
from backplane_compiler.source.yaml_problems import syntax_problem

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# YAML 1.2.2, section 5.1. Looked for by ourselves, because the C parser gives the place in bytes.
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse_yaml(file: SourceFile) -> tuple[Node | None, tuple[Diagnostic, ...]]:
    """The tree of the one document of a file, and what is wrong with it.

    Never raises for any text. The tree is None when there is no telling what was meant (syntax, limits); otherwise
    it is there even beside errors, with keys unique: of two equal keys the first counts.
    """
    file = SourceFile(file.name, file.text.removeprefix("\ufeff"))
    forbidden = _FORBIDDEN.search(file.text)
    if forbidden:
        return None, (_forbidden_character(file, forbidden),)
    builder = TreeBuilder(file)
    try:
        _feed(builder, file)
    except yaml.MarkedYAMLError as error:
        return None, (*builder.diagnostics, syntax_problem(error, file))
    except StopReadingError:
        return None, tuple(builder.diagnostics)
    if builder.root is None and not builder.diagnostics:
        return None, (_empty(file),)
    return builder.root, tuple(builder.diagnostics)


def _feed(builder: TreeBuilder, file: SourceFile) -> None:
    loader = _LOADER(file.text)
    try:
        builder.read(loader.get_event)
    finally:
        loader.dispose()


def _forbidden_character(file: SourceFile, found: re.Match[str]) -> Diagnostic:
    span = Span.from_offsets(file, found.start(), found.end())
    code = ord(found[0])
    message = f"the character U+{code:04X} is not allowed in YAML"
    escape = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004  what two digits can say
    return Diagnostic("yaml-syntax", Severity.ERROR, message, span, hint=f"write it in double quotes as `{escape}`")


def _empty(file: SourceFile) -> Diagnostic:
    message = f"`{file.name}` holds no document"
    hint = "start with `dataPlane:`, or let `backplane init` write a document"
    return Diagnostic("empty-document", Severity.ERROR, message, Span.at_start(file), hint=hint)
