from typing import Any

import pytest

from backplane_compiler.infra.kinds import NEVER, Change
from backplane_compiler.infra.service_bus_kinds import QUEUE, SERVICE_BUS_KINDS, SUBSCRIPTION, TOPIC
from backplane_compiler.model.connection import namespace_host
from backplane_runtime.settings import AzureServiceBus
from tests.compiler.models import backplane, resources, targets, values

HOST = {"fullyQualifiedNamespace": "Contoso-Events.servicebus.windows.net"}


def test_one_queue_with_every_property_written_out() -> None:
    found = resources(backplane("azureServiceBus", {**HOST, "enableSessions": True}))
    assert sorted(found) == ["servicebus.namespace.contoso-events", "servicebus.queue.experiment-events"]
    assert values(found["servicebus.queue.experiment-events"]) == {
        "autoDeleteOnIdle": NEVER,
        "deadLetteringOnMessageExpiration": True,
        "defaultMessageTimeToLive": NEVER,
        "duplicateDetectionHistoryTimeWindow": 600_000,
        "enableBatchedOperations": True,
        "enableExpress": False,
        "enablePartitioning": False,
        "forwardDeadLetteredMessagesTo": "",
        "forwardTo": "",
        "lockDuration": 60_000,
        "maxDeliveryCount": 10,
        "maxSizeInMegabytes": 1024,
        "requiresDuplicateDetection": False,
        "requiresSession": True,
        "status": "Active",
        "userMetadata": "",
    }


def test_duplicate_detection_follows_its_window() -> None:
    found = resources(backplane("azureServiceBus", HOST, {"entity": {"duplicateDetectionWindow": "1h"}}))
    queue = values(found["servicebus.queue.experiment-events"])
    assert (queue["requiresDuplicateDetection"], queue["duplicateDetectionHistoryTimeWindow"]) == (True, 3_600_000)


@pytest.mark.parametrize(("tier", "life"), [("basic", 14 * 86_400_000), ("standard", NEVER), ("premium", NEVER)])
def test_the_tier_decides_the_longest_life_and_the_message_size(tier: str, life: int) -> None:
    found = resources(backplane("azureServiceBus", HOST, {"tier": tier}))
    queue = values(found["servicebus.queue.experiment-events"])
    assert queue["defaultMessageTimeToLive"] == life
    assert ("maxMessageSizeInKilobytes" in queue) == (tier == "premium")
    assert values(found["servicebus.namespace.contoso-events"]) == {"tier": tier}


def test_subscriptions_are_on_each_topic_or_on_the_one_they_name() -> None:
    options = {**HOST, "useTypeSpecificDestinations": True, "destinationKind": "topic"}
    wanted = {"subscriptions": [{"name": "all"}, {"name": "alerts", "topic": "error"}]}
    found = resources(backplane("azureServiceBus", options, wanted))
    assert [address for address in found if address.endswith("/alerts")] == [
        "servicebus.subscription.experiment-errors/alerts"
    ]
    assert len([address for address in found if address.endswith("/all")]) == 5
    assert found["servicebus.subscription.experiment-errors/alerts"].depends_on == (
        "servicebus.topic.experiment-errors",
    )
    assert found["servicebus.rule.experiment-errors/alerts/$Default"].depends_on == (
        "servicebus.subscription.experiment-errors/alerts",
    )


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        (None, {"filterType": "SqlFilter", "sqlExpression": "1=1"}),
        ({"eventType": "analysisSignal"}, {"filterType": "CorrelationFilter", "property EventType": "AnalysisSignal"}),
        (
            {"experiment": "it's", "variant": "b"},
            {"filterType": "CorrelationFilter", "property ExperimentName": "it's", "property VariantKey": "b"},
        ),
        ({"sql": "a = 1 OR b = 2"}, {"filterType": "SqlFilter", "sqlExpression": "a = 1 OR b = 2"}),
        (
            {"experiment": "it's", "sql": "a = 1 OR b = 2"},
            {"filterType": "SqlFilter", "sqlExpression": "ExperimentName = 'it''s' AND (a = 1 OR b = 2)"},
        ),
    ],
)
def test_the_filter_takes_the_place_of_the_default_rule(written: Any, rule: dict[str, str]) -> None:
    wanted = {"subscriptions": [{"name": "s", "filter": written}]}
    found = resources(backplane("azureServiceBus", {**HOST, "topicName": "events"}, wanted))
    assert values(found["servicebus.rule.events/s/$Default"]) == rule


