"""What every settings class shares: coercion, validation, and refusals as values.

A settings class is the one definition of a set of options. The document's schema is derived from it (compiler), the
frozen config holds it in its wire form, and a program may construct it directly. So its defaults, its ranges and its
refusals are the same in all three.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

if TYPE_CHECKING:
    Strings = Sequence[str]  # what a caller may give
else:
    Strings = tuple[str, ...]  # what settings hold

_NUMBER = re.compile(r"[-+]?\d{1,18}(\.\d{1,18})?\Z", re.ASCII)


class Refusal(msgspec.Struct, frozen=True):
    """One reason why settings cannot be used.

    `field` is the option's name in camelCase (dotted for nested ones and items), as the document writes it; `code` is the
    stable name under which the compiler reports it; `hint` is one action.
    """

    field: str
    message: str
    code: str = "option-value"
    hint: str | None = None


class SettingsError(ValueError):
    """Settings that cannot be used; `refusals` holds every reason, never only the first."""

    def __init__(self, owner: str, refusals: tuple[Refusal, ...]) -> None:
        self.owner = owner
        self.refusals = refusals
        super().__init__("; ".join(f"{owner}.{refusal.field}: {refusal.message}" for refusal in refusals))


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of all settings: immutable, validated when constructed.

    Raises:
        SettingsError: with every refused option.
    """

    def __post_init__(self) -> None:
        refusals = [*_validate(self)]
        if not refusals:
            refusals = [*self._refusals()]
        if refusals:
            raise SettingsError(type(self).__name__, tuple(refusals))

    def place(self) -> Any:
        """Return what says where events go to: what was spooled for one place is not sent to another by a later program.

        A class overrides it where options may change and the place stays the same.
        """
        return msgspec.to_builtins(self)

    def located(self) -> Self:
        """Return the settings with paths that mean the same when the program has gone to another directory."""
        return self

    def _refusals(self) -> Iterator[Refusal]:
        """Yield what is wrong between options; each alone is already known to be valid."""
        return iter(())


S = TypeVar("S", bound=Settings)


@cache
def field_types(owner: type[Settings]) -> dict[str, Any]:
    """Return the annotated type of each field, by its Python name."""
    hints = get_type_hints(owner, include_extras=True)
    return {field.name: hints[field.name] for field in msgspec.structs.fields(owner)}


def _validate(settings: Settings) -> Iterator[Refusal]:
    names = {field.name: field.encode_name for field in msgspec.structs.fields(settings)}
    for name, annotation in field_types(type(settings)).items():
        try:
            value = coerce(annotation, getattr(settings, name))
            msgspec.structs.force_setattr(settings, name, msgspec.convert(value, annotation))
        except SettingsError as error:
            for inner in error.refusals:
                yield Refusal(f"{names[name]}.{inner.field}", inner.message, inner.code, inner.hint)
        except msgspec.ValidationError as error:
            yield Refusal(names[name], _lower_first(str(error)))


def coerce(annotation: Any, value: Any) -> Any:
    """Return *value* in the form that *annotation* wants, where that is certain; otherwise *value* itself.

    Case of enumerated words does not matter, a string of digits is a number where a number is meant, and a list of
    strings may be written as one string with commas (design/document.md, "Options of the built-in backplanes").
    """
    target = plain_type(annotation)
    origin = get_origin(target)
    if origin is Literal:
        return _enumerated(get_args(target), value)
    if target in (int, float) and isinstance(value, str) and _NUMBER.match(value):
        return float(value) if "." in value else int(value)
    if target == tuple[str, ...]:
        return _strings(value)
    if origin is dict and isinstance(value, Mapping):
        return _keyed(get_args(target)[0], value)
    if isinstance(target, type) and issubclass(target, Settings) and isinstance(value, Mapping):
        return from_wire(target, value)
    return value


def plain_type(annotation: Any) -> Any:
    """Return *annotation* without its constraints and without `None`."""
    if get_origin(annotation) is Annotated:
        return plain_type(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not NoneType]
        return plain_type(members[0]) if len(members) == 1 else annotation
    return annotation


def from_wire(owner: type[S], values: Mapping[str, Any]) -> S:
    """Build *owner* from camelCase *values*.

    Raises:
        SettingsError: with every unknown or refused option.
    """
    fields = {field.encode_name: field for field in msgspec.structs.fields(owner)}
    unknown = [Refusal(name, "unknown option", "unknown-key") for name in values if name not in fields]
    missing = [
        Refusal(name, "is required", "missing-key")
        for name, field in fields.items()
        if field.required and name not in values
    ]
    if unknown or missing:
        raise SettingsError(owner.__name__, (*unknown, *missing))
    return owner(**{fields[name].name: value for name, value in values.items()})


def known_part(owner: type[Settings], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return camelCase *values* without the options that *owner* does not have: for a config that a newer version wrote."""
    types = field_types(owner)
    kinds = {field.encode_name: plain_type(types[field.name]) for field in msgspec.structs.fields(owner)}
    return {name: _known(kinds[name], value) for name, value in values.items() if name in kinds}


def _known(kind: Any, value: Any) -> Any:
    is_section = isinstance(kind, type) and issubclass(kind, Settings) and isinstance(value, Mapping)
    return known_part(kind, value) if is_section else value


def to_wire(settings: Settings) -> dict[str, Any]:
    """Return *settings* as plain camelCase data with every default written out; `from_wire` is its inverse."""
    plain: dict[str, Any] = msgspec.to_builtins(settings)
    return plain


def _enumerated(choices: tuple[str, ...], value: Any) -> Any:
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return next((choice for choice in choices if choice.casefold() == str(value).casefold()), value)
    return value


def _keyed(key_type: Any, values: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return *values* with enumerated keys as they are spelled, unless two would become one."""
    if not (isinstance(key_type, type) and issubclass(key_type, Enum)):
        return values
    choices = tuple(member.value for member in key_type)
    spelled = {_enumerated(choices, key): value for key, value in values.items()}
    return spelled if len(spelled) == len(values) else values


def _strings(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return tuple(value) if isinstance(value, list) else value


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
