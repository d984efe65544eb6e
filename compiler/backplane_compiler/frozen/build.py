"""Model to frozen config: what the runtime reads, and the digest of the document that it came from."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import msgspec

from backplane_compiler.model.model import Backplane, Model
from backplane_compiler.source import Node, to_plain
from backplane_runtime.config import (
    FORMAT,
    MINOR_VERSION,
    VERSION,
    BackplaneEntry,
    FrozenConfig,
    canonical_bytes,
    digest_of,
)
from backplane_runtime.settings import to_wire


def freeze(model: Model, document_digest: str) -> FrozenConfig:
    """Return the frozen config of *model*; `backplane_runtime.config.to_bytes` gives its one sequence of bytes.

    Depends on what the document means only: not on the order of its keys, nor on YAML or JSON.
    """
    config = FrozenConfig(
        format=FORMAT,
        version=VERSION,
        minor_version=MINOR_VERSION,
        digest="",
        document_digest=document_digest,
        data_plane=model.plane,
        backplanes=tuple(_entry(backplane) for backplane in model.backplanes),
        catalog=model.experiments,
    )
    return msgspec.structs.replace(config, digest=digest_of(msgspec.to_builtins(config)))


def document_digest(tree: Node) -> str:
    """Return `sha256:…` over what *tree* says, in canonical form; *tree* is the one without secrets."""
    return "sha256:" + hashlib.sha256(canonical_bytes(_finite(to_plain(tree)))).hexdigest()


def _finite(plain: Any) -> Any:
    """Return *plain* with infinities and `.nan` as words: sections that we only carry may hold them, JSON may not."""
    if isinstance(plain, dict):
        return {key: _finite(value) for key, value in plain.items()}
    if isinstance(plain, list):
        return [_finite(item) for item in plain]
    return str(plain) if isinstance(plain, float) and not math.isfinite(plain) else plain


def _entry(backplane: Backplane) -> BackplaneEntry:
    return BackplaneEntry(
        name=backplane.name, type=backplane.type, events=backplane.events, options=to_wire(backplane.settings)
    )
