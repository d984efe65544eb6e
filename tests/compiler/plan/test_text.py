"""The texts that people read and paste: compared letter for letter."""

from __future__ import annotations

from textwrap import dedent

import pytest

from backplane_compiler.infra.kinds import Unit
from backplane_compiler.infra.state import InfraState, Property, Resource, Server, Target, Value
from backplane_compiler.plan import (
    Acknowledgement,
    NotObserved,
    Observation,
    Plan,
    PlanOptions,
    build_plan,
    drift_lines,
    explain_plan,
    plan_text,
)
from backplane_compiler.plan.values import value_text
from backplane_runtime.settings import InMemory
from tests.compiler.plan.worlds import KINDS, target, thing

DAY = 86_400_000


def plan() -> Plan:
    wanted = InfraState.of(
        [
            thing(
                "exposures",
                {"retention.ms": 30 * DAY, "partitions": 24, "min.insync.replicas": 2, "replicationFactor": 3},
            ),
            thing("outcomes", {"retention.ms": 30 * DAY, "partitions": 12}),
            thing("errors", {"partitions": 12}, keyed=True),
            thing("signals", {"partitions": 3, "replicationFactor": 3}),
            thing("same", {"partitions": 1}),
        ]
    )
    live = InfraState.of(
        [
            thing("outcomes", {"retention.ms": 7 * DAY, "partitions": 12, "flush.ms": 1}),
            thing("errors", {"partitions": 6}),
            thing("signals", {"partitions": 6, "replicationFactor": 1}),
            thing("same", {"partitions": 1}),
        ]
    )
    server = Server(family="kafka", label="localhost:9092")
    here = Target(server=server, type="test", settings=InMemory(), desired=wanted)
    seen = Observation(target=here, identity="5L6g", description="cluster 5L6g, 3 brokers", state=live)
    return build_plan([seen], PlanOptions(kinds=KINDS, document_digest="sha256:12ab"))


def test_a_plan_as_text() -> None:
    assert plan_text(plan(), KINDS) == dedent("""\
        kafka localhost:9092 (cluster 5L6g, 3 brokers)

          ! test.thing.errors
              partitions                6 -> 12
              events here carry keys: a key moves to another partition, so order per experiment breaks once
              allow it: --allow ordering:test.thing.errors
          + test.thing.exposures
              partitions                24
              replicationFactor         3
              min.insync.replicas       2
              retention.ms              30d
          ~ test.thing.outcomes
              retention.ms              7d -> 30d
          ! test.thing.signals
              partitions                6 -> 3
              replicationFactor         1 -> 3
              Kafka cannot take partitions away from a topic
              it needs a partition reassignment
          set on the server and not in the document, left alone:
              test.thing.outcomes flush.ms = 1

        1 to create, 1 to update, 2 blocked
        """)


def test_verbose_shows_what_is_as_it_should_be_and_allowed_steps_lose_their_mark() -> None:
    text = plan_text(plan().with_allowed([(Acknowledgement.ORDERING, "test.thing.errors")]), KINDS, verbose=True)
    assert "  = test.thing.same\n" in text
    allowed = ["  ~ test.thing.errors", "      partitions                6 -> 12", "      allowed: ordering"]
    assert "\n".join(allowed) in text
    assert text.endswith("\n1 to create, 2 to update, 1 blocked\n")


def test_an_empty_plan_says_so() -> None:
    seen = Observation(target=target(), identity="id", description="in memory", state=InfraState())
    text = plan_text(build_plan([seen], PlanOptions(kinds=KINDS)), KINDS)
    assert text == "memory here (in memory)\n\nnothing to change\n"


def test_a_server_that_is_not_asked_is_shown_as_blocked() -> None:
    reason = "this version does not apply Azure Service Bus; deploy servicebus/template.json"
    blocked = build_plan([NotObserved(target(thing("q", {"sessions": True})), reason)], PlanOptions(kinds=KINDS))
    assert blocked.is_blocked
    assert plan_text(blocked, KINDS) == dedent(f"""\
        memory here (not asked)

          ! test.thing.q
              sessions                  true
              {reason}

        1 blocked
        """)
    assert [*drift_lines(blocked, KINDS)] == [f"memory here: test.thing.q: not compared: {reason}"]


