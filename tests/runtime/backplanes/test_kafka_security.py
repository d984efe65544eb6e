"""Kafka behind TLS and SASL, a real broker: what gets in, and what is said about what does not."""

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("confluent_kafka")

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from backplane_runtime import DataPlane
from backplane_runtime.backplanes.api import UnavailableError, Verdict
from backplane_runtime.backplanes.kafka import KafkaBackplane
from backplane_runtime.envelope import Record
from backplane_runtime.events import EventType
from backplane_runtime.settings import Kafka, KafkaSecurity, Plane
from backplane_runtime.testing import sample_records
from tests.runtime.backplanes.kafka_topics import create_topics, read_all
from tests.servers import SecureKafka
from tests.servers.kafka_security import USER
from tests.servers.token_endpoint import running_token_endpoint

WRONG = "wr0ng-s3cret"
CLIENT, CLIENT_SECRET = "me", "cl13nt-s3cret"


def secured(kafka: SecureKafka, listener: str, **options: Any) -> Kafka:
    """Return settings for a fresh topic on *listener*, with the broker's authority unless told otherwise."""
    settings = Kafka(
        brokers=kafka.security.address(listener),
        topic=f"{listener}-{uuid.uuid4()}".lower(),
        security=KafkaSecurity(**({"ca_file": kafka.security.file("ca.pem")} | options)),
    )
    create_topics(kafka.cluster.bootstrap, [str(settings.topic)])
    return settings


def client_certificate(kafka: SecureKafka) -> dict[str, Any]:
    security = kafka.security
    return {
        "protocol": "ssl",
        "certificate_file": security.file("client.pem"),
        "key_file": security.file("client.key"),
        "key_password": security.key_password,
    }


def login(kafka: SecureKafka, mechanism: str) -> dict[str, Any]:
    return {"mechanism": mechanism, "username": USER, "password": kafka.security.password}


def check_gets_in(kafka: SecureKafka, settings: Kafka) -> None:
    """The events are there for a consumer that comes by the plain listener, and health says so."""
    backplane = KafkaBackplane(settings)
    records = sample_records(5)
    try:
        backplane.start()  # it shakes hands while health, which has a client of its own, asks
        health = backplane.health(5)
        assert (health.healthy, health.message) == (True, "1 broker")
        assert backplane.send(records) == [Verdict.ACKNOWLEDGED] * 5
    finally:
        backplane.close(1)
    found = read_all(kafka.cluster.bootstrap, [str(settings.topic)])
    assert [message.value() for message in found] == [record.envelope for record in records]


def check_stays_out(settings: Kafka, said: str, *secrets: str) -> None:
    """Health and the reason of `send` say *said*, in one line each, and no secret."""
    backplane = KafkaBackplane(settings)
    try:
        health = backplane.health(3)
        with pytest.raises(UnavailableError) as caught:
            backplane.send(sample_records(1))
    finally:
        backplane.close(0)
    assert not health.healthy
    for text in (health.message, str(caught.value)):
        assert said in text
        assert "\n" not in text
        assert not [secret for secret in secrets if secret in text]


def test_a_client_certificate_gets_in(secure_kafka: SecureKafka) -> None:
    """Its key is encrypted."""
    check_gets_in(secure_kafka, secured(secure_kafka, "SSL", **client_certificate(secure_kafka)))


