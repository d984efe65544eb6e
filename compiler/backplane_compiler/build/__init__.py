"""A compilation as files: which ones, and how they get on a disk."""

from backplane_compiler.build.files import build_files
from backplane_compiler.build.tree import BuildError, BuildReport, write_build

__all__ = ["BuildError", "BuildReport", "build_files", "write_build"]
