"""From document to model: settings, toggles, members."""

from __future__ import annotations

from backplane_compiler.schema.provisioning import KafkaProvisioning
from backplane_runtime.events import EventType
from backplane_runtime.settings import Kafka
from tests.compiler.checking import check


def test_defaults_are_filled() -> None:
    """What is not written is what the settings and the provisioning say."""
    model = check("dataPlane:\n  backplane: { type: kafka, options: { brokers: 'h:1' } }\n").model
    assert model is not None
    (backplane,) = model.backplanes
    assert backplane.name == backplane.type == "kafka"
    assert backplane.settings == Kafka(brokers=("h:1",))
    assert backplane.provisioning == KafkaProvisioning()
    assert backplane.events == tuple(EventType)


def test_toggles_and_members_choose_the_events() -> None:
    """A member gets what it takes and the document enables, in one order."""
    text = (
        "dataPlane:\n  enableErrorEvents: false\n  backplane:\n    type: composite\n    options:\n      backplanes:\n"
        "        - { name: a, type: logging, events: [error, outcome, exposure] }\n        - { name: b, type: inMemory }\n"
    )
    model = check(text).model
    assert model is not None
    assert [backplane.events for backplane in model.backplanes] == [
        (EventType.EXPOSURE, EventType.OUTCOME),
        (EventType.EXPOSURE, EventType.ASSIGNMENT, EventType.OUTCOME, EventType.ANALYSIS_SIGNAL),
    ]
    assert [backplane.path[-1] for backplane in model.backplanes] == [0, 1]
