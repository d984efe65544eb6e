"""The document as written: its fixed part as pydantic models, and the checked whole.

What stands under `options` and `provisioning` depends on the backplane's type, so it is plain data here and is checked by
the models of that type (`load.py`). A union of models would do the same and put its tags into every path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from backplane_compiler.schema.options import Options, options_model
from backplane_compiler.schema.scalars import EventName
from backplane_compiler.source import Path
from backplane_runtime.config import Experiment
from backplane_runtime.events import EventType
from backplane_runtime.settings import Plane, Settings

SettingsClass = type[Settings]

COMPOSITE: Final = "composite"
FRAMEWORK: Final = "experimentFramework"
DATA_PLANE: Final = "dataPlane"
CATALOG_SECTIONS: Final = ("trials", "experiments")
# Sections of the original framework that may stand beside `dataPlane`; what is in them is its business.
FOREIGN_SECTIONS: Final = ("settings", "decorators", *CATALOG_SECTIONS, "governance")


class TypeSchema(Protocol):
    """What the schema needs to know of a backplane type; `None` settings: its options are other backplanes."""

    @property
    def settings(self) -> type[Settings] | None:
        """The class that defines the options."""

    @property
    def provisioning(self) -> type[BaseModel] | None:
        """The model of `provisioning`; None where the type provisions nothing."""


TypeSchemas = Mapping[str, TypeSchema]


def _empty_for_null(value: Any) -> Any:
    return {} if value is None else value  # `options:` with only comments under it is null in YAML


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Section = Annotated[dict[str, Any], BeforeValidator(_empty_for_null)]


class BackplanePart(Options):
    """`backplane`: which connector, with which options, and what infrastructure it wants."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    type: Annotated[str, Field(min_length=1, description="Type of the backplane; case does not matter.")]
    options: Annotated[Section, Field(default_factory=dict, description="Options of this type.")]
    provisioning: Annotated[Section, Field(default_factory=dict, description="What `plan` and `apply` bring about.")]


class MemberPart(BackplanePart):
    """One of the `backplanes` of a composite."""

    name: Annotated[str, Field(min_length=1, description="Name, unique in the composite.")]
    events: Annotated[
        tuple[EventName, ...] | None,
        BeforeValidator(_as_tuple),
        Field(description="Event types that it takes; all where it is not set."),
    ] = None


class CompositeOptions(Options):
    """Options of a composite: the backplanes that it consists of."""

    backplanes: Annotated[
        tuple[MemberPart, ...], BeforeValidator(_as_tuple), Field(min_length=1, description="The backplanes.")
    ]


DataPlanePart: type[Options] = create_model(
    "DataPlane",
    __base__=options_model(Plane),
    backplane=(BackplanePart, Field(description="Where events go.")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackplaneDocument:
    """One backplane as written: `options` by camelCase name, without defaults; `type` as it is registered."""

    name: str
    type: str
    settings: SettingsClass
    options: Mapping[str, Any]
    provisioning: BaseModel | None
    events: tuple[EventType, ...]
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document in which every key and every value alone is right; `plane` is without defaults, as `options`."""

    plane: Mapping[str, Any]
    plane_path: Path
    backplanes: tuple[BackplaneDocument, ...]
    experiments: tuple[Experiment, ...]
