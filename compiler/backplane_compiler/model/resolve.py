"""Document to model: settings built, event toggles applied, a composite's backplanes in one flat list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

from backplane_compiler.diagnostics import Diagnostic, Severity, has_errors
from backplane_compiler.model.model import Backplane, Model
from backplane_compiler.model.unfinished import check_unfinished
from backplane_compiler.schema.document import BackplaneDocument, Document
from backplane_compiler.source import Node, Path, dotted, lookup, span_of
from backplane_runtime.events import EventType
from backplane_runtime.settings import Plane, Refusal, Settings, SettingsError, from_wire

S = TypeVar("S", bound=Settings)

_TOGGLES: Final[Mapping[EventType, str]] = MappingProxyType(
    {
        EventType.EXPOSURE: "enable_exposure_events",
        EventType.ASSIGNMENT: "enable_assignment_events",
        EventType.OUTCOME: "enable_outcome_events",
        EventType.ANALYSIS_SIGNAL: "enable_analysis_signals",
        EventType.ERROR: "enable_error_events",
    }
)
_VERBS: Final = ("has ", "is ", "must ", "contradicts ")
_NO_SECRETS: Final[Mapping[str, str]] = MappingProxyType({})


def resolve_model(
    document: Document, tree: Node, secrets: Mapping[str, str] = _NO_SECRETS
) -> tuple[Model | None, tuple[Diagnostic, ...]]:
    """Return the model of *document*, or what contradicts itself in it.

    *tree* is the one that *document* was read from, without secrets; *secrets* are those that `hide_secrets` took out.
    """
    builder = _Builder(tree)
    plane = builder.settings(Plane, document.plane, document.plane_path)
    enabled = enabled_events(plane) if plane else ()
    backplanes = [builder.backplane(written, enabled) for written in document.backplanes]
    diagnostics = builder.diagnostics
    diagnostics += check_unfinished(tree, document.plane_path)
    if plane is None or has_errors(diagnostics):
        return None, tuple(diagnostics)
    model = Model(
        plane=plane,
        backplanes=tuple(backplane for backplane in backplanes if backplane is not None),
        experiments=document.experiments,
        tree=tree,
        secrets=secrets,
    )
    return model, tuple(diagnostics)


def enabled_events(plane: Plane) -> tuple[EventType, ...]:
    """Return the event types that are published."""
    return tuple(kind for kind in EventType if getattr(plane, _TOGGLES[kind]))


def toggle_name(event_type: EventType) -> str:
    """Return the key that switches an event type, as the document writes it."""
    head, *rest = _TOGGLES[event_type].split("_")
    return head + "".join(word.capitalize() for word in rest)


class _Builder:
    """Builds settings; `diagnostics` gathers what they refuse."""

    def __init__(self, tree: Node) -> None:
        self.tree = tree
        self.diagnostics: list[Diagnostic] = []

    def backplane(self, written: BackplaneDocument, enabled: tuple[EventType, ...]) -> Backplane | None:
        settings = self.settings(written.settings, written.options, (*written.path, "options"))
        if settings is None:
            return None
        return Backplane(
            name=written.name,
            type=written.type,
            settings=settings,
            provisioning=written.provisioning,
            events=tuple(kind for kind in EventType if kind in enabled and kind in written.events),
            path=written.path,
        )

    def settings(self, owner: type[S], options: Mapping[str, Any], path: Path) -> S | None:
        try:
            return from_wire(owner, options)
        except SettingsError as error:
            self.diagnostics += _refused(error.refusals, self.tree, path)
            return None


def _refused(refusals: tuple[Refusal, ...], tree: Node, path: Path) -> Iterator[Diagnostic]:
    """Yield a diagnostic for each refusal, at the option that it names or, where that is not written, at its section."""
    for refusal in refusals:
        keys = (int(key) if key.isdecimal() else key for key in refusal.field.split("."))
        place = _written_part(tree, (*path, *keys))
        message = refusal.message
        # A message that quotes its own option needs no path before it.
        if not message.startswith("`") or len(place) < len(path) + 1 + refusal.field.count("."):
            colon = "" if message.startswith(_VERBS) else ":"
            message = f"`{dotted(place)}`{colon} {message}"
        yield Diagnostic(refusal.code, Severity.ERROR, message, span_of(tree, place), hint=refusal.hint)


def _written_part(tree: Node, path: Path) -> Path:
    """Return *path* up to where the document has it."""
    while path and lookup(tree, path) is None:
        path = path[:-1]
    return path
