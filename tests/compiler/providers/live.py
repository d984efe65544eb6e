"""Plan and apply against a live system, as the command line does it: the plan goes through its file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from backplane_compiler.apply import ApplyOptions, apply_plan
from backplane_compiler.apply_report import ApplyReport
from backplane_compiler.infra.kafka import KAFKA_KINDS
from backplane_compiler.infra.kinds import ResourceKind
from backplane_compiler.infra.sql import SQL_KINDS, index_resources, table_resource
from backplane_compiler.infra.state import InfraState, Resource, Server, Target
from backplane_compiler.plan import (
    Plan,
    PlanOptions,
    drift_lines,
    parse_acknowledgement,
    plan_from_bytes,
    plan_to_bytes,
)
from backplane_compiler.providers.observe import observe_and_plan, open_target
from backplane_runtime.event_table import Dialect, TableOptions, event_table
from backplane_runtime.settings import Settings

KINDS: Mapping[str, ResourceKind] = {**KAFKA_KINDS, **SQL_KINDS}


@dataclass(frozen=True)
class Live:
    """One live system and how a document reaches it."""

    type: str
    settings: Settings
    environment: Mapping[str, str] = field(default_factory=dict)

    def plan(self, wanted: Iterable[Resource], *allowed: str) -> Plan:
        server = Server(family=self.type, label="the-server")
        target = Target(server=server, type=self.type, settings=self.settings, desired=InfraState.of(wanted))
        options = PlanOptions(kinds=KINDS, allowed=frozenset(map(parse_acknowledgement, allowed)))
        plan = observe_and_plan([target], self.environment, options)
        raw = plan_to_bytes(plan)
        assert not any(value.encode() in raw for value in self.environment.values())
        assert plan_from_bytes(raw) == plan
        return plan

    def apply(self, plan: Plan, options: ApplyOptions | None = None) -> ApplyReport:
        saved = plan_from_bytes(plan_to_bytes(plan))
        return apply_plan(saved, lambda each: open_target(each, self.environment), options)

    def drift(self, wanted: Iterable[Resource]) -> list[str]:
        prefix = f"{self.type} the-server: "
        return [line.removeprefix(prefix) for line in drift_lines(self.plan(wanted), KINDS)]


def event_tables(dialect: Dialect, options: TableOptions) -> list[Resource]:
    table = event_table(dialect, options)
    return [table_resource(table), *index_resources(table)]