@pytest.mark.parametrize("listener", ["SASL_SSL", "SASL_PLAINTEXT"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_password_gets_in(secure_kafka: SecureKafka, mechanism: str, listener: str) -> None:
    """With TLS and without; a wrong one does not, and is said nowhere."""
    protocol = "saslSsl" if listener == "SASL_SSL" else "saslPlaintext"
    options = login(secure_kafka, mechanism) | {"protocol": protocol}
    check_gets_in(secure_kafka, secured(secure_kafka, listener, **options))
    wrong = secured(secure_kafka, listener, **options | {"password": WRONG})
    check_stays_out(wrong, "check `security.mechanism`, `username` and `password`", WRONG)


def test_a_password_by_reference_that_is_put_right(
    secure_kafka: SecureKafka, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The next client of the same data plane reads it anew: a restart is not needed, and no secret is logged.

    The event that waited meanwhile is there once.
    """
    monkeypatch.setenv("KAFKA_PASSWORD", WRONG)
    caplog.set_level("DEBUG")
    options = login(secure_kafka, "PLAIN") | {"password": "${env:KAFKA_PASSWORD}", "protocol": "saslPlaintext"}
    settings = secured(secure_kafka, "SASL_PLAINTEXT", **options)
    with DataPlane(settings, plane=Plane(flush_interval_ms=10)) as plane:
        plane.outcome("e", subject="s", metric="m")
        assert not plane.flush(3)
        assert "Invalid username or password" in plane.health(3).message
        monkeypatch.setenv("KAFKA_PASSWORD", secure_kafka.security.password)
        assert plane.flush(30)
        assert plane.health(5).healthy
    assert len(read_all(secure_kafka.cluster.bootstrap, [str(settings.topic)])) == 1
    assert WRONG not in caplog.text
    assert secure_kafka.security.password not in caplog.text


@pytest.mark.parametrize("listener", ["SASL_SSL", "SASL_PLAINTEXT"])
def test_a_token_gets_in(secure_kafka: SecureKafka, listener: str) -> None:
    """From an OIDC end point; the broker checks its signature. A client that the end point does not know gets none."""
    options = {"protocol": "saslSsl" if listener == "SASL_SSL" else "saslPlaintext", "mechanism": "OAUTHBEARER"}
    with running_token_endpoint(CLIENT, CLIENT_SECRET, secure_kafka.security.token) as url:
        options |= {"token_endpoint": url, "client_id": CLIENT}
        check_gets_in(secure_kafka, secured(secure_kafka, listener, **options, client_secret=CLIENT_SECRET))
        stranger = secured(secure_kafka, listener, **options, client_secret=WRONG)
        check_stays_out(stranger, "check `security.tokenEndpoint`, `clientId`, `clientSecret`", WRONG)


@pytest.mark.parametrize("flaw", [{"key": "other-token.key"}, {"audience": "somebody-else"}])
def test_a_token_that_the_broker_refuses(secure_kafka: SecureKafka, flaw: dict[str, str]) -> None:
    """Signed by somebody else, or meant for somebody else."""
    token = secure_kafka.security.token(**flaw)
    with running_token_endpoint(CLIENT, CLIENT_SECRET, lambda: token) as url:
        options = {"token_endpoint": url, "client_id": CLIENT, "client_secret": CLIENT_SECRET}
        settings = secured(secure_kafka, "SASL_SSL", protocol="saslSsl", mechanism="OAUTHBEARER", **options)
        check_stays_out(settings, "the broker does not accept the token", CLIENT_SECRET, token)


def test_nobody_at_the_token_end_point(secure_kafka: SecureKafka) -> None:
    """It is what is named, not the broker."""
    options = {"token_endpoint": "http://127.0.0.1:1/token", "client_id": CLIENT, "client_secret": CLIENT_SECRET}
    settings = secured(secure_kafka, "SASL_SSL", protocol="saslSsl", mechanism="OAUTHBEARER", **options)
    check_stays_out(settings, "Failed to connect to 127.0.0.1:1", CLIENT_SECRET)


@pytest.mark.parametrize("authority", ["other-ca.pem", "expired-ca.pem", None])
def test_a_broker_of_an_unknown_authority(secure_kafka: SecureKafka, authority: str | None) -> None:
    """Neither another one, nor one that has ended, nor the operating system's vouch for it."""
    ca_file = secure_kafka.security.file(authority) if authority else None
    settings = secured(secure_kafka, "SSL", **client_certificate(secure_kafka) | {"ca_file": ca_file})
    check_stays_out(settings, "certificate verify failed", secure_kafka.security.key_password)


def test_a_broker_whose_certificate_has_ended(secure_kafka: SecureKafka) -> None:
    """The hint names it."""
    settings = secured(secure_kafka, "EXPIRED", protocol="ssl")
    check_stays_out(settings, "check `security.caFile`, and the broker's certificate: its end and its names")


@pytest.mark.parametrize("name", [None, "expired-client", "stranger"])
def test_a_client_certificate_that_the_broker_refuses(secure_kafka: SecureKafka, name: str | None) -> None:
    """None, one that has ended, one of an unknown issuer."""
    security = secure_kafka.security
    own = {"certificate_file": security.file(f"{name}.pem"), "key_file": security.file(f"{name}.key")} if name else {}
    settings = secured(secure_kafka, "SSL", protocol="ssl", **own)
    check_stays_out(settings, "the broker refuses `security.certificateFile`")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"ca_file": "/nowhere/ca.pem"}, "`security.caFile` must be a file of certificates in PEM"),
        ({"certificate_file": "/nowhere/me.pem"}, "`security.certificateFile` must be a file of certificates in PEM"),
        ({"key_password": WRONG}, "check `security.keyFile` and `keyPassword`"),
    ],
)
def test_a_file_that_the_client_cannot_use(secure_kafka: SecureKafka, wrong: dict[str, Any], said: str) -> None:
    """It is said which option means it."""
    settings = secured(secure_kafka, "SSL", **client_certificate(secure_kafka) | wrong)
    check_stays_out(settings, said, WRONG)


