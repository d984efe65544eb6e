"""Things said under `provisioning` that bring about nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from backplane_compiler.diagnostics import Diagnostic
from backplane_compiler.model.model import Backplane, Model
from backplane_compiler.rules.finding import is_written
from backplane_compiler.rules.finding import warning as warn
from backplane_compiler.schema.provisioning import ServiceBusProvisioning, SqlProvisioning
from backplane_compiler.source import Path, lookup, to_plain
from backplane_runtime.settings import AzureServiceBus, PostgreSql, Sqlite

_SQL_SERVER_ONLY: Final = ("target", "edition", "compression")
_SERVER_ONLY: Final = ("roles",)


def check(model: Model) -> Iterator[Diagnostic]:
    """Yield a warning for each key under `provisioning` that nothing looks at."""
    yield from _of_composite(model)
    for backplane in model.backplanes:
        path: Path = (*backplane.path, "provisioning")
        if backplane.provisioning is None and _says_something(model, path):
            yield _warning(model, path, f"a `{backplane.type}` backplane provisions nothing")
        for key, reason in _keys(backplane):
            if is_written(model, (*path, key)):
                yield _warning(model, (*path, key), reason)


def _keys(backplane: Backplane) -> Iterator[tuple[str, str]]:
    """Yield the keys that mean nothing for a backplane, and why."""
    match backplane.settings, backplane.provisioning:
        case PostgreSql() | Sqlite(), SqlProvisioning():
            yield from ((key, "only SQL Server has this") for key in _SQL_SERVER_ONLY)
            if isinstance(backplane.settings, Sqlite):
                yield from ((key, "an SQLite file has no users") for key in _SERVER_ONLY)
        case AzureServiceBus(entity_kind="queue"), ServiceBusProvisioning():
            yield "subscriptions", "events go to queues, and only topics have subscriptions"
        case _:
            return


def _of_composite(model: Model) -> Iterator[Diagnostic]:
    """Yield a warning for the `provisioning` of a composite itself: its backplanes have their own."""
    for backplane in model.backplanes[:1]:
        if "backplanes" in backplane.path:
            path: Path = (*backplane.path[: backplane.path.index("options")], "provisioning")
            if is_written(model, path):
                yield _warning(
                    model, path, "a composite provisions nothing; each of its backplanes has its own `provisioning`"
                )


def _says_something(model: Model, path: Path) -> bool:
    node = lookup(model.tree, path)
    return node is not None and bool(to_plain(node))


def _warning(model: Model, path: Path, reason: str) -> Diagnostic:
    return warn(model, "provisioning-without-effect", f"`{path[-1]}` has no effect: {reason}", path, hint="remove it")
