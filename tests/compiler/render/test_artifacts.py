"""Golden files: what people read. After a wanted change run once with BACKPLANE_UPDATE_GOLDEN=1 and read the difference."""

import os
from pathlib import Path

import pytest

from backplane_compiler.infra.state import Target
from backplane_compiler.render import Artifact, render_artifacts
from tests.compiler.models import backplane, targets

GOLDEN = Path(__file__).parents[2] / "golden" / "artifacts"
UPDATE = "BACKPLANE_UPDATE_GOLDEN"


def everything() -> tuple[Target, ...]:
    """One backplane of each family, with what its artifacts can show."""
    return targets(
        backplane(
            "kafka",
            {"brokers": ["broker1:9092", "broker2:9092"], "topicPrefix": "shop."},
            {
                "retention": "30d",
                "config": {"cleanup.policy": "delete,compact"},
                "topics": {"exposure": {"partitions": 24}, "error": {"retention": "90d"}},
            },
        ),
        backplane(
            "azureServiceBus",
            {"fullyQualifiedNamespace": "contoso-events.servicebus.windows.net", "topicName": "experiment-events"},
            {
                "tier": "premium",
                "location": "westeurope",
                "entity": {"duplicateDetectionWindow": "10m", "defaultMessageTimeToLive": "14d", "userMetadata": "[a]"},
                "subscriptions": [
                    {"name": "all"},
                    {
                        "name": "checkout",
                        "filter": {"eventType": "exposure", "experiment": "it's"},
                        "requiresSession": True,
                    },
                    {"name": "errors", "filter": {"sql": "[EventType] = 'Error'"}, "forwardTo": "alerts/now"},
                ],
            },
        ),
        backplane(
            "azureServiceBus",
            {"fullyQualifiedNamespace": "contoso-events.servicebus.windows.net", "queueName": "alerts/now"},
            {"tier": "premium", "location": "westeurope"},
        ),
        backplane("sqlServer", {"connectionString": "Server=db;Database=Experiments;Password=geheim", "schema": "ops"}),
        backplane("postgresql", {"url": "postgresql://writer:geheim@db:5432/experiments", "schema": "ops"}),
        backplane("sqlite"),
    )


ARTIFACTS = {artifact.path: artifact for artifact in render_artifacts(everything())}


@pytest.mark.parametrize("path", sorted(ARTIFACTS))
def test_an_artifact_is_as_it_was_read(path: str) -> None:
    golden = GOLDEN / path
    if os.environ.get(UPDATE):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_bytes(ARTIFACTS[path].content)
    assert ARTIFACTS[path].text == golden.read_text(encoding="utf-8")


def test_every_golden_file_is_still_made() -> None:
    assert {str(path.relative_to(GOLDEN)) for path in GOLDEN.rglob("*") if path.is_file()} == set(ARTIFACTS)


@pytest.mark.parametrize("artifact", ARTIFACTS.values(), ids=lambda artifact: artifact.path)
def test_texts_end_with_one_line_feed_and_hold_no_secret(artifact: Artifact) -> None:
    assert artifact.text.endswith("\n")
    assert not artifact.text.endswith("\n\n")
    assert "\r" not in artifact.text
    assert "geheim" not in artifact.text
    assert artifact.executable == artifact.path.endswith(".sh")


def test_several_servers_of_a_family_have_a_folder_each() -> None:
    three = targets(
        backplane("sqlite", {"path": "data/a.db"}),
        backplane("sqlite", {"path": "data-a.db"}),
        backplane("sqlite", {"path": "b.db"}),
        backplane("kafka", {"brokers": ["a:1"]}),
    )
    paths = [artifact.path for artifact in render_artifacts(three)]
    assert paths[:2] == ["kafka/topics.json", "kafka/topics.sh"]
    assert paths[2] == "sql/sqlite/b-db/schema.sql"
    assert len(set(paths[3:])) == 2
    assert all(path.startswith("sql/sqlite/data-a-db-") for path in paths[3:])


def test_nothing_to_provision_gives_no_artifact() -> None:
    assert render_artifacts(()) == ()
