"""A build on disk: written so that it can be interrupted anywhere and repeated, and so that nothing foreign is lost.

The order is what makes it safe. A build's manifest lists every file that is ours, so before a file appears that it does not
list, a manifest is written that does; files that are no longer wanted go before the manifest that leaves them out. Whatever
line a run is killed at, the manifest on disk lists all that is there, and the next run completes or removes it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from backplane_compiler.render.artifact import Artifact
from backplane_compiler.render.manifest import NAME, digest, listed_files, manifest_of

_STAGED = ".backplane-{}.new"
_INCOMPLETE = "incomplete"  # stands in the manifest while files are still on their way


class BuildError(Exception):
    """A directory that a build cannot be written to; the text is one line with the path, the cause and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReport:
    """What a run did, as paths relative to the directory, each sorted."""

    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]

    def __str__(self) -> str:
        removed = f", {len(self.removed)} removed" if self.removed else ""
        return f"{len(self.written)} files written, {len(self.unchanged)} unchanged{removed}"


def write_build(directory: str | Path, files: Mapping[str, Artifact | bytes]) -> BuildReport:
    """Make *directory* hold *files* (by relative path, the manifest among them), and nothing of an earlier build beside.

    A file that has the right content is not touched. Only files that the manifest in *directory* lists are removed.

    Raises:
        BuildError: if the directory cannot be written, or holds a file of somebody else's where one of *files* goes.
        ValueError: if there is no manifest among *files*, or a path leads out of the directory.
    """
    if NAME not in files or not all(_is_inside(path) for path in files):
        raise ValueError(f"a build needs a {NAME}, and paths that stay in it")
    try:
        return _write(Path(directory), files)
    except OSError as error:
        place = error.filename or directory
        raise BuildError(f"{place}: cannot be written: {error.strerror}; choose another directory with `-o`") from error


def _write(directory: Path, files: Mapping[str, Artifact | bytes]) -> BuildReport:
    if directory.exists() and not directory.is_dir():
        raise BuildError(f"{directory}: is a file, and a build is a directory; choose another one with `-o`")
    ours = _listed(directory)
    changed = [path for path in sorted(files) if path != NAME and not _is_current(directory / path, files[path])]
    _refuse_foreign(directory, [path for path in changed if path not in ours])
    directory.mkdir(parents=True, exist_ok=True)
    _remove_staged(directory)
    if any(path not in ours for path in changed):
        _announce(directory, ours, files)
    for path in changed:
        _place(directory, path, files[path])
    obsolete = sorted(path for path in ours if path not in files and _is_inside(path))
    removed = [path for path in obsolete if _remove(directory, path)]
    if not _is_current(directory / NAME, files[NAME]):
        _place(directory, NAME, files[NAME])
        changed.append(NAME)
    return BuildReport(
        written=tuple(sorted(changed)),
        unchanged=tuple(sorted(set(files) - set(changed))),
        removed=tuple(removed),
    )


def _listed(directory: Path) -> dict[str, str]:
    """Return what the manifest on disk lists; nothing where there is none."""
    path = directory / NAME
    try:
        return listed_files(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise BuildError(
            f"{path}: is not the manifest of a build; choose another directory with `-o`, or remove the file"
        ) from error


def _refuse_foreign(directory: Path, paths: list[str]) -> None:
    for path in paths:
        if os.path.lexists(directory / path):
            raise BuildError(
                f"{directory / path}: is there already and not from `backplane compile`; "
                "choose another directory with `-o`, or remove the file"
            )


def _announce(directory: Path, ours: Mapping[str, str], files: Mapping[str, Artifact | bytes]) -> None:
    """Write a manifest of the files that are there and of those to come; its source says that it is not a finished build."""
    coming = {path: digest(_content(file)) for path, file in files.items() if path != NAME}
    _place(directory, NAME, manifest_of({**ours, **coming}, source_digest=_INCOMPLETE, compiler_version=_INCOMPLETE))


def _place(directory: Path, path: str, file: Artifact | bytes) -> None:
    """Put *file* at *path* in one step: nobody ever sees a half of it."""
    goal = directory / path
    goal.parent.mkdir(parents=True, exist_ok=True)
    staged = directory / _STAGED.format(secrets.token_hex(8))
    mode = 0o777 if _is_executable(file) else 0o666  # less the user's mask
    try:
        with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            stream.write(_content(file))
        staged.replace(goal)
    except OSError as error:
        staged.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(goal)) from error


def _remove(directory: Path, path: str) -> bool:
    """Remove the file at *path* and the folders that it leaves empty; say whether it was there."""
    goal = directory / path
    if not goal.parent.resolve().is_relative_to(directory.resolve()):
        return False  # through a link to somewhere else: not ours any more
    try:
        goal.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    with suppress(OSError):  # not empty
        for folder in PurePosixPath(path).parents[:-1]:
            (directory / folder).rmdir()
    return True


def _remove_staged(directory: Path) -> None:
    """Remove what runs that were killed have left behind."""
    for path in directory.glob(_STAGED.format("*")):
        path.unlink(missing_ok=True)


def _is_current(path: Path, file: Artifact | bytes) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    executable = bool(path.stat().st_mode & 0o100)
    return executable == _is_executable(file) and path.read_bytes() == _content(file)


def _is_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts


def _is_executable(file: Artifact | bytes) -> bool:
    return isinstance(file, Artifact) and file.executable


def _content(file: Artifact | bytes) -> bytes:
    return file.content if isinstance(file, Artifact) else file
