"""Resources, tables of capabilities and random states for the tests of the plan engine."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from backplane_compiler.infra.kinds import Change, PropertyRule, ResourceKind, Unit
from backplane_compiler.infra.state import InfraState, Origin, Property, Resource, Server, Target, Value
from backplane_runtime.settings import InMemory

THING = ResourceKind(
    name="test.thing",
    properties={
        "partitions": PropertyRule(
            change=Change.INCREASE_ONLY,
            increase_risk="ordering",
            increase_risk_trait="keyed",
            reason="Kafka cannot take partitions away from a topic",
            risk_reason="events here carry keys: a key moves to another partition, so order per experiment breaks once",
        ),
        "replicationFactor": PropertyRule(change=Change.NOT_YET, reason="it needs a partition reassignment"),
        "sessions": PropertyRule(change=Change.CREATE_ONLY),
        "min.insync.replicas": PropertyRule(),
        "retention.ms": PropertyRule(unit=Unit.MILLISECONDS, decrease_risk="data-loss"),
        "max.message.bytes": PropertyRule(unit=Unit.BYTES),
        "cleanup.policy": PropertyRule(decrease_risk="data-loss"),
    },
)
KINDS: Mapping[str, ResourceKind] = {THING.name: THING}

# The machine of the tests is shared: how long an example takes says nothing.
LAW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def thing(name: str, values: Mapping[str, Value], *, depends_on: tuple[str, ...] = (), keyed: bool = False) -> Resource:
    return Resource(
        address=f"test.thing.{name}",
        kind=THING.name,
        name=name,
        properties={key: Property(value) for key, value in values.items()},
        depends_on=tuple(f"test.thing.{each}" for each in depends_on),
        traits=frozenset({"keyed"} if keyed else ()),
    )


def target(*resources: Resource, type_name: str = "test", label: str = "here") -> Target:
    server = Server(family="memory", label=label)
    return Target(server=server, type=type_name, settings=InMemory(), desired=InfraState.of(resources))


VALUES: st.SearchStrategy[Value] = st.one_of(
    st.booleans(),
    st.integers(-1, 3),
    st.floats(0, 1),
    st.text("a\u00e9\x1b", max_size=3),
    st.sets(st.sampled_from(["compact", "delete"])).map(lambda words: tuple(sorted(words))),
)
_NAMES = [*THING.properties, "flush.ms"]


@st.composite
def states(draw: st.DrawFn, *, live: bool = False) -> InfraState:
    """Some of five resources; live ones also have values that nobody set."""
    origins = st.sampled_from(Origin) if live else st.just(Origin.SET)
    resources = []
    for number in draw(st.sets(st.integers(0, 4))):
        values = draw(st.dictionaries(st.sampled_from(_NAMES), st.builds(Property, VALUES, origins)))
        # Only to smaller numbers, so that there is no cycle.
        needs = draw(st.sets(st.integers(0, number - 1), max_size=2)) if number else set()
        resources.append(
            Resource(
                address=f"test.thing.{number}",
                kind=THING.name,
                name=str(number),
                properties=values,
                depends_on=tuple(f"test.thing.{each}" for each in sorted(needs)),
                traits=draw(st.sampled_from([frozenset(), frozenset({"keyed"})])),
            )
        )
    return InfraState.of(resources)
