"""The only reader of input files."""

from __future__ import annotations

from codecs import BOM_UTF8
from pathlib import Path

from backplane_compiler.diagnostics.model import Diagnostic, Severity
from backplane_compiler.diagnostics.span import SourceFile, Span
from backplane_compiler.diagnostics.suggest import nearest
from backplane_compiler.source import limits
from backplane_compiler.source.json_reader import parse_json
from backplane_compiler.source.tree import Node
from backplane_compiler.source.yaml_reader import parse_yaml

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def load_source(path: str | Path) -> tuple[SourceFile | None, tuple[Diagnostic, ...]]:
    """The text of a file, or the reason why there is none.

    Never raises. Lines keep their line breaks; a byte order mark is taken off.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(limits.MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        return None, (_cannot_open(path, error),)
    problem = _cannot_be_text(path, data)
    if problem is not None:
        return None, (problem,)
    try:
        return SourceFile(str(path), data.removeprefix(BOM_UTF8).decode()), ()
    except UnicodeDecodeError as error:
        return None, (_not_utf8(path, error),)


def parse_source(file: SourceFile) -> tuple[Node | None, tuple[Diagnostic, ...]]:
    """The tree of a file: JSON for names that end in `.json`, otherwise YAML."""
    return parse_json(file) if file.name.lower().endswith(".json") else parse_yaml(file)


def _cannot_open(path: Path, error: OSError | ValueError) -> Diagnostic:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return _error("no-such-file", f"there is no file `{path}`", hint=_near_file(path))
    if isinstance(error, IsADirectoryError):
        return _error("not-a-file", f"`{path}` is a directory", hint="name the document inside of it")
    if isinstance(error, PermissionError):
        return _error("unreadable-file", f"no permission to read `{path}`", hint="give yourself the right to read it")
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return _error("unreadable-file", f"cannot read `{path}`: {reason.lower()}")


def _near_file(path: Path) -> str:
    try:
        names = sorted(sibling.name for sibling in path.parent.iterdir() if sibling.is_file())
    except OSError:
        if not path.parent.exists():
            return f"there is no directory `{path.parent}` either"
        names = []
    near = nearest(path.name, names, limit=1)
    return (
        f"did you mean `{path.parent / near[0]}`?" if near else "check the spelling, and the directory that you are in"
    )


def _cannot_be_text(path: Path, data: bytes) -> Diagnostic | None:
    if len(data) > limits.MAX_BYTES:
        return _error("too-large", f"`{path}` is larger than {limits.MAX_BYTES // 2**20} MiB")
    if not data:
        return _error(
            "empty-document", f"`{path}` is empty", hint="let `backplane init` write a document to start from"
        )
    if data.startswith(_UTF16_MARKS):
        return _error("not-utf8", f"`{path}` is UTF-16", hint="save it as UTF-8")
    if b"\0" in data:
        return _error("binary-file", f"`{path}` is a binary file", hint="name a YAML or JSON document")
    return None


def _not_utf8(path: Path, error: UnicodeDecodeError) -> Diagnostic:
    file = SourceFile(str(path), error.object.decode(errors="replace"))
    offset = len(error.object[: error.start].decode())
    span = Span.from_offsets(file, offset, offset + 1)
    place = f"line {span.start.line}, column {span.start.column}"
    message = f"`{path}` is not UTF-8: byte 0x{error.object[error.start]:02x} at {place}"
    return Diagnostic("not-utf8", Severity.ERROR, message, span, hint="save it as UTF-8")


def _error(code: str, message: str, *, hint: str | None = None) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, message, None, hint=hint)
