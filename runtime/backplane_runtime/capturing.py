"""For the tests of applications: what would have been published, as events to look at. Nothing touches a disk or a network.

    def test_checkout(captured_events):            # a pytest fixture; elsewhere: `with capture_events() as captured:`
        checkout(plane=captured_events.plane, user="user-42")
        exposure = captured_events.single(Exposure, "checkout-button")
        assert exposure.variant == "blue"

An application that has one data plane for all of its modules leaves it where it is:

    with capture_events(instead_of=shop.plane) as captured:
        shop.checkout(user="user-42")
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import msgspec

from backplane_runtime.backplanes.in_memory import InMemoryBackplane
from backplane_runtime.data_plane import DataPlane
from backplane_runtime.envelope import Envelope
from backplane_runtime.events import EVENTS, AnalysisSignal, Assignment, Error, Event, EventType, Exposure, Outcome
from backplane_runtime.settings import InMemory, Plane

AnyEvent = Exposure | Assignment | Outcome | AnalysisSignal | Error
E = TypeVar("E", bound=Event)

_KINDS = {kind.wire_name: event for kind, event in EVENTS.items()}
_PUBLISHING = ("publish", "exposure", "assignment", "outcome", "signal", "error", "lose", "refuse")


class CapturedEvents:
    """The events that were published to `plane`, after sampling and redaction; it is strict: losing one raises.

    Args:
        plane: options of that data plane; its durability is `memory` whatever they say.
    """

    def __init__(self, plane: Plane | None = None) -> None:
        options = msgspec.structs.replace(plane or Plane(), durability="memory")
        self.plane = DataPlane(InMemory(), plane=options, strict=True)

    @property
    def events(self) -> list[AnyEvent]:
        """Return what was published so far, in order."""
        return [msgspec.json.decode(one.payload, type=_KINDS[one.event_type]) for one in self.envelopes()]

    def select(
        self, kind: type[E], experiment: str | None = None, *, variant: str | None = None, subject: str | None = None
    ) -> list[E]:
        """Return the events of one *kind*, in order; only those of an experiment, a variant, a subject where it is said."""
        wanted = {"experiment": experiment, "variant": variant, "subject": subject}
        said = {name: value for name, value in wanted.items() if value is not None}
        of_kind = [event for event in self.events if isinstance(event, kind)]
        return [event for event in of_kind if all(getattr(event, name) == value for name, value in said.items())]

    def single(
        self, kind: type[E], experiment: str | None = None, *, variant: str | None = None, subject: str | None = None
    ) -> E:
        """Return the one event that `select` finds.

        Raises:
            AssertionError: if there is none or more than one; the text lists what was published.
        """
        found = self.select(kind, experiment, variant=variant, subject=subject)
        if len(found) == 1:
            return found[0]
        wanted = {"experiment": experiment, "variant": variant, "subject": subject}
        said = " ".join([kind.__name__, *(f"{name}={value!r}" for name, value in wanted.items() if value is not None)])
        published = "".join(f"\n  {event}" for event in self.events) or " nothing"
        raise AssertionError(f"expected one {said}, found {len(found)}; published was:{published}")

    def envelopes(self) -> list[Envelope]:
        """Return what was published so far as it is on the wire, in order: with correlation and metadata."""
        return [msgspec.json.decode(record.envelope, type=Envelope) for record in self._backplane().records]

    def payloads(self, kind: EventType | None = None) -> list[dict[str, Any]]:
        """Return the payloads published so far as consumers read them, in order; of one *kind* where it is given."""
        wanted = [one for one in self.envelopes() if kind is None or one.event_type == kind.wire_name]
        return [msgspec.json.decode(one.payload) for one in wanted]

    def clear(self) -> None:
        """Forget what was published so far; the counts of the ledger stay."""
        self._backplane().records.clear()

    def _backplane(self) -> InMemoryBackplane:
        if not self.plane.flush():
            raise AssertionError("events are still on their way to memory after 5 s; is a thread holding them up?")
        backplane = self.plane.backplane("inMemory")
        if not isinstance(backplane, InMemoryBackplane):
            raise TypeError(f"the type `inMemory` was registered anew, as {type(backplane).__name__}")
        return backplane


@contextmanager
def capture_events(plane: Plane | None = None, *, instead_of: DataPlane | None = None) -> Iterator[CapturedEvents]:
    """Give a data plane whose events stay in memory, and close it at the end.

    Args:
        plane: its options.
        instead_of: a data plane of the application: as long as this lasts, all that is published to it, in any thread and
            through what was bound or decorated with it, goes to the captured one.
    """
    captured = CapturedEvents(plane)
    with ExitStack() as stack:
        stack.enter_context(captured.plane)
        if instead_of is not None:
            stack.enter_context(_redirected(instead_of, captured.plane))
        yield captured


@contextmanager
def _redirected(source: DataPlane, target: DataPlane) -> Iterator[None]:
    own = vars(source)  # what stands here is found before the methods of the class, also by its other methods
    before = {name: own[name] for name in _PUBLISHING if name in own}
    own.update({name: getattr(target, name) for name in _PUBLISHING})
    try:
        yield
    finally:
        for name in _PUBLISHING:
            del own[name]
        own.update(before)
