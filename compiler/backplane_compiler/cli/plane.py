"""The data plane that `publish` and `health` open."""

from __future__ import annotations

import logging
import sys

from backplane_compiler.cli.output import Failure
from backplane_runtime import BackplaneError, ConfigError, DataPlane


def opened(path: str) -> DataPlane:
    """Return the data plane of the frozen config at *path*.

    Raises:
        Failure: if the config cannot be used, or a client library is missing.
    """
    # For the backplane `logging`: here the application is us, and it takes no events where nobody listens.
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    try:
        return DataPlane.open(path)
    except (ConfigError, BackplaneError) as error:
        raise Failure(str(error), hint=_hint(path)) from error


def _hint(path: str) -> str | None:
    if path.endswith((".yaml", ".yml")):
        return f"a document is compiled first: backplane compile {path} -o build"
    return None
