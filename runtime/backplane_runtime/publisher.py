"""What a binding, a decorator or an integration needs of a data plane, bound or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar, overload

from backplane_runtime.events import Event, EventType
from backplane_runtime.notices import Notices
from backplane_runtime.receipts import Receipt
from backplane_runtime.status import Status


class Publisher(Protocol):
    """Something to publish to; `publish` is that of a `DataPlane`."""

    @overload
    def publish(
        self,
        event: Event,
        *,
        correlation: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        automatic: bool = False,
        receipt: Literal[False] = False,
    ) -> Status: ...

    @overload
    def publish(
        self,
        event: Event,
        *,
        correlation: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        automatic: bool = False,
        receipt: Literal[True],
    ) -> Receipt: ...

    def lose(self, kind: EventType, error: Exception) -> Status:
        """Count an event of *kind* that could not even be made, and log why; raise *error* where the plane is strict."""

    def refuse(self, kind: EventType | None, reason: str) -> Status:
        """Count and log a call whose arguments make no event; raise TypeError where the plane is strict."""

    @property
    def notices(self) -> Notices:
        """Return the plane's log of bounded rate."""


P = ParamSpec("P")
M = TypeVar("M", bound=Callable[..., Status])


def publishes(event: Callable[P, Event]) -> Callable[Concatenate[Publisher, P], Status]:
    """Return a method that makes an *event*, one of the five classes, of its arguments and publishes it."""
    kind: EventType = event.event_type  # type: ignore[attr-defined]  # a type cannot say so and keep the arguments

    def shorthand(self: Publisher, /, *args: P.args, **kwargs: P.kwargs) -> Status:
        try:
            made = event(*args, **kwargs)
        except TypeError as error:  # an argument is missing, or there is none of that name
            return self.refuse(kind, str(error))
        return self.publish(made)

    shorthand.__doc__ = f"Publish `{getattr(event, '__name__', 'event')}(…)`; see its fields, and `publish`."
    return shorthand


def refuses_calls(kind: EventType) -> Callable[[M], M]:
    """Return a decorator for a `Publisher`'s method that publishes an event of *kind*: a call that does not fit is refused."""

    def decorated(method: M) -> M:
        @wraps(method)
        def checked(self: Publisher, /, *args: Any, **kwargs: Any) -> Status:
            try:
                return method(self, *args, **kwargs)
            except TypeError as error:
                if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                    raise  # not of the call, but in the method: of a strict plane
                return self.refuse(kind, str(error))

        return checked  # type: ignore[return-value]  # it takes what *method* takes

    return decorated
