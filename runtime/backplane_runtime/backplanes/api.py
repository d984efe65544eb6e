"""What a backplane is: the contract that every connector keeps and `testing.check_backplane_contract` tests.

A backplane belongs to one delivery thread, which calls `start`, `send` and `close`; only `health` may come from any other
thread, at any time, also before `start` and after `close`. Constructing one opens nothing. A forked child makes one of its
own; that it drops or closes what it inherited is of no concern to its parent (`inherited.disown_in_children`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Protocol, TypeVar

import msgspec

from backplane_runtime.envelope import Record
from backplane_runtime.references import UnresolvedReferenceError, resolve_all
from backplane_runtime.settings import Settings, SettingsError, from_wire, to_wire

S = TypeVar("S", bound=Settings)


class BackplaneError(Exception):
    """A backplane that cannot be used as it is configured or installed; the text is one line with an action."""


class UnavailableError(Exception):
    """Nothing of this batch was taken, and the same call may succeed later; the text says why and holds no secret."""


class Verdict(Enum):
    """What became of one record of a batch."""

    ACKNOWLEDGED = "acknowledged"
    """Stored, as durably as this backplane can."""
    DUPLICATE = "duplicate"
    """Was already there; counts as acknowledged."""
    RETRY = "retry"
    """Not known to be stored; hand it over again."""


class Rejected(msgspec.Struct, frozen=True):
    """This record can never be stored, whatever is done outside; it is dropped and counted, with *reason*."""

    reason: str


class BackplaneHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of one backplane; `message` is one line for people, without secrets."""

    healthy: bool
    message: str
    details: dict[str, Any] = {}


class Backplane(Protocol):
    """A connector."""

    def start(self) -> None:
        """Connect.

        Called before the first `send`, again after it raised, and after `close`; never twice after it returned.

        Raises:
            UnavailableError: if that is not possible now.
        """

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        """Store *batch* in its order and return a verdict for each record, in the same order.

        It returns within seconds, also when the server hangs: what is not known to be stored is `RETRY`. A record that
        comes again after `RETRY` or `UnavailableError` is stored once where the backplane is able to tell.

        Raises:
            UnavailableError: if nothing was stored. The connection is mended by the next call.
        """

    def health(self, timeout: float) -> BackplaneHealth:
        """Ask the server, and answer within *timeout* seconds; never raises."""

    def close(self, timeout: float) -> None:
        """Let go of everything within *timeout* seconds; safe before `start`, and a second time; never raises."""


def resolved(settings: S) -> S:
    """Return *settings* with references such as `${env:NAME}` replaced by what they stand for.

    Raises:
        UnavailableError: if a target is not there: a secret may be mounted later.
    """
    try:
        return from_wire(type(settings), resolve_all(to_wire(settings)))
    except (UnresolvedReferenceError, SettingsError) as error:
        raise UnavailableError(str(error)) from error


def scrubbed(text: str, secrets: Iterable[str | None]) -> str:
    """Return *text* on one line, with every one of *secrets* in it replaced: client libraries echo what they were given."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return " ".join(text.split())
