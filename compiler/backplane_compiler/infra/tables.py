"""The capability tables of all built-in kinds, by the kind's name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from backplane_compiler.infra.kafka import KAFKA_KINDS
from backplane_compiler.infra.kinds import ResourceKind
from backplane_compiler.infra.service_bus_kinds import SERVICE_BUS_KINDS
from backplane_compiler.infra.sql import SQL_KINDS

KINDS: Mapping[str, ResourceKind] = MappingProxyType({**KAFKA_KINDS, **SERVICE_BUS_KINDS, **SQL_KINDS})
