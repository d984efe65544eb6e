"""The files that a compilation is written as (design/interface.md, "What `compile` writes")."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from backplane_compiler.infra.lower import infra_to_plain
from backplane_compiler.render.artifact import Artifact
from backplane_compiler.render.manifest import NAME, manifest
from backplane_runtime.config import canonical_bytes, to_bytes

if TYPE_CHECKING:  # only a name here: who writes files need not load every phase
    from backplane_compiler.pipeline import Compilation


def build_files(compilation: Compilation) -> dict[str, Artifact | bytes]:
    """Return the files of *compilation* by path: runtime.json, infra.json, the artifacts, and the manifest of all these.

    Raises:
        ValueError: if the document did not compile.
    """
    if compilation.frozen is None:
        raise ValueError("a document with errors has no files")
    files: dict[str, Artifact | bytes] = {
        "runtime.json": to_bytes(compilation.frozen),
        "infra.json": canonical_bytes(infra_to_plain(compilation.infra)),
        **{artifact.path: artifact for artifact in compilation.artifacts},
    }
    contents = {path: file.content if isinstance(file, Artifact) else file for path, file in files.items()}
    files[NAME] = manifest(
        contents, source_digest=compilation.frozen.document_digest, compiler_version=version("experiment-backplane")
    )
    return files
