"""JSON Schema 2020-12 of what is written, of what is frozen, and of what is published.

The document's schema describes the spelling that we recommend: editors complete and check by it. The compiler takes more:
any case of enumerated words and of backplane types, and digits in quotes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from backplane_compiler.schema.document import (
    COMPOSITE,
    DATA_PLANE,
    FOREIGN_SECTIONS,
    FRAMEWORK,
    BackplanePart,
    CompositeOptions,
    DataPlanePart,
    MemberPart,
    TypeSchemas,
)
from backplane_compiler.schema.options import Options, options_model
from backplane_compiler.schema.scalars import duration_text
from backplane_runtime.config import FORMAT, VERSION, FrozenConfig
from backplane_runtime.events import EVENTS, SCHEMA_VERSION, EventType

Schema = dict[str, Any]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REF: Final = "#/$defs/{}"
_DIGEST: Final = "^sha256:[0-9a-f]{64}$"


def document_schema(handlers: TypeSchemas) -> Schema:
    """Return the schema of a document, both roots, with the options of each type in *handlers*."""
    made, definitions = models_json_schema(
        [(model, "validation") for model in _models(handlers)], ref_template="#/$defs/{model}"
    )
    references = {model: schema for (model, _), schema in made.items()}
    defs: Schema = definitions["$defs"]
    for part in (BackplanePart, MemberPart):
        kinds = [kind for kind in handlers if part is BackplanePart or kind != COMPOSITE]
        definition = defs[part.__name__]
        definition["properties"]["type"]["enum"] = kinds
        for section in ("options", "provisioning"):
            definition["properties"][section]["type"] = ["object", "null"]
        definition["allOf"] = [_by_type(kind, handlers, references) for kind in kinds]
    sections: Schema = {**dict.fromkeys(FOREIGN_SECTIONS, True), "environments": _ENVIRONMENTS}
    plane = references[DataPlanePart]
    inner = _object({DATA_PLANE: plane, **sections}, required=(DATA_PLANE,))
    root = _object({DATA_PLANE: plane, FRAMEWORK: inner, **sections})
    root["oneOf"] = [{"required": [DATA_PLANE]}, {"required": [FRAMEWORK]}]
    return {"$schema": _DIALECT, "title": "experiment-backplane document", **root, "$defs": _tidy(defs)}


def runtime_schema() -> Schema:
    """Return the schema of `runtime.json`."""
    (reference,), defs = msgspec.json.schema_components((FrozenConfig,), ref_template="#/$defs/{name}")
    properties = defs["FrozenConfig"]["properties"]
    properties["format"] = {"const": FORMAT}
    properties["version"] = {"const": VERSION}
    properties["digest"] = properties["documentDigest"] = {"type": "string", "pattern": _DIGEST}
    return {"$schema": _DIALECT, "title": FORMAT, **reference, "$defs": _tidy(defs)}


def events_schema() -> Schema:
    """Return the schema of an envelope of any of the five types."""
    schemas = [event_schema(event_type) for event_type in EventType]
    defs: Schema = {}
    for event_type, schema in zip(EventType, schemas, strict=True):
        defs |= schema.pop("$defs")
        del schema["$schema"]
        defs[f"{event_type.wire_name}Envelope"] = schema
    choices = [{"$ref": _REF.format(f"{event_type.wire_name}Envelope")} for event_type in EventType]
    return {"$schema": _DIALECT, "title": "experiment event", "oneOf": choices, "$defs": defs}


def event_schema(event_type: EventType) -> Schema:
    """Return the schema of an envelope with its payload, as consumers of *event_type* see it."""
    event = EVENTS[event_type]
    (reference,), defs = msgspec.json.schema_components((event,), ref_template="#/$defs/{name}")
    # What the runtime fills in is always on the wire; msgspec calls a field with a default optional.
    filled = [
        field.encode_name
        for field in msgspec.structs.fields(event)
        if field.default_factory is not msgspec.NODEFAULT or field.default is msgspec.UNSET
    ]
    payload = defs[event.__name__]
    payload["required"] = sorted({*payload["required"], *filled})
    text: Schema = {"type": "string", "minLength": 1}
    envelope = _object(
        {
            "eventId": text,
            "timestamp": {"type": "string", "format": "date-time"},
            "eventType": {"const": event_type.wire_name},
            "schemaVersion": {"const": SCHEMA_VERSION},
            "payload": reference,
            "correlationId": {"type": "string"},
            "metadata": {"type": "object"},
        },
        required=("eventId", "timestamp", "eventType", "schemaVersion", "payload"),
    )
    envelope["additionalProperties"] = True  # a consumer must bear what a later version adds
    return {"$schema": _DIALECT, "title": f"{event_type.wire_name} event", **envelope, "$defs": _tidy(defs)}


_KEYWORDS: Final = {"ge": "minimum", "le": "maximum"}
_ENVIRONMENTS: Final[Schema] = {
    "description": "Overlays by name; `--env` chooses one.",
    "type": ["object", "null"],
    "additionalProperties": {"type": ["object", "null"]},
}


def _models(handlers: TypeSchemas) -> Iterable[type[BaseModel]]:
    yield from (DataPlanePart, CompositeOptions)
    for kind in handlers.values():
        if kind.settings is not None:
            yield options_model(kind.settings)
        if kind.provisioning is not None:
            yield kind.provisioning


def _by_type(kind: str, handlers: TypeSchemas, references: Mapping[Any, Schema]) -> Schema:
    settings, provisioning = handlers[kind].settings, handlers[kind].provisioning
    options: type[Options] = CompositeOptions if settings is None else options_model(settings)
    needed = any(field.is_required() for field in options.model_fields.values())
    parts: Schema = {"options": references[options] if needed else _or_null(references[options])}
    if provisioning is not None:
        parts["provisioning"] = _or_null(references[provisioning])
    return {
        "if": {"properties": {"type": {"const": kind}}},
        "then": {"properties": parts, **({"required": ["options"]} if needed else {})},
    }


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(properties: Schema, *, required: tuple[str, ...] = ()) -> Schema:
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": list(required)} if required else made


def _tidy(schema: Any) -> Any:
    """Return *schema* in words of JSON Schema, without titles, and with what settings take besides.

    Behind a validator of ours, pydantic writes bounds by its own names, and defaults as what they mean: a duration in
    milliseconds. Settings also take a list in a string, and digits bare.
    """
    if isinstance(schema, (list, tuple)):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        _KEYWORDS.get(key, key): _tidy(value)
        for key, value in schema.items()
        if key != "title" or not isinstance(value, str)
    }
    if isinstance(made.get("default"), int) and made.get("type") == "string":
        made["default"] = duration_text(made["default"])
    if "$ref" in made:
        made.pop("default", None)  # that of each part stands at the part
    if made.get("type") == "array" and "minLength" in made:
        made["minItems"] = made.pop("minLength")
    if any(isinstance(word, str) and word.isdigit() for word in made.get("enum", ())):
        made.pop("type", None)
        made["enum"] += [int(word) for word in made["enum"] if word.isdigit()]
    if made.get("type") == "array" and made.get("items") == {"type": "string"}:
        made["type"] = ["array", "string"]
    return made
