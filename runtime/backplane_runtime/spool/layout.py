"""What a folder of the spool is called, what is in it, and what its `spool.json` says."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec

from backplane_runtime import timestamps
from backplane_runtime.spool.files import Files, read_whole

FORMAT = "experiment-backplane/spool"
VERSION = 1
META = "spool.json"
LOCK = "lock"
SET_ASIDE = "set-aside.jsonl"
QUARANTINE = "quarantine"
HIDDEN = "."  # a folder whose name begins with it is half made, or half removed
SEGMENT_BYTES = 8 << 20

_META_LIMIT = 16 << 20  # bytes; more is no `spool.json` of ours
_LONGEST_NAME = 80  # characters of a cursor file; some file systems take 143 bytes
_SEGMENT_NAME = re.compile(r"(?P<first>[0-9]{20})\.seg")
_FOLDER_NAME = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[0-9]+-[0-9a-f]{8}")
_CURSOR_NAME = re.compile(r"[A-Za-z0-9_%~-]{1,120}\.cursor")


class SpoolFormatError(Exception):
    """A `spool.json` that this version cannot use; the text says why."""


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """Where events go, as far as the spool must know it: enough to tell whether somebody else may deliver them.

    Attributes:
        name: of the backplane; free text.
        type: of the backplane, such as `kafka`.
        target: opaque text that says where it sends to; never a secret.
        events: names of the event types that it takes; for people, the spool does not look into events.
    """

    name: str
    type: str
    target: str
    events: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what two processes must agree in for one to deliver what the other spooled."""
        return self.name, self.type, self.target


class SpoolOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a spool folder is made.

    Attributes:
        destinations: who reads; each has a cursor.
        segment_bytes: a segment file that has reached this size is followed by a new one.
        program: what people call the process, for `backplane spool ls`; never a secret.
        is_anchored: it survives a loss of power from the beginning; otherwise once `SpoolLog.anchor` was called.
    """

    destinations: tuple[Destination, ...]
    segment_bytes: int = SEGMENT_BYTES
    program: str = ""
    is_anchored: bool = True


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A destination of a folder, and the name of the file that says how far it is."""

    name: str
    type: str
    target: str
    events: tuple[str, ...] = ()
    cursor: str

    @property
    def destination(self) -> Destination:
        """Return the destination alone."""
        return Destination(name=self.name, type=self.type, target=self.target, events=self.events)


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """What `spool.json` says."""

    format: str = FORMAT
    version: int = VERSION
    started: str
    pid: int
    host: str
    program: str = ""
    destinations: tuple[Reading, ...]


class _Version(msgspec.Struct):
    format: str
    version: int


def default_root() -> Path:
    """Return where spools are unless a document says otherwise (XDG Base Directory Specification, `XDG_STATE_HOME`)."""
    given = os.environ.get("XDG_STATE_HOME", "")
    # The specification: a path that is not absolute is invalid and to be ignored.
    base = Path(given) if given.startswith("/") else _home() / ".local" / "state"
    return base / "experiment-backplane" / "spool"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a container's user whom no file names, and `HOME` is not set
        return Path.cwd()


def new_folder_name() -> str:
    """Return a name that no other folder has; names sort by time of start."""
    moment = timestamps.now().replace("-", "").replace(":", "")
    return f"{moment}-{os.getpid()}-{secrets.token_hex(4)}"


def is_folder_name(name: str) -> bool:
    """Say whether *name* is one that `new_folder_name` returns."""
    return _FOLDER_NAME.fullmatch(name) is not None


def is_ours(name: str) -> bool:
    """Say whether the file *name* in a folder is one that the spool writes."""
    whole = name.removesuffix(".tmp")
    named = segment_number(whole) is not None or _CURSOR_NAME.fullmatch(whole) is not None
    return named or whole in (META, LOCK, SET_ASIDE)


def new_meta(options: SpoolOptions) -> Meta:
    """Return the meta of a folder that this process makes."""
    files = cursor_names([destination.name for destination in options.destinations])
    return Meta(
        started=timestamps.now(),
        pid=os.getpid(),
        host=socket.gethostname(),
        program=options.program or Path(sys.argv[0] if sys.argv else "").name,
        destinations=tuple(
            Reading(name=one.name, type=one.type, target=one.target, events=one.events, cursor=file)
            for one, file in zip(options.destinations, files, strict=True)
        ),
    )


def render_meta(meta: Meta) -> bytes:
    """Return the bytes of `spool.json`."""
    return msgspec.json.format(msgspec.json.encode(meta), indent=2) + b"\n"


def load_meta(files: Files, folder: Path) -> Meta:
    """Return what the `spool.json` of *folder* says.

    Raises:
        SpoolFormatError: if it says nothing that this version understands.
        OSError: if it cannot be read.
    """
    data = read_whole(files, folder / META, _META_LIMIT)
    try:
        version = msgspec.json.decode(data, type=_Version)
        if version.format != FORMAT:
            raise SpoolFormatError(f"{META} is of another format")
        if version.version > VERSION:
            raise SpoolFormatError(f"it is of version {version.version}, and this program knows {VERSION} at most")
        meta = msgspec.json.decode(data, type=Meta)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SpoolFormatError(f"{META} is damaged: {type(error).__name__}") from error
    if not all(_CURSOR_NAME.fullmatch(one.cursor) for one in meta.destinations):
        raise SpoolFormatError(f"{META} names a cursor file outside its folder")
    return meta


def cursor_names(destinations: Sequence[str]) -> list[str]:
    """Return a file name for the cursor of each destination; no two are equal, not even where case does not count."""
    names: list[str] = []
    taken: set[str] = set()
    for destination in destinations:
        stem = _safe(destination)
        name, number = stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}~{number}"
        taken.add(name.casefold())
        names.append(f"{name}.cursor")
    return names


def _safe(name: str) -> str:
    safe = quote(name, safe="", errors="backslashreplace").replace(".", "%2E").replace("~", "%7E")
    if len(safe) <= _LONGEST_NAME:
        return safe or "%"
    digest = hashlib.sha256(name.encode(errors="backslashreplace")).hexdigest()[:16]
    return f"{safe[: _LONGEST_NAME - 17]}-{digest}"


def segment_name(first: int) -> str:
    """Return the name of the segment file whose first event has the number *first*."""
    return f"{first:020d}.seg"


def segment_number(name: str) -> int | None:
    """Return the number of the first event in the segment file *name*, None if it is no segment's name."""
    match = _SEGMENT_NAME.fullmatch(name)
    return int(match["first"]) if match else None
