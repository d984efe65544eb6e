"""What librdkafka is handed."""

from typing import Any

import pytest

from backplane_runtime.settings import Kafka, KafkaSecurity, SettingsError, from_wire
from backplane_runtime.settings.kafka_client import client_config, connection_config, secrets_of

pytestmark = pytest.mark.runtime_only


def test_defaults_are_written_out() -> None:
    """What librdkafka assumes differs: no idempotence, topics created by a typo, a million requests in flight."""
    assert client_config(Kafka(brokers=("a:9092", "b:9092"))) == {
        "bootstrap.servers": "a:9092,b:9092",
        "client.id": "experiment-backplane",
        "security.protocol": "plaintext",
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "snappy",
        "linger.ms": 100,
        "request.timeout.ms": 30_000,
        "max.in.flight.requests.per.connection": 5,
        "allow.auto.create.topics": False,
        "topic.metadata.propagation.max.ms": 500,
        "message.timeout.ms": 0,
        "partitioner": "consistent_random",
    }


def test_additional_config_wins() -> None:
    """It is last."""
    settings = Kafka(brokers=("a:1",), additional_config={"linger.ms": 7, "partitioner": "murmur2_random"})
    config = client_config(settings)
    assert (config["linger.ms"], config["partitioner"]) == (7, "murmur2_random")


def test_security_has_librdkafkas_names() -> None:
    """SASL and TLS; what is not set is not there."""
    security = KafkaSecurity(
        protocol="saslSsl",
        mechanism="SCRAM-SHA-512",
        username="u",
        password="${env:P}",
        ca_file="/ca.pem",
    )
    assert connection_config(Kafka(brokers=("a:1",), client_id="me", security=security)) == {
        "bootstrap.servers": "a:1",
        "client.id": "me",
        "security.protocol": "sasl_ssl",
        "sasl.mechanisms": "SCRAM-SHA-512",
        "sasl.username": "u",
        "sasl.password": "${env:P}",
        "ssl.ca.location": "/ca.pem",
    }


def test_oauthbearer_is_oidc() -> None:
    """The method that needs no callback."""
    security = KafkaSecurity(
        protocol="saslSsl",
        mechanism="OAUTHBEARER",
        token_endpoint="https://t",
        client_id="c",
        client_secret="${env:S}",
    )
    config = connection_config(Kafka(brokers=("a:1",), security=security))
    assert config["sasl.oauthbearer.method"] == "oidc"
    assert config["sasl.oauthbearer.token.endpoint.url"] == "https://t"
    assert "sasl.oauthbearer.scope" not in config


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"enable_idempotence": False, "acks": "0", "max_in_flight": 1000},
        {"partition_by": "roundRobin", "compression_type": "zstd"},
        {"security": KafkaSecurity(protocol="saslSsl", mechanism="PLAIN", username="u", password="p")},
        {"linger_ms": 900_000, "request_timeout_ms": 900_000},
    ],
)
def test_the_client_accepts_it(options: dict[str, Any]) -> None:
    """The library checks all of it when a producer is made."""
    confluent_kafka = pytest.importorskip("confluent_kafka")
    config = {**client_config(Kafka(brokers=("127.0.0.1:1",), **options)), "log_level": 0}
    assert isinstance(confluent_kafka.Producer(config), confluent_kafka.Producer)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"security": {"protocol": "saslSsl", "mechanism": "OAUTHBEARER", "clientId": "me"}},
            "`tokenEndpoint`, `clientId`",
        ),
        ({"security": {"protocol": "ssl", "certificateFile": "me.pem"}}, "`certificateFile` needs `keyFile`"),
        ({"security": {"protocol": "ssl", "keyFile": "me.key"}}, "`keyFile` needs `certificateFile`"),
    ],
)
def test_half_of_a_proof_is_refused(settings: dict[str, Any], said: str) -> None:
    """When it is written, not when the first event waits."""
    with pytest.raises(SettingsError, match=said):
        from_wire(Kafka, {"brokers": ["a:1"], **settings})


def test_a_token_may_come_otherwise() -> None:
    """Azure's identity needs neither end point nor secret: librdkafka's own settings say so."""
    extra: dict[str, str | int | float | bool] = {
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.metadata.authentication.type": "azure_imds",
    }
    security = KafkaSecurity(protocol="saslSsl", mechanism="OAUTHBEARER")
    assert client_config(Kafka(brokers=("a:1",), security=security, additional_config=extra)).items() >= extra.items()


def test_what_is_secret() -> None:
    """Named options, and those of librdkafka that carry a password, a secret or a key."""
    extra: dict[str, str | int | float | bool] = {
        "ssl.key.pem": "k",
        "sasl.oauthbearer.config": "o",
        "ssl.keystore.password": "p",
        "linger.ms": 1,
    }
    security = KafkaSecurity(protocol="saslSsl", mechanism="PLAIN", username="u", password="w")
    assert set(secrets_of(Kafka(brokers=("a:1",), security=security, additional_config=extra))) == {"k", "o", "p", "w"}