def test_drift_is_a_line_for_each_difference() -> None:
    assert [*drift_lines(plan(), KINDS)] == [
        "kafka localhost:9092: test.thing.errors: partitions is 6, the document says 12",
        "kafka localhost:9092: test.thing.exposures: does not exist",
        "kafka localhost:9092: test.thing.outcomes: retention.ms is 7d, the document says 30d",
        "kafka localhost:9092: test.thing.signals: partitions is 6, the document says 3",
        "kafka localhost:9092: test.thing.signals: replicationFactor is 1, the document says 3",
    ]


def test_a_plan_in_prose() -> None:
    assert explain_plan(plan(), KINDS) == dedent("""\
        This plan was made for the document sha256:12ab: 1 to create, 1 to update, 2 blocked.
        `apply` will do nothing at all while a step is blocked.

        On kafka localhost:9092 (cluster 5L6g, 3 brokers):
          1. Blocked: change test.thing.errors: partitions from 6 to 12.
             partitions: events here carry keys: a key moves to another partition, so order per experiment breaks once (plan-ordering).
             If you accept that: --allow ordering:test.thing.errors
          2. Create test.thing.exposures with partitions 24, replicationFactor 3, min.insync.replicas 2, retention.ms 30d.
             To undo it: delete it, with what it holds by then; `apply` never does that.
          3. Change test.thing.outcomes: retention.ms from 7d to 30d.
             To undo it: set back retention.ms 7d.
          4. Blocked: change test.thing.signals: partitions from 6 to 3, replicationFactor from 1 to 3.
             partitions: Kafka cannot take partitions away from a topic (plan-decrease).
             No option allows this; change the document, or do it by other means.
             replicationFactor: it needs a partition reassignment (plan-not-yet).
             No option allows this; change the document, or do it by other means.
          test.thing.outcomes has flush.ms = 1, which the document does not mention; it is left alone.
        """)


def test_nothing_in_a_name_or_a_value_moves_the_terminal() -> None:
    evil = "a\x1b[2Jb\nc\u202ed\x9b"
    resource = Resource(address=f"test.thing.{evil}", kind="test.thing", name=evil, properties={evil: Property(evil)})
    live = InfraState.of([Resource(address=resource.address, kind="test.thing", name=evil, properties={})])
    server = Server(family="memory", label=evil)
    here = Target(server=server, type="test", settings=InMemory(), desired=InfraState.of([resource]))
    unmanaged = InfraState.of(
        [Resource(address=resource.address, kind="test.thing", name=evil, properties={evil + "2": Property(evil)})]
    )
    for state in (InfraState(), live, unmanaged):
        made = build_plan(
            [Observation(target=here, identity="i", description=evil, state=state)], PlanOptions(kinds=KINDS)
        )
        texts = [plan_text(made, KINDS, verbose=True), explain_plan(made, KINDS), "\n".join(drift_lines(made, KINDS))]
        for text in texts:
            assert not set(text) & {"\x1b", "\u202e", "\x9b"}
            assert "a\\x1b[2Jb\\nc\\u202ed\\x9b" in text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (604_800_000, Unit.MILLISECONDS, "7d"),
        (90_000, Unit.MILLISECONDS, "90s"),
        (1001, Unit.MILLISECONDS, "1001ms"),
        (-1, Unit.MILLISECONDS, "unlimited"),
        (-1, Unit.BYTES, "unlimited"),
        (-2, Unit.BYTES, "-2"),
        (922_337_203_685_477, Unit.MILLISECONDS, "unlimited"),
        (9_223_372_036_854_775_807, Unit.MILLISECONDS, "unlimited"),
        (0, Unit.BYTES, "0"),
        (1 << 30, Unit.BYTES, "1 GiB"),
        (1_048_588, Unit.BYTES, "1048588 B"),
        (True, Unit.BYTES, "true"),
        (("compact", "delete"), Unit.NONE, "compact,delete"),
        ((), Unit.NONE, "(empty)"),
        ("", Unit.NONE, "(empty)"),
        (None, Unit.BYTES, "(none)"),
        (0.5, Unit.NONE, "0.5"),
    ],
)
def test_values_are_shown_in_the_largest_exact_unit(value: Value | None, unit: Unit, text: str) -> None:
    assert value_text(value, unit) == text
