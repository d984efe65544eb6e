"""Keys that this version accepts and does nothing with yet: said, so that nobody counts on them."""

from __future__ import annotations

from collections.abc import Iterator

from backplane_compiler.diagnostics import Diagnostic, Severity
from backplane_compiler.model.model import Backplane, Model
from backplane_compiler.rules.finding import place
from backplane_compiler.schema.provisioning import SqlProvisioning
from backplane_compiler.source import Path
from backplane_runtime.settings import Sqlite, SqlServer


def check(model: Model) -> Iterator[Diagnostic]:
    """Yield a note for each key of an SQL backplane that is carried and not acted on."""
    for backplane in model.backplanes:
        if isinstance(backplane.provisioning, SqlProvisioning):
            for key, written, instead in _keys(backplane, backplane.provisioning):
                path: Path = (*backplane.path, "provisioning", key)
                message = f"`{written}` is accepted, and this version does nothing with it yet"
                yield Diagnostic("not-yet-effective", Severity.NOTE, message, place(model, path), hint=instead)


def _keys(backplane: Backplane, wanted: SqlProvisioning) -> Iterator[tuple[str, str, str]]:
    """Yield each key, what stands there, and what to do meanwhile; what never has an effect is another rule's."""
    if wanted.compression != "none" and isinstance(backplane.settings, SqlServer):
        yield "compression", f"compression: {wanted.compression}", "rebuild the table with it by hand"
    if wanted.retention is not None:
        yield "retention", "retention", "delete old events by a job of your own"
    if wanted.roles.model_fields_set and not isinstance(backplane.settings, Sqlite):
        yield "roles", "roles", "create the roles and grant to them by hand"
    if wanted.indexes == "analytics":
        yield "indexes", "indexes: analytics", "the table gets the indexes of `default`"