def test_plain_words_to_a_port_that_wants_tls(secure_kafka: SecureKafka) -> None:
    """The broker just hangs up, so the hint has to be ours."""
    health = KafkaBackplane(secured(secure_kafka, "SSL")).health(5)
    assert health.message.endswith("check `brokers` and `security.protocol`")


def test_a_topic_that_one_may_not_write_to(secure_kafka: SecureKafka) -> None:
    """Its events come back with the reason; the others are acknowledged, and its own when it is allowed."""
    bootstrap, prefix = secure_kafka.cluster.bootstrap, f"{uuid.uuid4()}-"
    security = KafkaSecurity(protocol="saslPlaintext", **login(secure_kafka, "PLAIN"))
    brokers = secure_kafka.security.address("SASL_PLAINTEXT")
    settings = Kafka(brokers=brokers, topic_prefix=prefix, security=security)
    create_topics(bootstrap, [settings.topic_for(kind) for kind in EventType])
    topic = settings.topic_for(EventType.OUTCOME)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    denied = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, f"User:{USER}", "*", AclOperation.WRITE)
    (done,) = admin.create_acls([AclBinding(*denied, AclPermissionType.DENY)]).values()
    done.result(10)
    backplane, records = KafkaBackplane(settings), sample_records(10)
    verdicts = until(lambda: backplane.send(records), lambda found: Verdict.RETRY in found)
    assert [one.event_type for one, said in zip(records, verdicts, strict=True) if said is Verdict.RETRY] == [
        EventType.OUTCOME
    ] * 2
    assert backplane.last_error == f"topic `{topic}`: Broker: Topic authorization failed"
    (done,) = admin.delete_acls([AclBindingFilter(*denied, AclPermissionType.DENY)]).values()
    done.result(10)
    waiting = [record for record in sample_records(5) if record.event_type is EventType.OUTCOME]
    assert until(lambda: attempt(backplane, waiting), lambda found: found != "") == [Verdict.ACKNOWLEDGED]
    backplane.close(1)


def attempt(backplane: KafkaBackplane, records: list[Record]) -> Any:
    try:
        return backplane.send(records)
    except UnavailableError:
        time.sleep(0.05)
        return ""


def until(work: Callable[[], Any], is_enough: Callable[[Any], bool]) -> Any:
    """Do *work* until its result is enough: brokers take over permissions at their own pace."""
    deadline = time.monotonic() + 20
    while not is_enough(found := work()):
        assert time.monotonic() < deadline
    return found
