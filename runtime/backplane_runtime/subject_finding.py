"""The subject of a call: who is meant, read from the arguments of a decorated function; what cannot work is refused early."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from operator import attrgetter
from typing import Any

FindSubject = Callable[..., str | None]

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def subject_finder(subject: str | FindSubject, function: Callable[..., Any]) -> FindSubject:
    """Return a function that takes what *function* takes and returns the subject.

    Args:
        subject: the name of a parameter, with a path of attributes such as `request.user.id`; or such a function.
        function: the decorated one.

    Raises:
        TypeError: if *subject* does not fit its parameters.
    """
    if callable(subject):
        _check_fits(subject, function)
        return subject
    name, _, path = subject.partition(".")
    argument = _argument_finder(name, function)
    if not path:
        return argument
    attribute = attrgetter(path)
    return lambda *args, **kwargs: attribute(argument(*args, **kwargs))


def _argument_finder(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that takes what *function* takes and returns its argument *name*."""
    named = [one for one in inspect.signature(function).parameters.values() if one.kind not in _VARIADIC]
    index = next((index for index, one in enumerate(named) if one.name == name), None)
    if index is None:
        raise TypeError(
            f"`{function_name(function)}` has no parameter `{name}`; `subject` is the name of one of "
            f"({', '.join(one.name for one in named)}), or a function that returns the id"
        )
    default = named[index].default
    position = None if named[index].kind is inspect.Parameter.KEYWORD_ONLY else index

    def find(*args: Any, **kwargs: Any) -> Any:
        if position is not None and position < len(args):
            return args[position]
        return kwargs[name] if default is inspect.Parameter.empty else kwargs.get(name, default)

    return find


def _check_fits(subject: FindSubject, function: Callable[..., Any]) -> None:
    """Refuse a *subject* that could not be called as *function* is: each call would lose its event."""
    if inspect.isfunction(subject) and not _fits(inspect.signature(subject), inspect.signature(function)):
        raise TypeError(
            f"`subject` takes {inspect.signature(subject)}, and `{function_name(function)}` {inspect.signature(function)}; "
            "give it the same parameters, or write the name of one, such as `subject='user_id'`"
        )


def _fits(taken: inspect.Signature, given: inspect.Signature) -> bool:
    """Say whether what is *given*, by place or by name, reaches the parameter of the same name."""
    kinds = inspect.Parameter
    by_place = [name for name, one in given.parameters.items() if one.kind is kinds.POSITIONAL_ONLY]
    either = [name for name, one in given.parameters.items() if one.kind is kinds.POSITIONAL_OR_KEYWORD]
    by_name = {name: name for name, one in given.parameters.items() if one.kind is kinds.KEYWORD_ONLY}
    try:
        placed = taken.bind(*by_place, *either, **by_name)
        taken.bind(*by_place, **dict.fromkeys(either), **by_name)
    except TypeError:
        return False
    return all(name not in either or value == name for name, value in placed.arguments.items())


def function_name(function: Any) -> str:
    """Return the name of *function* for texts."""
    return str(getattr(function, "__qualname__", function))
