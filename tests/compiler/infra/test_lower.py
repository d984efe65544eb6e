from backplane_compiler.infra.lower import infra_to_plain, lower
from backplane_runtime.config import canonical_bytes
from backplane_runtime.events import EventType
from tests.compiler.models import FUNCTIONS, backplane, model, targets, values

KAFKA = {"brokers": ["a:9092"]}


def test_what_provisions_nothing_gives_no_target() -> None:
    assert targets(backplane("inMemory")) == ()


def test_targets_are_ordered_whatever_the_order_of_the_document() -> None:
    parts = [
        backplane("sqlite", {"path": "b.db"}),
        backplane("kafka", KAFKA),
        backplane("sqlite", {"path": "a.db"}),
    ]
    there, back = targets(*parts), targets(*reversed(parts))
    assert [(one.server.family, one.server.label) for one in there] == [
        ("kafka", "a:9092"),
        ("sqlite", "a.db"),
        ("sqlite", "b.db"),
    ]
    assert canonical_bytes(infra_to_plain(there)) == canonical_bytes(infra_to_plain(back))


def test_what_two_want_in_the_same_way_is_there_once_and_keyed_if_one_keys_it() -> None:
    round_robin = backplane("kafka", {**KAFKA, "partitionBy": "roundRobin"}, events=(EventType.ERROR,))
    keyed = backplane("kafka", KAFKA, events=(EventType.ERROR,))
    (target,) = targets(round_robin, keyed)
    (topic,) = target.desired.resources
    assert topic.traits == {"keyed"}


def test_spellings_of_one_server_give_one_target() -> None:
    (target,) = targets(backplane("kafka", {"brokers": ["A:9092"]}), backplane("kafka", {**KAFKA, "topicPrefix": "x."}))
    assert len(target.desired.resources) == 10


def test_what_two_want_in_different_ways_is_an_error_and_the_first_one_counts() -> None:
    """One message for two backplanes, however many resources they differ in."""
    both = model(backplane("kafka", KAFKA), backplane("kafka", KAFKA, {"partitions": 3}))
    (target,), (clash,) = lower(both, FUNCTIONS)
    assert clash.code == "backplane-claim"
    assert "the topic `experiment-analysis-signals` and 4 more on `a:9092`" in clash.message
    assert {values(topic)["partitions"] for topic in target.desired.resources} == {12}


def test_infra_json_holds_no_settings() -> None:
    secret = backplane("postgresql", {"url": "postgresql://u:geheim@db/exp"})
    plain = infra_to_plain(targets(secret))
    assert (plain["format"], plain["version"]) == ("experiment-backplane/infra", 1)
    assert b"geheim" not in canonical_bytes(plain)
