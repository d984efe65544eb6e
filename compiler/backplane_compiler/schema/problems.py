"""Errors of pydantic as diagnostics: each at the token that is wrong, in our words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from backplane_compiler.diagnostics import Diagnostic, Severity, nearest
from backplane_compiler.schema.wording import found, literal, one_of
from backplane_compiler.source import Node, Path, Scalar, dotted, lookup, span_of

_KEY_MARK: Final = "[key]"  # what pydantic puts behind a key that is wrong itself
_QUOTED = re.compile(r"'([^']*)'")
_YES: Final = frozenset({"yes", "on", "y", "true"})
_NO: Final = frozenset({"no", "off", "n", "false"})

_KINDS: Final = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "int_parsing": "an integer",
    "float_type": "a number",
    "bool_type": "a bool",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "tuple_type": "a list",
}
_BOUNDS: Final = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the document that a model checks: the tree, and the path at which the model's data stands."""

    tree: Node
    path: Path
    model: type[BaseModel]


def problems(error: ValidationError, part: Part) -> Iterator[Diagnostic]:
    """Yield a diagnostic for each thing that pydantic found wrong in *part*."""
    for detail in error.errors(include_url=False):
        if not _is_endless(lookup(part.tree, _real_path(part.tree, (*part.path, *detail["loc"])))):
            yield _problem(detail, part)


def _problem(detail: ErrorDetails, part: Part) -> Diagnostic:
    kind, loc = detail["type"], detail["loc"]
    path = _real_path(part.tree, (*part.path, *loc))
    if kind == "extra_forbidden":
        return unknown_key(part.tree, path, known_keys(part.model, loc[:-1]))
    if kind == "missing":
        return _missing(part, loc)
    if loc and loc[-1] == _KEY_MARK:
        return _wrong_key(detail, part.tree, path)
    code, message, hint = _value_problem(detail, lookup(part.tree, path))
    span = span_of(part.tree, path)
    return Diagnostic(code, Severity.ERROR, f"`{dotted(path)}` {message}", span, hint=hint)


def unknown_key(tree: Node, path: Path, known: tuple[str, ...]) -> Diagnostic:
    """Return the diagnostic for a key that *known* does not have."""
    word = str(path[-1])
    near = nearest(word, known)
    where = f"in `{dotted(path[:-1])}`" if path[:-1] else "at the top of the document"
    hint = f"did you mean `{near[0]}`?" if near else f"remove it; known here: {one_of(sorted(known))}"
    return Diagnostic(
        "unknown-key", Severity.ERROR, f"unknown key `{word}` {where}", span_of(tree, path, key=True), hint=hint
    )


def known_keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[str, ...]:
    """Return the keys that may stand at *loc* below *model*."""
    for element in loc:
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        if element in fields:
            model = next(_models_in(fields[str(element)].annotation), model)
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _real_path(tree: Node, path: Path) -> Path:
    """Return *path* without its elements that the tree does not have: tags of unions, marks of keys."""
    real: Path = ()
    for element in path:
        if lookup(tree, (*real, element)) is not None:
            real = (*real, element)
    return real


def _missing(part: Part, loc: tuple[int | str, ...]) -> Diagnostic:
    parent = _real_path(part.tree, (*part.path, *loc[:-1]))
    if len(parent) < len(part.path):
        parent = part.path  # all of the part is missing, and the message says where it belongs
    is_item = bool(parent) and isinstance(parent[-1], int)
    message = f"`{dotted((*parent, loc[-1]))}` is required"
    hint = f"add `{loc[-1]}:` under `{dotted(parent[-2:] if is_item else parent[-1:])}`"
    return Diagnostic("missing-key", Severity.ERROR, message, span_of(part.tree, parent, key=True), hint=hint)


def _is_endless(node: Node | None) -> bool:
    # Infinity and `.nan` have a message of their own (`load.py`), wherever they stand.
    return isinstance(node, Scalar) and isinstance(node.value, float) and not math.isfinite(node.value)


def _wrong_key(detail: ErrorDetails, tree: Node, path: Path) -> Diagnostic:
    _, message, hint = _value_problem(detail, None)
    text = f"key `{path[-1]}` in `{dotted(path[:-1])}` {message.removesuffix(', not nothing')}"
    return Diagnostic("unknown-key", Severity.ERROR, text, span_of(tree, path, key=True), hint=hint)


def _value_problem(detail: ErrorDetails, node: Node | None) -> tuple[str, str, str | None]:
    """Return code, message after the path, and hint."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _KINDS:
        return "wrong-type", f"must be {_KINDS[kind]}, not {found(node)}", _type_hint(kind, node)
    if kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        bound = context[name]
        shown = int(bound) if bound == int(bound) else bound
        return "option-value", f"must be {words} {shown}, not {literal(node)}", None
    if kind in ("literal_error", "enum"):
        return _not_one_of(tuple(_QUOTED.findall(context["expected"])), node)
    if kind == "value_error":
        message, _, hint = str(context["error"]).partition("; ")
        shown = f", not {literal(node)}" if message.startswith("must") else f": {literal(node)}" if not hint else ""
        return "option-value", f"{message}{shown}", hint or None
    return "option-value", _length_problem(kind, context) or detail["msg"].lower(), None


def _not_one_of(choices: tuple[str, ...], node: Node | None) -> tuple[str, str, str | None]:
    word = str(node.value) if isinstance(node, Scalar) else ""
    near = nearest(word, choices) if word else ()
    hint = f"did you mean `{near[0]}`?" if near else None
    return "option-value", f"must be one of {one_of(choices)}, not {literal(node)}", hint


def _length_problem(kind: str, context: dict[str, Any]) -> str | None:
    match kind:
        case "too_short":
            return (
                "must not be empty" if context["min_length"] == 1 else f"needs at least {context['min_length']} items"
            )
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"must have at most {context['max_length']} characters"
        case _:
            return None


def _type_hint(kind: str, node: Node | None) -> str | None:
    if not isinstance(node, Scalar):
        return None
    word = str(node.value).casefold()
    if kind == "bool_type" and word in _YES | _NO:
        quotes = ", without quotes" if node.quoted and word in ("true", "false") else ""
        return f"write `{'true' if word in _YES else 'false'}`{quotes}"
    if kind == "string_type" and not isinstance(node.value, str) and node.value is not None:
        return f'write it in quotes: `"{node.text}"`'
    return None
