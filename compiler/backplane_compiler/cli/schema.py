"""`backplane schema`: print a JSON Schema."""

from __future__ import annotations

import json

import click

from backplane_compiler.cli.options import accept_output_options
from backplane_compiler.cli.output import emit


@click.command()
@click.argument("what", type=click.Choice(("document", "runtime", "events")))
@accept_output_options
def command(what: str) -> int:
    """Print the JSON Schema (2020-12) of the document, of runtime.json, or of the events.

    \b
    Example:
      backplane schema document > backplane.schema.json
    """
    # Imported here: the models behind it are the slowest part of the compiler to load.
    from backplane_compiler.handlers import registered_handlers
    from backplane_compiler.schema import json_schema

    made = {
        "document": lambda: json_schema.document_schema(registered_handlers()),
        "runtime": json_schema.runtime_schema,
        "events": json_schema.events_schema,
    }[what]()
    emit(json.dumps(made, indent=2, ensure_ascii=False))
    return 0
