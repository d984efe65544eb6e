"""Options of the data plane and of every built-in backplane: one definition for document, config and program."""

from backplane_runtime.settings.base import Refusal, Settings, SettingsError, from_wire, known_part, to_wire
from backplane_runtime.settings.composite import Composite, Member
from backplane_runtime.settings.kafka import Kafka, KafkaSecurity
from backplane_runtime.settings.local import InMemory, Logging, OpenTelemetry
from backplane_runtime.settings.plane import PiiRedaction, Plane, Spool
from backplane_runtime.settings.service_bus import AzureServiceBus
from backplane_runtime.settings.sql import PostgreSql, Sqlite, SqlServer

__all__ = [
    "AzureServiceBus",
    "Composite",
    "InMemory",
    "Kafka",
    "KafkaSecurity",
    "Logging",
    "Member",
    "OpenTelemetry",
    "PiiRedaction",
    "Plane",
    "PostgreSql",
    "Refusal",
    "Settings",
    "SettingsError",
    "Spool",
    "SqlServer",
    "Sqlite",
    "from_wire",
    "known_part",
    "to_wire",
]
