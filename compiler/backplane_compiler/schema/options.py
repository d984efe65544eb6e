"""The document's schema of options, derived from the settings classes: the only place where msgspec meets pydantic.

A settings class is the one definition of its options (`backplane_runtime.settings.base`). Its pydantic twin has the same
fields, constraints and coercion, so it refuses the same values; it adds places, all errors at once, and a JSON Schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import Meta
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, create_model

from backplane_compiler.schema.scalars import EventName
from backplane_runtime.events import EventType
from backplane_runtime.settings import Settings
from backplane_runtime.settings.base import coerce, field_types, plain_type

_CONSTRAINTS = ("ge", "gt", "le", "lt", "multiple_of", "pattern", "min_length", "max_length", "description")
_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}


class Options(BaseModel):
    """Base of every derived model: immutable, no unknown keys, a bool is no number and `"no"` is no bool."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@cache
def options_model(owner: type[Settings]) -> type[Options]:
    """Return the pydantic model with the fields, constraints and defaults of the settings class *owner*."""
    types = field_types(owner)
    fields: dict[str, Any] = {
        # The underscore keeps `schema` from hiding a method of pydantic's; everything goes by the alias.
        f"{field.name}_": (_field_type(types[field.name]), _field_info(field, types[field.name]))
        for field in msgspec.structs.fields(owner)
    }
    return create_model(owner.__name__, __base__=Options, __doc__=owner.__doc__, **fields)


def written(options: BaseModel) -> dict[str, Any]:
    """Return what the document says, without defaults, by camelCase name: what `from_wire` takes."""
    plain: dict[str, Any] = options.model_dump(by_alias=True, exclude_unset=True)
    return plain


def _field_info(field: msgspec.structs.FieldInfo, annotation: Any) -> Any:
    given = {
        name: value
        for meta in _metas(annotation)
        for name in _CONSTRAINTS
        if (value := getattr(meta, name)) is not None
    }
    if field.default_factory is not msgspec.NODEFAULT:
        given["default_factory"] = field.default_factory
    elif field.default is not msgspec.NODEFAULT:
        given["default"] = _default(field.default)
    return Field(alias=field.encode_name, **given)


def _metas(annotation: Any) -> Iterator[Meta]:
    """Yield the constraints of a field, those inside of `X | None` first."""
    if get_origin(annotation) in (Annotated, Union, UnionType):
        for argument in get_args(annotation):
            yield from (argument,) if isinstance(argument, Meta) else _metas(argument)


def _default(value: Any) -> Any:
    return options_model(type(value))() if isinstance(value, Settings) else value


def _field_type(annotation: Any) -> Any:
    """Return the pydantic type of a field; the field's own constraints are in its `Field`."""
    target = plain_type(annotation)
    kind = _kind(target)
    if _is_optional(annotation):
        kind = kind | None
    if isinstance(target, type) and issubclass(target, Settings):
        return kind  # the nested model does its own coercion, field by field
    return Annotated[kind, BeforeValidator(_coercion(annotation))]


def _kind(target: Any) -> Any:
    origin, arguments = get_origin(target), get_args(target)
    if origin in (Union, UnionType):
        return _scalar_union(arguments)
    if origin is dict:
        return dict[_kind(arguments[0]), _kind(arguments[1])]  # type: ignore[misc]  # types made at run time
    if target is EventType:
        return EventName
    if isinstance(target, type) and issubclass(target, Settings):
        return options_model(target)
    return target


def _coercion(annotation: Any) -> Callable[[Any], Any]:
    return lambda value: coerce(annotation, value)


def _is_optional(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        return _is_optional(get_args(annotation)[0])
    return get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation)


def _scalar_union(members: tuple[Any, ...]) -> Any:
    """Return a type for one of several scalars; pydantic's own union would report one error for each member."""

    def check(value: Any) -> Any:
        if type(value) not in members:
            raise ValueError("must be a string, a number or a bool")
        return value

    return Annotated[Any, AfterValidator(check), WithJsonSchema({"type": [_SCALARS[member] for member in members]})]
