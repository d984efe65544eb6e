"""The decorator `exposes`: the exposure is published where the variant is chosen, and cannot be forgotten.

    @plane.exposes("checkout-button", subject="request.user.id")
    def button_color(request: Request) -> str:
        return assigner.variant("checkout-button", request.user.id)

What it promises:

- The decorated function returns what it returned and raises what it raised, whatever becomes of the event. What could not
  be made or published is counted and logged; only a strict data plane, as in tests, raises.
- The exposure is published after the function returned: a function that raised exposed nobody. With `errors=True` an
  `Exception` is published as an error event first, then goes on; what is not an `Exception` (a cancelled task, an exit)
  never is.
- Nothing is published where there is no variant (`None`: not in the experiment) or no subject (`None`: nobody known).
- Functions, methods and `async` functions keep their signature, for type checkers and for frameworks. Generators are
  refused: they have no one result.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import Any, Protocol, TypeVar, Unpack, cast, overload

import msgspec

from backplane_runtime.envelope import InvalidEventError
from backplane_runtime.events import Error, EventType, Exposure
from backplane_runtime.fields import ExposureDetails
from backplane_runtime.publisher import Publisher
from backplane_runtime.subject_finding import FindSubject, function_name, subject_finder

Variant = str | Enum | None
FindVariant = Callable[[Any], Variant]

Chooser = TypeVar("Chooser", bound=Callable[..., Variant] | Callable[..., Awaitable[Variant]])
Function = TypeVar("Function", bound=Callable[..., Any])


class ChooserDecorator(Protocol):
    """Decorates functions that return the variant."""

    def __call__(self, function: Chooser, /) -> Chooser:
        """Return *function*, which publishes an exposure too."""


class FunctionDecorator(Protocol):
    """Decorates functions of any kind."""

    def __call__(self, function: Function, /) -> Function:
        """Return *function*, which publishes an exposure too."""


@overload
def exposes(
    plane: Publisher,
    experiment: str,
    *,
    subject: str | FindSubject,
    errors: bool = False,
    **details: Unpack[ExposureDetails],
) -> ChooserDecorator: ...


@overload
def exposes(
    plane: Publisher,
    experiment: str,
    *,
    subject: str | FindSubject,
    variant: str | FindVariant,
    errors: bool = False,
    **details: Unpack[ExposureDetails],
) -> FunctionDecorator: ...


def exposes(
    plane: Publisher,
    experiment: str,
    *,
    subject: str | FindSubject,
    variant: str | FindVariant | None = None,
    errors: bool = False,
    **details: Unpack[ExposureDetails],
) -> FunctionDecorator:
    """Return a decorator that publishes an exposure to *experiment* whenever the function returns.

    Args:
        plane: where to.
        experiment: the experiment's name.
        subject: who is exposed: the name of a parameter of the function, with a path of attributes where that leads to the
            id (`request.user.id`), or a function that takes what the decorated one takes and returns the id.
        variant: the key, where calling the function is the exposure; or a function that takes the result and returns the
            key. Without it the result is the key (a string, or an enum whose value is one).
        errors: also publish an error event for an `Exception` of the function: its class, its text and the subject.
        details: further fields of the exposure, the same for every call.

    Raises:
        TypeError: when it decorates, if the function is a generator, a `classmethod` or `staticmethod` object, or *subject*
            does not fit its parameters.
    """

    def decorate(function: Function) -> Function:
        _refuse(function)
        exposing = Exposing(
            plane=plane,
            experiment=experiment,
            details=dict(details),
            name=function_name(function),
            find_subject=subject_finder(subject, function),
            find_variant=_variant_finder(variant),
            fixed_variant=variant if isinstance(variant, str) else None,
            errors=errors,
        )
        return cast("Function", _wrapped(function, exposing))

    return decorate


class Exposing(msgspec.Struct, frozen=True, kw_only=True):
    """What one decorated function, called *name*, publishes; it never raises, unless the plane is strict."""

    plane: Publisher
    experiment: str
    details: dict[str, Any]
    name: str
    find_subject: FindSubject
    find_variant: FindVariant
    fixed_variant: str | None
    errors: bool

    def returned(self, result: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Publish the exposure for *result* of a call with *args* and *kwargs*."""
        try:
            event = self._exposure(result, args, kwargs)
        except Exception as error:  # noqa: BLE001 - the caller gets its result
            self._lose(EventType.EXPOSURE, error)
            return
        if event is not None:
            self.plane.publish(event)

    def raised(self, failure: Exception, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Publish the error event for *failure* of a call with *args* and *kwargs*, where that is wished."""
        if not self.errors:
            return
        try:
            event = Error(
                self.experiment,
                type(failure).__qualname__,
                str(failure),
                variant=self.fixed_variant,
                subject=self.find_subject(*args, **kwargs),
                tenant=self.details.get("tenant"),
            )
        except Exception as error:  # noqa: BLE001 - the caller gets its own exception
            self._lose(EventType.ERROR, error)
            return
        self.plane.publish(event)

    def _exposure(self, result: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Exposure | None:
        variant = self.find_variant(result)
        if variant is None:
            return None
        subject = self.find_subject(*args, **kwargs)
        if subject is None:
            return None
        return Exposure(self.experiment, _key(variant), subject=subject, **self.details)

    def _lose(self, kind: EventType, error: Exception) -> None:
        # The text of a foreign exception may quote the event; that of ours does not.
        reason = str(error) if isinstance(error, InvalidEventError) else f"unexpected {type(error).__name__}"
        lost = InvalidEventError(f"the {kind.value} event of a call of `{self.name}` could not be made: {reason}")
        lost.__cause__ = error
        self.plane.lose(kind, lost)


def _wrapped(function: Callable[..., Any], exposing: Exposing) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaiting(*args: Any, **kwargs: Any) -> Any:
            try:
                result = await function(*args, **kwargs)
            except Exception as failure:
                exposing.raised(failure, args, kwargs)
                raise
            exposing.returned(result, args, kwargs)
            return result

        return awaiting

    @functools.wraps(function)
    def calling(*args: Any, **kwargs: Any) -> Any:
        try:
            result = function(*args, **kwargs)
        except Exception as failure:
            exposing.raised(failure, args, kwargs)
            raise
        exposing.returned(result, args, kwargs)
        return result

    return calling


def _refuse(function: Any) -> None:
    name = function_name(function)
    if isinstance(function, (classmethod, staticmethod)):
        raise TypeError(f"`exposes` stands below `@{type(function).__name__}`: swap the two lines above `{name}`")
    if not callable(function):
        raise TypeError(f"`exposes` decorates a function, not {type(function).__name__}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"`exposes` cannot decorate the generator `{name}`, which has no one result; "
            "call `plane.exposure(…)` in it, where the variant is known"
        )


def _variant_finder(variant: str | FindVariant | None) -> FindVariant:
    if variant is None:
        return lambda result: result
    if isinstance(variant, str):
        return lambda _: variant
    return variant


def _key(variant: Any) -> str:
    key = variant.value if isinstance(variant, Enum) else variant
    if isinstance(key, str):
        return key
    raise InvalidEventError(f"{type(variant).__name__} is no variant key; return text, or say `variant=` how to get it")
