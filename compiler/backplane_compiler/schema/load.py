"""The located tree checked: the only place that runs pydantic, and where its errors become diagnostics."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from backplane_compiler.diagnostics import Diagnostic, Label, Severity, Span, nearest
from backplane_compiler.schema.catalog import check_catalog
from backplane_compiler.schema.document import (
    COMPOSITE,
    DATA_PLANE,
    FOREIGN_SECTIONS,
    FRAMEWORK,
    BackplaneDocument,
    CompositeOptions,
    DataPlanePart,
    Document,
    MemberPart,
    TypeSchemas,
)
from backplane_compiler.schema.options import options_model, written
from backplane_compiler.schema.problems import Part, problems, unknown_key
from backplane_compiler.schema.wording import found, literal, one_of
from backplane_compiler.source import (
    ENVIRONMENTS,
    Mapping,
    Node,
    Path,
    Scalar,
    Sequence,
    dotted,
    lookup,
    span_of,
    to_plain,
)
from backplane_compiler.source.references import check_references
from backplane_runtime.events import EventType

M = TypeVar("M", bound=BaseModel)
_SECTIONS: Final = ("options", "provisioning")


def check_document(tree: Node, handlers: TypeSchemas) -> tuple[Document | None, tuple[Diagnostic, ...]]:
    """Return the document that *tree* holds, or everything that is wrong with its keys and values, one by one.

    *handlers* gives the schema of each backplane type. Environments must have been chosen before (`select_environment`).
    """
    checker = _Checker(tree, handlers)
    document = checker.document()
    return (None if checker.diagnostics else document), tuple(checker.diagnostics)


class _Checker:
    """One walk over a document; `diagnostics` gathers what it finds, in no particular order."""

    def __init__(self, tree: Node, handlers: TypeSchemas) -> None:
        self.tree = tree
        self.handlers = handlers
        self.diagnostics: list[Diagnostic] = []

    def document(self) -> Document | None:
        path = self._plane_path()
        if path is None:
            return None
        self.diagnostics += _endless_numbers(lookup(self.tree, path) or self.tree, path)
        self.diagnostics += check_references(lookup(self.tree, path) or self.tree)
        experiments, duplicates = check_catalog(lookup(self.tree, path[:-1]) or self.tree)
        self.diagnostics += duplicates
        plane = self._validated(DataPlanePart, path)
        if plane is None:
            self._backplanes_of(path)  # for what it finds: everything that is wrong is said at once
            return None
        return Document(
            plane={key: value for key, value in written(plane).items() if key != "backplane"},
            plane_path=path,
            backplanes=self._backplanes_of(path),
            experiments=experiments,
        )

    def _plane_path(self) -> Path | None:
        if not isinstance(self.tree, Mapping):
            self._error("wrong-type", f"a document must be a mapping, not {found(self.tree)}", ())
            return None
        if self.tree.get(FRAMEWORK) is None:
            return self._plane_in((), (DATA_PLANE, FRAMEWORK, ENVIRONMENTS, *FOREIGN_SECTIONS))
        if self.tree.get(DATA_PLANE) is not None:
            self._error(
                "two-roots", f"`{DATA_PLANE}` stands beside `{FRAMEWORK}`, and only one may be there", (DATA_PLANE,)
            )
        self._unknown_keys((), (FRAMEWORK, DATA_PLANE, ENVIRONMENTS))
        return self._plane_in((FRAMEWORK,), (DATA_PLANE, ENVIRONMENTS, *FOREIGN_SECTIONS))

    def _plane_in(self, path: Path, known: tuple[str, ...]) -> Path | None:
        self._unknown_keys(path, known)
        node = lookup(self.tree, path)
        if not isinstance(node, Mapping):
            self._error("wrong-type", f"`{dotted(path)}` must be a mapping, not {found(node)}", path)
            return None
        if node.get(DATA_PLANE) is None:
            if not any(nearest(entry.key, (DATA_PLANE, FRAMEWORK)) for entry in node.entries):
                hint = f"start with `{DATA_PLANE}:`"
                self._error("missing-key", f"`{dotted((*path, DATA_PLANE))}` is required", path, hint=hint)
            return None
        return (*path, DATA_PLANE)

    def _unknown_keys(self, path: Path, known: tuple[str, ...]) -> None:
        node = lookup(self.tree, path)
        for entry in node.entries if isinstance(node, Mapping) else ():
            if entry.key not in known:
                self.diagnostics.append(unknown_key(self.tree, (*path, entry.key), known))

    def _backplanes_of(self, plane: Path) -> tuple[BackplaneDocument, ...]:
        path = (*plane, "backplane")
        kind = self._type(path)
        if kind == COMPOSITE:
            return self._members((*path, "options"))
        return self._backplane(kind, path, None) if kind else ()

    def _members(self, options: Path) -> tuple[BackplaneDocument, ...]:
        composite = self._validated(CompositeOptions, options)
        path = (*options, "backplanes")
        node = lookup(self.tree, path)
        count = len(node.items) if isinstance(node, Sequence) else 0
        self._unique_names(path, count)
        # Members are looked at where the list as a whole is wrong too, so that all that is wrong is said at once.
        parts = composite.backplanes if composite else (None,) * count
        return tuple(member for index, part in enumerate(parts) for member in self._member((*path, index), part))

    def _member(self, path: Path, part: MemberPart | None) -> tuple[BackplaneDocument, ...]:
        kind = self._type(path)
        if kind == COMPOSITE:
            hint = "put its backplanes into the outer list"
            self._error("nested-composite", "a composite cannot hold a composite", (*path, "type"), hint=hint)
            return ()
        return self._backplane(kind, path, part) if kind else ()

    def _unique_names(self, path: Path, count: int) -> None:
        first: dict[Any, Span] = {}
        for index in range(count):
            name = lookup(self.tree, (*path, index, "name"))
            if isinstance(name, Scalar) and first.setdefault(name.value, name.span) is not name.span:
                label = Label(first[name.value], "the first one")
                message = f"two backplanes are named `{name.value}`"
                self.diagnostics.append(
                    Diagnostic("duplicate-name", Severity.ERROR, message, name.span, (label,), "rename one of the two")
                )

    def _backplane(self, kind: str, path: Path, member: MemberPart | None) -> tuple[BackplaneDocument, ...]:
        schema = self.handlers[kind]
        if schema.settings is None:
            return ()
        options = self._validated(options_model(schema.settings), (*path, "options"))
        provisioning = self._validated(schema.provisioning, (*path, "provisioning")) if schema.provisioning else None
        if options is None or (provisioning is None and schema.provisioning):
            return ()
        return (
            BackplaneDocument(
                name=member.name if member else kind,
                type=kind,
                settings=schema.settings,
                options=written(options),
                provisioning=provisioning,
                events=tuple(EventType) if member is None or member.events is None else member.events,
                path=path,
            ),
        )

    def _type(self, backplane: Path) -> str | None:
        """Return the registered type that the document means, in any case of letters."""
        node = lookup(self.tree, (*backplane, "type"))
        if not isinstance(node, Scalar) or not isinstance(node.value, str) or not node.value:
            return None  # the model of the backplane says so
        word = node.value.casefold()
        known = next((name for name in self.handlers if name.casefold() == word), None)
        if known is None:
            near = nearest(node.value, self.handlers)
            hint = f"did you mean `{near[0]}`?" if near else f"use one of {one_of(self.handlers)}"
            message = f"there is no backplane type {literal(node)}"
            self._error("unknown-backplane-type", message, (*backplane, "type"), hint=hint)
        return known

    def _validated(self, model: type[M], path: Path) -> M | None:
        node = lookup(self.tree, path)
        if not (node is None or _is_null(node) or isinstance(node, Mapping)) and path[-1] in _SECTIONS:
            return None  # the model of the backplane says so
        try:
            return model.model_validate({} if node is None or _is_null(node) else to_plain(node))
        except ValidationError as error:
            self.diagnostics += problems(error, Part(self.tree, path, model))
            return None

    def _error(self, code: str, message: str, path: Path, *, hint: str | None = None) -> None:
        span = span_of(self.tree, path)
        self.diagnostics.append(Diagnostic(code, Severity.ERROR, message, span, hint=hint))


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _endless_numbers(node: Node, path: Path) -> Iterator[Diagnostic]:
    """Yield an error for each infinity and each `.nan`: JSON has neither, so the frozen config could not hold them."""
    if isinstance(node, Scalar):
        if isinstance(node.value, float) and not math.isfinite(node.value):
            message = f"`{dotted(path)}` must be a finite number, not `{node.text}`"
            yield Diagnostic("option-value", Severity.ERROR, message, node.span)
        return
    pairs: Any = (
        [(entry.key, entry.value) for entry in node.entries] if isinstance(node, Mapping) else enumerate(node.items)
    )
    for key, child in pairs:
        yield from _endless_numbers(child, (*path, key))
