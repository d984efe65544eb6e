"""A program that publishes events with planted identifiers, by every way there is; `test_planted_identifiers.py` runs it.

Usage: python -m tests.runtime.planting MODE DATABASE, with mode `none` for no redaction at all.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, cast

from backplane_runtime import DataPlane, Status, context, notices
from backplane_runtime.events import AnalysisSignal, Assignment, Error, Exposure, Outcome
from backplane_runtime.settings import Composite, Logging, Member, PiiRedaction, Plane, Sqlite

PLANTED = ("planted-subject", "planted-tenant", "planted@mail.example", "planted-address", "planted-trace")
SUBJECT, TENANT, MAIL, ADDRESS, TRACE = PLANTED
FIELDS = (
    "attributes.email",
    "attributes.request.addresses.ip",
    "attributes.user.mail",
    "data.subjects",
    "message",
    "stackTrace",
)


class Unprintable:
    """Cannot be encoded, and shows an identifier to whoever prints it."""

    def __repr__(self) -> str:
        return SUBJECT

    __str__ = __repr__


def main(mode: str, database: str) -> int:
    """Publish, and return the number of events that should arrive; the exit code is what went wrong."""
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    notices.PERIOD_SECONDS = 0.0  # every reason is logged, not only the first of a minute
    members = [Member(name="sqlite", settings=Sqlite(path=database)), Member(name="log", settings=Logging())]
    with DataPlane(Composite(backplanes=members), plane=options(mode)) as plane:
        expected = publish_valid(plane) + publish_around(plane)
        publish_invalid(plane)
        plane.flush(timeout=2.0)
        sys.stdout.write(
            f"{expected}\n{plane.ledger()!r}\n{plane.health()!r}\n{plane!r}\n{plane.bind(subject=SUBJECT)!r}\n"
        )
    return 0


def options(mode: str) -> Plane:
    """The plane's options for *mode*."""
    if mode == "none":
        return Plane(close_timeout_ms=200)
    redaction = PiiRedaction(
        redact_subject_ids=True,
        redact_tenant_ids=True,
        redact_fields=FIELDS,
        mode=cast("Any", mode),
        key_ref="${env:PII_KEY}" if mode == "pseudonymize" else None,
    )
    return Plane(pii_redaction=redaction, close_timeout_ms=200)


def publish_valid(plane: DataPlane) -> int:
    """Publish each kind of event with an identifier in each field that may hold one."""
    attributes = {
        "email": MAIL,
        "user.mail": MAIL,  # a name with a dot is the same path as an object in an object
        "request": {"addresses": [{"ip": ADDRESS}, {"ip": ADDRESS}]},
    }
    events = [
        Exposure("e", "blue", subject=SUBJECT, tenant=TENANT, attributes=attributes),
        Assignment("e", "red", "blue", subject=SUBJECT, tenant=TENANT, attributes=attributes),
        Outcome("e", subject=SUBJECT, metric="m", tenant=TENANT, attributes=attributes),
        AnalysisSignal("e", "custom", f"about {SUBJECT}", data={"subjects": [SUBJECT]}),
        Error("e", "t", f"no {MAIL}", subject=SUBJECT, tenant=TENANT, stack_trace=TRACE, attributes=attributes),
    ]
    return sum(plane.publish(event) is not Status.DROPPED for event in events)


def publish_around(plane: DataPlane) -> int:
    """Publish through a binding, a context and a decorator."""

    @plane.exposes("e", subject="user_id", errors=True)
    def choose(user_id: str, variant: str) -> str:
        if not variant:
            raise LookupError(f"no variant for {user_id}")
        return variant

    with context(tenant=TENANT):
        plane.bind(subject=SUBJECT).exposure("e", "blue", attributes={"email": MAIL})
        choose(SUBJECT, "blue")
        try:
            choose(SUBJECT, "")
        except LookupError:
            return 3
    return 0


def publish_invalid(plane: DataPlane) -> None:
    """Publish what cannot be: it is told in the log, without what is in it."""
    wrong: Any = plane
    wrong.exposure("", "blue", subject=[SUBJECT])
    wrong.exposure("e", {SUBJECT: TENANT}, subject=SUBJECT)
    wrong.outcome("e", subject=SUBJECT, metric="m", value=MAIL)
    wrong.outcome("e", subject=SUBJECT, metric="m", attributes={"email": MAIL, "more": Unprintable()})
    wrong.outcome("e", subject=SUBJECT, metric="m", attributes={Unprintable(): MAIL})
    wrong.outcome("e", subject=Unprintable(), metric="m")
    plane.outcome("e", subject=SUBJECT, metric="m", value=float("nan"))
    nobody: dict[str, str] = {}
    wrong.bind(correlation=lambda: nobody[SUBJECT]).outcome("", subject=SUBJECT, metric="m")

    @plane.exposes("e", subject=lambda user: user[MAIL])
    def fails(user: dict[str, str]) -> str:
        return "blue" if user else ""

    fails({SUBJECT: TENANT})


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
