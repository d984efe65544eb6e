"""Infra state to artifacts: the one place that knows which file belongs to which family."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from backplane_compiler.infra.state import Server, Target
from backplane_compiler.render.artifact import Artifact
from backplane_compiler.render.kafka import render_kafka
from backplane_compiler.render.service_bus import render_service_bus
from backplane_compiler.render.sql import render_sql

__all__ = ["Artifact", "render_artifacts"]

RenderFunction = Callable[[Target, str], Iterator[Artifact]]

# Family -> folder and function. A family that is not listed, such as that of an extension, has no artifacts.
_FAMILIES: Mapping[str, tuple[str, RenderFunction]] = MappingProxyType(
    {
        "kafka": ("kafka", render_kafka),
        "servicebus": ("servicebus", render_service_bus),
        "sqlserver": ("sql/sqlserver", render_sql),
        "postgresql": ("sql/postgresql", render_sql),
        "sqlite": ("sql/sqlite", render_sql),
    }
)
_LONGEST_SLUG = 60


def render_artifacts(targets: Iterable[Target]) -> tuple[Artifact, ...]:
    """Return the artifacts of *targets*, ordered by path.

    One server of a family has the family's folder; several have a folder each in it, by their label.

    Raises:
        ValueError: if a name of the document cannot be quoted in an artifact.
    """
    known = [target for target in targets if target.server.family in _FAMILIES]
    folders = _folders([target.server for target in known])
    artifacts = [
        artifact for target in known for artifact in _FAMILIES[target.server.family][1](target, folders[target.server])
    ]
    return tuple(sorted(artifacts, key=lambda artifact: artifact.path))


def _folders(servers: list[Server]) -> dict[Server, str]:
    families = Counter(server.family for server in servers)
    slugs = Counter((server.family, _slug(server.label)) for server in servers)
    folders: dict[Server, str] = {}
    for server in servers:
        folder, slug = _FAMILIES[server.family][0], _slug(server.label)
        if slugs[server.family, slug] > 1:
            # Labels that differ only in what a slug leaves out.
            slug += "-" + hashlib.sha256(server.label.encode()).hexdigest()[:8]
        folders[server] = f"{folder}/{slug}" if families[server.family] > 1 else folder
    return folders


def _slug(label: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:_LONGEST_SLUG] or "server"
