"""The files of a build: what `backplane compile` writes for a compilation (README, "What compile writes")."""

from __future__ import annotations

from backplane_compiler.infra.lower import infra_to_plain
from backplane_compiler.pipeline import Compilation
from backplane_compiler.render.artifact import Artifact
from backplane_compiler.render.manifest import NAME, manifest
from backplane_compiler.version import VERSION
from backplane_runtime.config import canonical_bytes, to_bytes


def build_files(compilation: Compilation) -> dict[str, Artifact | bytes]:
    """Return every file of the build of *compilation* by its path, the manifest among them.

    The manifest's digest of the source is over what the document says, so that the order of its keys changes no byte.

    Raises:
        ValueError: if the document did not compile.
    """
    if compilation.frozen is None:
        raise ValueError("the document did not compile, so there is nothing to write")
    files: dict[str, Artifact | bytes] = {
        "runtime.json": to_bytes(compilation.frozen),
        "infra.json": canonical_bytes(infra_to_plain(compilation.infra)),
        **{artifact.path: artifact for artifact in compilation.artifacts},
    }
    contents = {path: file.content if isinstance(file, Artifact) else file for path, file in files.items()}
    digest = compilation.frozen.document_digest
    files[NAME] = manifest(contents, source_digest=digest, compiler_version=VERSION)
    return files
