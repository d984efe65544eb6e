"""Secrets that stand in clear: found before anything else looks at the document, and replaced by references.

So no later phase, no output and no message can hold one. What is looked at: connection strings and URLs, options whose
name says that they are a secret, and maps that a client or an exporter is handed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field, replace
from typing import Final

from backplane_compiler.diagnostics import Diagnostic, Severity
from backplane_compiler.model.secret_forms import Found, is_secret_key, secrets_in_text, secrets_of
from backplane_compiler.source import Entry, Mapping, Node, Path, Scalar, Sequence, dotted
from backplane_compiler.source.references import Reference, parse_references

_SECTION: Final = "dataPlane"
_REFERENCE_KEY: Final = "keyref"
_MASK: Final = "***"
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True, slots=True)
class Hidden:
    """A tree without secrets: `secrets` holds each by the name of the variable that stands in its place.

    `texts` are all secret texts that were seen, for the masking of what is shown of the source.
    """

    tree: Node = field(repr=False)
    secrets: AbstractMapping[str, str] = field(default_factory=dict, repr=False)
    texts: frozenset[str] = field(default=frozenset(), repr=False)
    diagnostics: tuple[Diagnostic, ...] = ()


def hide_secrets(tree: Node) -> Hidden:
    """Return *tree* with every secret of its data plane that stands in clear replaced by `${env:NAME}`.

    The names follow from the backplane and the key (`BACKPLANE_KAFKA_PASSWORD`), so they are the same on every run.
    """
    hider = _Hider()
    safe = hider.node(tree, (), "")
    return Hidden(safe, dict(sorted(hider.secrets.items())), frozenset(hider.texts), tuple(hider.diagnostics))


class _Hider:
    """One walk over a tree."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.texts: set[str] = set()
        self.diagnostics: list[Diagnostic] = []

    def node(self, node: Node, path: Path, owner: str) -> Node:
        if isinstance(node, Scalar):
            return self.scalar(self.without_defaults(node, path), path, owner) if _SECTION in path else node
        if isinstance(node, Sequence):
            items = tuple(self.node(item, (*path, index), owner) for index, item in enumerate(node.items))
            return replace(node, items=items)
        owner = _owner(node) or owner
        return replace(node, entries=tuple(self.entry(entry, path, owner) for entry in node.entries))

    def entry(self, entry: Entry, path: Path, owner: str) -> Entry:
        return replace(entry, value=self.node(entry.value, (*path, entry.key), owner))

    def scalar(self, node: Scalar, path: Path, owner: str) -> Scalar:
        found = tuple(_secrets_in(node, _key(path)))
        if not isinstance(node.value, str) or (found and _key(path).casefold() == _REFERENCE_KEY):
            # Of the wrong type, or a reference by its nature: an error of its own, shown without the value.
            self.texts |= {node.text for _ in found}
            return (
                replace(node, value=_MASK if isinstance(node.value, str) else node.value, text=_MASK) if found else node
            )
        text = node.value
        for secret in reversed(found):
            value = text[secret.start : secret.end]
            name = self.name(f"{owner} {secret.key}", value)
            self.texts.add(value)
            self.diagnostics.append(_in_clear(node, path, secret, name))
            text = f"{text[: secret.start]}${{env:{name}}}{text[secret.end :]}"
        # Its text too: whoever quotes what stands in the document quotes this.
        return replace(node, value=text, text=text) if found else node

    def without_defaults(self, node: Scalar, path: Path) -> Scalar:
        """Return *node* with the defaults of its references taken away where they are or hold a secret."""
        if not isinstance(node.value, str) or "${" not in node.value:
            return node
        text = node.value
        for part in reversed(parse_references(text)):
            if isinstance(part, Reference) and part.default and _is_secret_default(text, part, _key(path)):
                self.secrets.setdefault(part.name, part.default)
                self.texts.add(part.default)
                self.diagnostics.append(_default_in_clear(node, path, part.name))
                text = f"{text[: part.start]}${{env:{part.name}}}{text[part.end :]}"
        return node if text == node.value else replace(node, value=text, text=text)

    def name(self, words: str, value: str) -> str:
        """Return the variable for a secret; the same one for the same value, a numbered one for another value."""
        base = "_".join(("BACKPLANE", *(word.upper() for word in _WORD.findall(words))))
        name, number = base, 1
        while self.secrets.setdefault(name, value) != value:
            number += 1
            name = f"{base}_{number}"
        return name


def _owner(node: Mapping) -> str:
    """Return the name of a backplane's mapping, or its type."""
    if node.get("type") is None:
        return ""
    for key in ("name", "type"):
        entry = node.get(key)
        if entry is not None and isinstance(entry.value, Scalar) and isinstance(entry.value.value, str):
            return entry.value.value
    return ""


def _secrets_in(node: Scalar, key: str) -> Iterator[Found]:
    if isinstance(node.value, str) or (
        node.value is not None and not isinstance(node.value, bool) and is_secret_key(key)
    ):
        yield from secrets_of(str(node.value), key)


def _key(path: Path) -> str:
    """Return the option's name: of what stands in a list or a mapping under a secret option, that of the option."""
    names = [element for element in path if isinstance(element, str)]
    return next((name for name in reversed(names) if is_secret_key(name)), names[-1] if names else "")


def _is_secret_default(text: str, part: Reference, key: str) -> bool:
    """Say whether the default of *part* would be a secret if it stood in the place of the reference."""
    default = part.default or ""
    if is_secret_key(key) or any(secrets_in_text(default)):
        return True
    filled = f"{text[: part.start]}{default}{text[part.end :]}"
    end = part.start + len(default)
    return any(part.start < found.end and found.start < end for found in secrets_in_text(filled))


def _in_clear(node: Scalar, path: Path, secret: Found, name: str) -> Diagnostic:
    where = f"`{dotted(path)}`"
    what = f"`{secret.key}` in {where}" if str(path[-1]) != secret.key else where
    message = f"{what} holds a secret in clear; `${{env:{name}}}` stands in its place in everything that is written"
    hint = f"write `${{env:{name}}}` there, and set the environment variable `{name}` where the events are published"
    return Diagnostic("secret-in-clear", Severity.WARNING, message, node.span, hint=hint)


def _default_in_clear(node: Scalar, path: Path, name: str) -> Diagnostic:
    message = f"the default of `{name}` in `{dotted(path)}` is a secret in clear; it is left out of everything that is written"
    hint = f"write `${{env:{name}}}`, and set the environment variable `{name}` where the events are published"
    return Diagnostic("secret-in-clear", Severity.WARNING, message, node.span, hint=hint)
