"""The frozen config: what the compiler hands to the runtime, as one versioned, digested JSON file.

Rules of the format "experiment-backplane/runtime":
- an unknown major `version` is an error, a newer `minorVersion` a warning: its unknown keys are ignored;
- `digest` is the SHA-256 of the canonical bytes without the digest itself, so a change by hand is noticed;
- secrets are references (`${env:NAME}`); they are resolved when a backplane connects, never written.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import msgspec

from backplane_runtime.events import EventType
from backplane_runtime.settings import Plane, known_part

FORMAT = "experiment-backplane/runtime"
VERSION = 1
MINOR_VERSION = 0

_LOGGER = logging.getLogger("backplane")


class ConfigError(Exception):
    """A frozen config that cannot be used; the text names the file, the place in it and what to do."""


class Variant(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One variant of an experiment, with its weight where the document gives one."""

    key: str
    weight: float | None = None


class Experiment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An experiment of the catalog."""

    name: str
    variants: tuple[Variant, ...] = ()


class BackplaneEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One backplane: its unique name, its type, the event types it takes, its options in wire form."""

    name: str
    type: str
    events: tuple[EventType, ...]
    options: dict[str, Any]


class FrozenConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All that the runtime reads."""

    format: str
    version: int
    minor_version: int
    digest: str
    document_digest: str
    data_plane: Plane
    backplanes: tuple[BackplaneEntry, ...]
    catalog: tuple[Experiment, ...] = ()

    @property
    def is_newer(self) -> bool:
        """Say whether a newer version wrote it, so that keys that this one does not know are ignored."""
        return _is_newer(self.minor_version)


def canonical_bytes(plain: Any) -> bytes:
    """Return *plain* as the one sequence of bytes that stands for it: sorted keys, two spaces, a final newline."""
    return (json.dumps(plain, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def digest_of(plain: dict[str, Any]) -> str:
    """Return `sha256:…` over the canonical bytes of *plain* without its own `digest`."""
    import hashlib  # noqa: PLC0415 - 2 ms, and who has settings of its own needs it not

    unsigned = {key: value for key, value in plain.items() if key != "digest"}
    return "sha256:" + hashlib.sha256(canonical_bytes(unsigned)).hexdigest()


def to_bytes(config: FrozenConfig) -> bytes:
    """Return the file's bytes for *config*, with the digest that belongs to its content."""
    plain = msgspec.to_builtins(config)
    plain["digest"] = digest_of(plain)
    return canonical_bytes(plain)


def load_config(path: str | Path) -> FrozenConfig:
    """Read the frozen config at *path*.

    Raises:
        ConfigError: if the file cannot be read, is not a frozen config, was changed after it was compiled, or is of a
            newer major version.
    """
    try:
        raw = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # a path with NUL in it is a ValueError
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: cannot be read: {reason}; compile it with `backplane compile`") from error
    return parse_config(raw, name=str(path))


def parse_config(raw: bytes, *, name: str = "runtime.json") -> FrozenConfig:
    """Return the frozen config in *raw*; *name* is used in error texts."""
    plain = _parse_json(raw, name)
    _check_version(plain, name)
    if not _has_own_digest(plain):
        raise ConfigError(
            f"{name}: was changed after it was compiled (its digest does not match); "
            "change the document and run `backplane compile` again"
        )
    if _is_newer(plain.get("minorVersion")) and isinstance(plain.get("dataPlane"), dict):
        plain["dataPlane"] = known_part(Plane, plain["dataPlane"])
    try:
        return msgspec.convert(plain, FrozenConfig)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}: {error}") from error


def _parse_json(raw: bytes, name: str) -> dict[str, Any]:
    try:
        plain = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name}: is not JSON: {error}") from error
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise ConfigError(
            f"{name}: is not a frozen config (`format` is not `{FORMAT}`); pass the `runtime.json` of a build"
        )
    return plain


def _has_own_digest(plain: dict[str, Any]) -> bool:
    try:
        return plain.get("digest") == digest_of(plain)
    except ValueError:  # NaN or half a surrogate pair: nothing that the compiler writes
        return False


def _check_version(plain: dict[str, Any], name: str) -> None:
    version = plain.get("version")
    if version != VERSION:
        raise ConfigError(
            f"{name}: is of version {version}, and this runtime reads version {VERSION}; "
            "install the experiment-backplane that compiled it, or compile again"
        )
    minor = plain.get("minorVersion")
    if _is_newer(minor):
        _LOGGER.warning(
            "%s: is of minor version %s, this runtime knows %s; newer keys are ignored", name, minor, MINOR_VERSION
        )


def _is_newer(minor: object) -> bool:
    return isinstance(minor, int) and minor > MINOR_VERSION
