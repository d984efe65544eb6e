"""The manifest: what a build is made of, so that it can be checked, repeated and cleaned up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from backplane_runtime.config import canonical_bytes

FORMAT: Final = "experiment-backplane/manifest"
VERSION: Final = 1
NAME: Final = "manifest.json"


def manifest(files: Mapping[str, bytes], *, source_digest: str, compiler_version: str) -> bytes:
    """Return the manifest of *files* (content by path): the SHA-256 of each, and of the source that they come from."""
    digests = {path: digest(content) for path, content in files.items()}
    return manifest_of(digests, source_digest=source_digest, compiler_version=compiler_version)


def manifest_of(digests: Mapping[str, str], *, source_digest: str, compiler_version: str) -> bytes:
    """Return the manifest of files whose *digests* are known."""
    return canonical_bytes(
        {
            "format": FORMAT,
            "version": VERSION,
            "compilerVersion": compiler_version,
            "source": source_digest,
            "files": dict(digests),
        }
    )


def digest(content: bytes) -> str:
    """Return `sha256:…` of *content*."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def listed_files(content: bytes) -> dict[str, str]:
    """Return the digests by path that the manifest in *content* lists.

    Raises:
        ValueError: if *content* is not a manifest of this format.
    """
    try:
        plain: Any = json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(plain, dict) or plain.get("format") != FORMAT or not isinstance(plain.get("files"), dict):
        raise ValueError(f"`format` is not `{FORMAT}`")
    # What no file can be called is not there either; to ask for it would be an error.
    return {path: str(value) for path, value in plain["files"].items() if _can_exist(path)}


def _can_exist(path: str) -> bool:
    try:
        return b"\0" not in path.encode()
    except UnicodeEncodeError:  # half a character
        return False
