"""The ARM template against Microsoft's contract, made strict: unknown properties are errors."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from backplane_compiler.infra.kinds import NEVER
from backplane_compiler.render.iso_duration import LONGEST, iso_duration
from tests.compiler.render.test_artifacts import ARTIFACTS

# Beside the repository, not in it: it is Microsoft's.
CONTRACT = Path(__file__).parents[4] / "shared" / "contracts" / "arm-microsoft.servicebus-2026-01-01.schema.json"
COMMON = "https://schema.management.azure.com/schemas/common/definitions.json"
EXPRESSION = {"definitions": {"expression": {"type": "string", "pattern": r"^\[([^\[].*)?\]$"}}}
# What every resource of a template may have (deploymentTemplate.json, `resourceBase`); the contract knows one level of
# nesting, so what is deeper is validated on its own.
BASE = {
    "resources": {"type": "array"},
    "condition": {},
    "dependsOn": {"type": "array", "items": {"type": "string"}},
    "comments": {"type": "string"},
}

Errors = Callable[[dict[str, Any]], Iterator[str]]


@pytest.fixture(scope="module")
def errors() -> Errors:
    """Says what is wrong with a resource of the type `Microsoft.ServiceBus/namespaces` and with all that is nested in it."""
    if not CONTRACT.is_file():
        pytest.skip(f"the contract is not at {CONTRACT}")
    contract = strict(json.loads(CONTRACT.read_text(encoding="utf-8")))
    common: dict[str, Any] = {"id": COMMON, **EXPRESSION}
    registry = Registry[Any]().with_resources(
        [(each["id"].rstrip("#"), Resource.from_contents(each, DRAFT4)) for each in (contract, common)]
    )
    base = contract["id"].rstrip("#")

    def errors(resource: dict[str, Any], name: str = "resourceDefinitions/namespaces") -> Iterator[str]:
        validator = Draft4Validator({"$ref": f"{base}#/{name}"}, registry=registry)
        yield from (error.message for error in validator.iter_errors(resource))
        for inner in resource.get("resources", ()):
            below = f"{name.split('/')[1].removesuffix('_childResource')}_{inner['type']}_childResource"
            yield from errors(inner, f"definitions/{below}")

    return errors


def strict(contract: dict[str, Any]) -> dict[str, Any]:
    """Return *contract* without room for properties that it does not name."""
    for name, definition in (contract["definitions"] | contract["resourceDefinitions"]).items():
        if "properties" in definition:
            definition["additionalProperties"] = False
            if name.startswith("namespaces"):
                definition["properties"] = BASE | definition["properties"]
    return contract


@pytest.fixture
def namespace() -> dict[str, Any]:
    """The namespace of the golden template."""
    (resource,) = json.loads(ARTIFACTS["servicebus/template.json"].text)["resources"]
    assert isinstance(resource, dict)
    return deepcopy(resource)


def test_the_template_keeps_the_contract(errors: Errors, namespace: dict[str, Any]) -> None:
    assert [*errors(namespace)] == []


def test_the_contract_as_made_strict_refuses_what_is_wrong(errors: Errors, namespace: dict[str, Any]) -> None:
    for change in ({"maxDelivery": 10}, {"lockDuration": 60}, {"status": "Sleeping"}):
        broken = deepcopy(namespace)
        broken["resources"][0]["properties"] |= change
        assert [*errors(broken)], change
    namespace["resources"][1]["resources"][0]["resources"][0]["properties"]["filter"] = "1=1"
    assert [*errors(namespace)]


def test_every_property_of_the_contract_that_can_be_set_is_set(errors: Errors, namespace: dict[str, Any]) -> None:
    contract = json.loads(CONTRACT.read_text(encoding="utf-8"))
    queue, topic = namespace["resources"]
    subscription = topic["resources"][0]
    # Forwarding, and text that is empty, are left out to say "none"; the last two are of client-affine subscriptions
    # and of no effect on others.
    none = {"forwardTo", "forwardDeadLetteredMessagesTo", "userMetadata"}
    no_effect = {"clientAffineProperties", "duplicateDetectionHistoryTimeWindow"}
    for resource, name, missing in (
        (queue, "SBQueueProperties", none),
        (topic, "SBTopicProperties", set()),
        (subscription, "SBSubscriptionProperties", none | no_effect),
    ):
        assert set(contract["definitions"][name]["properties"]) - set(resource["properties"]) == missing


def test_a_forwarding_subscription_waits_for_its_queue(namespace: dict[str, Any]) -> None:
    queue, topic = namespace["resources"]
    forwarding = next(one for one in topic["resources"] if one["name"] == "errors")
    assert queue["name"] == "alerts~now"
    assert forwarding["properties"]["forwardTo"] == "alerts/now"
    assert (
        "[resourceId('Microsoft.ServiceBus/namespaces/queues', parameters('namespaceName'), 'alerts~now')]"
        in (forwarding["dependsOn"])
    )


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "PT0S"),
        (1, "PT0.001S"),
        (500, "PT0.5S"),
        (60_000, "PT1M"),
        (90_000, "PT1M30S"),
        (86_400_000, "P1D"),
        (14 * 86_400_000 + 3_600_000, "P14DT1H"),
        (NEVER, LONGEST),
    ],
)
def test_durations_are_iso_8601(milliseconds: int, text: str) -> None:
    assert iso_duration(milliseconds) == text
