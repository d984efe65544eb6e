"""A Kafka broker behind TLS and SASL for tests: certificates, listeners, users, and tokens that it can check.

Everything is made new for each run, with the operating system's `openssl`; nothing secret is the same twice.
"""

import base64
import json
import secrets
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers import requirements

USER = "alice"
AUDIENCE = "kafka"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
LISTENERS = ("SSL", "EXPIRED", "SASL_SSL", "SASL_PLAINTEXT")
_PROTOCOLS = {"EXPIRED": "SSL"}  # of those whose name is not their protocol
_LOGIN = "org.apache.kafka.common.security"
_ALLOWED = "org.apache.kafka.sasl.oauthbearer.allowed.urls"  # without it, a broker reads keys from nowhere
_SUBJECT_NAMES = "subjectAltName=IP:127.0.0.1,DNS:localhost"
_KEY_SECONDS = 60


@dataclass(frozen=True)
class KafkaSecurity:
    """The secure listeners of one broker; the files are in `directory`, PEM all of them.

    `ca.pem` vouches for the broker and for `client.pem` (key `client.key`, encrypted); `other-ca.pem` for nobody, and
    `stranger.pem` is a client's certificate of its making. `expired-ca.pem` and `expired-client.pem` have ended, as has the
    certificate of the listener EXPIRED. SSL wants a client's certificate, the SASL listeners do not. All may do everything
    with a topic that has no ACL.
    """

    directory: Path
    ports: dict[str, int]
    password: str = field(repr=False)
    key_password: str = field(repr=False)

    def file(self, name: str) -> str:
        """Return the path of one of the files."""
        return str(self.directory / name)

    def address(self, listener: str) -> str:
        """Return where clients connect to *listener*."""
        return f"127.0.0.1:{self.ports[listener]}"

    def settings(self) -> dict[str, str]:
        """Return what the broker's `server.properties` has more."""
        named = {f"listener.name.{name.lower()}": name for name in LISTENERS}
        found = {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "allow.everyone.if.no.acl.found": "true",
        }
        for prefix, name in named.items():
            found |= {f"{prefix}.{key}": value for key, value in self._listener(name).items()}
        return found

    def listeners(self) -> list[str]:
        """Return the listeners as the broker's settings name them."""
        return [f"{name}://127.0.0.1:{port}" for name, port in self.ports.items()]

    def protocols(self) -> list[str]:
        """Return the protocol of each listener, as the broker's settings name them."""
        return [f"{name}:{_PROTOCOLS.get(name, name)}" for name in LISTENERS]

    def format_options(self) -> list[str]:
        """Return how the storage is formatted: with the users whose passwords are kept there."""
        users = [f"{name}=[name={USER},password={self.password}]" for name in MECHANISMS if name.startswith("SCRAM")]
        return [part for user in users for part in ("--add-scram", user)]

    def jvm_options(self) -> list[str]:
        """Return what the broker's JVM is started with."""
        return [f"-D{_ALLOWED}={self._keys_address()}"]

    def token(self, *, audience: str = AUDIENCE, key: str = "token.key") -> str:
        """Return a token for `USER`, good for five minutes; another *key* is one that the broker does not know."""
        now = int(time.time())
        claims = {"sub": USER, "aud": audience, "iat": now, "exp": now + 300}
        signed = ".".join(_base64(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "1"}, claims))
        signature = _openssl("dgst", "-sha256", "-sign", self.file(key), given=signed.encode())
        return f"{signed}.{_base64(signature)}"

    def _keys_address(self) -> str:
        return (self.directory / "keys.json").as_uri()

    def _listener(self, name: str) -> dict[str, str]:
        found: dict[str, str] = {}
        if "SSL" in _PROTOCOLS.get(name, name):
            broker = "expired-broker" if name == "EXPIRED" else "broker"
            found |= {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": self.file(f"{broker}.both"),
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": self.file("ca.pem"),
                "ssl.client.auth": "required" if name == "SSL" else "none",
            }
        if name.startswith("SASL"):
            found |= {"sasl.enabled.mechanisms": ",".join(MECHANISMS)} | self._mechanisms()
        return found

    def _mechanisms(self) -> dict[str, str]:
        scram = f"{_LOGIN}.scram.ScramLoginModule required;"
        plain = f'{_LOGIN}.plain.PlainLoginModule required user_{USER}="{self.password}";'
        handler = f"{_LOGIN}.oauthbearer.OAuthBearerValidatorCallbackHandler"
        return {
            "plain.sasl.jaas.config": plain,
            "scram-sha-256.sasl.jaas.config": scram,
            "scram-sha-512.sasl.jaas.config": scram,
            "oauthbearer.sasl.jaas.config": f"{_LOGIN}.oauthbearer.OAuthBearerLoginModule required;",
            "oauthbearer.sasl.server.callback.handler.class": handler,
            "oauthbearer.sasl.oauthbearer.jwks.endpoint.url": self._keys_address(),
            "oauthbearer.sasl.oauthbearer.expected.audience": AUDIENCE,
        }