def test_forwarding_waits_for_entities_of_ours_and_leaves_others_as_names() -> None:
    archive = backplane("azureServiceBus", {**HOST, "queueName": "Archive"})
    wanted = {"subscriptions": [{"name": "s", "forwardTo": "archive", "forwardDeadLetteredMessagesTo": "theirs"}]}
    found = resources(backplane("azureServiceBus", {**HOST, "topicName": "events"}, wanted), archive)
    subscription = found["servicebus.subscription.events/s"]
    assert subscription.depends_on == ("servicebus.topic.events", "servicebus.queue.Archive")
    assert values(subscription)["forwardDeadLetteredMessagesTo"] == "theirs"


def test_a_forwarding_queue_is_never_deleted_when_idle() -> None:
    entity = {"autoDeleteOnIdle": "1h", "forwardTo": "x"}
    found = resources(backplane("azureServiceBus", HOST, {"entity": entity}))
    assert values(found["servicebus.queue.experiment-events"])["autoDeleteOnIdle"] == NEVER


def test_only_what_an_override_writes_counts() -> None:
    wanted = {
        "entity": {"maxDeliveryCount": 3, "defaultMessageTimeToLive": "1d"},
        "entities": {"error": {"defaultMessageTimeToLive": "unlimited"}, "exposure": {"lockDuration": "30s"}},
    }
    found = resources(backplane("azureServiceBus", {**HOST, "useTypeSpecificDestinations": True}, wanted))
    errors, exposures = (values(found[f"servicebus.queue.experiment-{name}"]) for name in ("errors", "exposures"))
    assert (errors["defaultMessageTimeToLive"], errors["maxDeliveryCount"]) == (NEVER, 3)
    assert (exposures["defaultMessageTimeToLive"], exposures["lockDuration"]) == (86_400_000, 30_000)


@pytest.mark.parametrize(
    ("connection", "namespace", "host"),
    [
        ("Endpoint=sb://MyNs.servicebus.windows.net/;SharedAccessKey=x", None, "myns.servicebus.windows.net"),
        ("SharedAccessKey=x;Endpoint=sb://localhost:5672;UseDevelopmentEmulator=true", None, "localhost"),
        ("${env:SB}", "contoso", "contoso.servicebus.windows.net"),
        ("${SB:-secret}", None, "${SB}"),
        ("${file:/run/secret}", None, "${file:/run/secret}"),
        ("SharedAccessKey=secret", None, "namespace"),
    ],
)
def test_the_label_is_the_host_and_never_a_key(connection: str, namespace: str | None, host: str) -> None:
    settings = AzureServiceBus(connection_string=connection)
    assert namespace_host(settings, namespace) == host


def test_what_is_fixed_at_creation() -> None:
    fixed = {
        kind: {name for name, rule in table.properties.items() if rule.change is Change.CREATE_ONLY}
        for kind, table in SERVICE_BUS_KINDS.items()
    }
    assert {"requiresSession", "requiresDuplicateDetection", "enablePartitioning"} <= fixed[QUEUE]
    assert {"requiresDuplicateDetection", "enablePartitioning"} <= fixed[TOPIC]
    assert {"requiresSession", "isClientAffine"} <= fixed[SUBSCRIPTION]


def test_two_backplanes_on_one_namespace_share_a_target() -> None:
    first, second = (backplane("azureServiceBus", {**HOST, "queueName": name}) for name in ("one", "two"))
    (target,) = targets(first, second)
    assert target.server.label == "contoso-events.servicebus.windows.net"
    assert len(target.desired.resources) == 3
