"""Two backplanes of a composite that want one resource on one server, with different settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backplane_compiler.diagnostics import Diagnostic, Label, Severity
from backplane_compiler.model.connection import server_label
from backplane_compiler.model.model import Backplane, Model
from backplane_compiler.rules.finding import at
from backplane_compiler.rules.kafka_topics import topics_of
from backplane_compiler.rules.servicebus_entities import entities_of
from backplane_runtime.settings import PostgreSql, Sqlite, SqlServer


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a backplane wants a resource to be."""

    what: str
    server: str
    shape: object
    backplane: Backplane


def check(model: Model) -> Iterator[Diagnostic]:
    """Yield an error for each two backplanes that want the same things to be different."""
    first: dict[tuple[str, str], _Claim] = {}
    clashes: dict[tuple[str, str], list[tuple[_Claim, _Claim]]] = {}
    for claim in (*_topics(model), *_entities(model), *_tables(model)):
        before = first.setdefault((claim.server, claim.what), claim)
        if before.backplane is not claim.backplane and before.shape != claim.shape:
            clashes.setdefault((before.backplane.name, claim.backplane.name), []).append((before, claim))
    for found in clashes.values():
        yield _two_claims(model, *found[0], len(found) - 1)


def _two_claims(model: Model, first: _Claim, second: _Claim, more: int) -> Diagnostic:
    message = (
        f"`{first.backplane.name}` and `{second.backplane.name}` both want {second.what}"
        f"{f' and {more} more' if more else ''} on `{second.server}`, with different settings"
    )
    label = Label(model.span(at(model, (*first.backplane.path, "provisioning"))), "the other one")
    span = model.span(at(model, (*second.backplane.path, "provisioning")))
    hint = "give both the same settings, or one of them other names"
    return Diagnostic("backplane-claim", Severity.ERROR, message, span, (label,), hint)


def _topics(model: Model) -> Iterator[_Claim]:
    for topic in topics_of(model):
        yield _Claim(f"the topic `{topic.name}`", topic.server, topic.shape, topic.backplane)


def _entities(model: Model) -> Iterator[_Claim]:
    for entity in entities_of(model):
        shape = (entity.kind, entity.settings.enable_sessions, entity.shape)
        yield _Claim(f"the queue or topic `{entity.name}`", entity.server, shape, entity.backplane)


def _tables(model: Model) -> Iterator[_Claim]:
    for backplane in model.backplanes:
        settings = backplane.settings
        if isinstance(settings, (SqlServer, PostgreSql, Sqlite)):
            schema = "" if isinstance(settings, Sqlite) else f"{settings.schema}."
            shape = (settings.enable_idempotency, backplane.provisioning)
            yield _Claim(f"the table `{schema}{settings.table_name}`", server_label(settings), shape, backplane)