def make_security(directory: Path, ports: list[int]) -> KafkaSecurity:
    """Make all keys and certificates in *directory*, and a password; *ports* are for `LISTENERS`, in order.

    Raises:
        ServerUnavailableError: there is no `openssl`.
    """
    directory.mkdir(exist_ok=True)
    made = KafkaSecurity(
        directory=directory,
        ports=dict(zip(LISTENERS, ports, strict=True)),
        password=f"pw-{secrets.token_urlsafe(12)}",
        key_password=f"kp-{secrets.token_urlsafe(12)}",
    )
    for name in ("ca", "other-ca"):
        _authority(made, name)
    for name, days in (("broker", 2), ("expired-broker", -1), ("client", 2), ("expired-client", -1)):
        _certificate(made, name, "ca", days)
    _certificate(made, "stranger", "other-ca", 2)
    again = ("-in", made.file("ca.pem"), "-signkey", made.file("ca.key"), "-days", "-1")
    _openssl("x509", *again, "-out", made.file("expired-ca.pem"))
    for name in ("broker", "expired-broker"):
        both = Path(made.file(f"{name}.key")).read_text("ascii") + Path(made.file(f"{name}.pem")).read_text("ascii")
        Path(made.file(f"{name}.both")).write_text(both, encoding="ascii")
    _encrypt_key(made, "client")
    for name in ("token", "other-token"):
        _openssl("genrsa", "-out", made.file(f"{name}.key"), "2048")
    Path(made.file("keys.json")).write_text(json.dumps({"keys": [_public_key(made)]}), encoding="ascii")
    return made


def _authority(made: KafkaSecurity, name: str) -> None:
    new = ("-newkey", "rsa:2048", "-noenc", "-keyout", made.file(f"{name}.key"), "-out", made.file(f"{name}.pem"))
    _openssl("req", "-x509", *new, "-days", "2", "-subj", f"/CN={name}")


def _certificate(made: KafkaSecurity, name: str, authority: str, days: int) -> None:
    request = made.file(f"{name}.request")
    new = ("-newkey", "rsa:2048", "-noenc", "-keyout", made.file(f"{name}.key"), "-subj", f"/CN={name}")
    _openssl("req", "-new", *new, "-addext", _SUBJECT_NAMES, "-out", request)
    signed_by = ("-CA", made.file(f"{authority}.pem"), "-CAkey", made.file(f"{authority}.key"), "-CAcreateserial")
    more = ("-copy_extensions", "copy", "-days", str(days), "-out", made.file(f"{name}.pem"))
    _openssl("x509", "-req", "-in", request, *signed_by, *more)


def _encrypt_key(made: KafkaSecurity, name: str) -> None:
    path = made.file(f"{name}.key")
    plain = Path(path).read_bytes()
    # By an environment variable: a command line is seen by everybody.
    _openssl("pkcs8", "-topk8", "-out", path, "-passout", "env:KEY_PASSWORD", given=plain, secret=made.key_password)


def _public_key(made: KafkaSecurity) -> dict[str, str]:
    said = _openssl("rsa", "-in", made.file("token.key"), "-modulus", "-noout").decode("ascii")
    modulus = bytes.fromhex(said.strip().removeprefix("Modulus="))
    return {"kty": "RSA", "kid": "1", "use": "sig", "alg": "RS256", "n": _base64(modulus), "e": "AQAB"}


def _openssl(*arguments: str, given: bytes = b"", secret: str = "") -> bytes:
    done = subprocess.run(
        [requirements.openssl(), *arguments],
        input=given,
        env={"PATH": "/usr/bin:/bin", "KEY_PASSWORD": secret},
        capture_output=True,
        check=True,
        timeout=_KEY_SECONDS,
    )
    return done.stdout


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
