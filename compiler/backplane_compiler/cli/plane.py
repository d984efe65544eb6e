"""The data plane that `publish` and `health` open, and the parts of it that `spool replay` uses."""

from __future__ import annotations

import logging
from typing import TextIO

from backplane_compiler.cli.output import Failure
from backplane_runtime import BackplaneError, ConfigError, DataPlane
from backplane_runtime.assembly import Assembly, assemble
from backplane_runtime.config import load_config


class HeldNotes(logging.StreamHandler[TextIO]):
    """Writes the events of the backplane `logging` at once, and keeps what the runtime itself has to say in `notes`."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep *record* or write it."""
        if record.name == "backplane":
            self.notes.append(self.format(record))
        else:
            super().emit(record)


def opened(path: str, log: logging.Handler | None = None) -> DataPlane:
    """Return the data plane of the frozen config at *path*; what is logged goes to *log* (default: standard error).

    Raises:
        Failure: if the config cannot be used, or a client library is missing.
    """
    _listen(log)
    try:
        return DataPlane.open(path)
    except (ConfigError, BackplaneError) as error:
        raise Failure(str(error), hint=_hint(path)) from error


def assembled(path: str) -> Assembly:
    """Return the parts of the data plane of the frozen config at *path*; what is logged goes to standard error.

    Raises:
        Failure: as `opened`.
    """
    _listen(None)
    try:
        return assemble(load_config(path))
    except (ConfigError, BackplaneError) as error:
        text = str(error)
        raise Failure(text if path in text else f"{path}: {text}", hint=_hint(path)) from error


def _listen(log: logging.Handler | None) -> None:
    # For the backplane `logging`: here the application is us, and it takes no events where nobody listens.
    logging.basicConfig(format="%(message)s", handlers=[log or logging.StreamHandler()])


def _hint(path: str) -> str | None:
    if path.endswith((".yaml", ".yml")):
        return f"a document is compiled first: backplane compile {path} -o build"
    return None
