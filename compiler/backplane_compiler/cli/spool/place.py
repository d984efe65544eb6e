"""Where spools are: the folder, or the root of all folders, that a user names."""

from __future__ import annotations

from pathlib import Path

from backplane_compiler.cli.output import Failure
from backplane_compiler.diagnostics.suggest import nearest
from backplane_runtime.spool.inspection import folders, is_folder
from backplane_runtime.spool.layout import default_root


def folders_in(directory: str | None) -> list[Path]:
    """Return the folders under *directory*, or that one folder, or those under the default root; oldest first.

    Raises:
        Failure: if the user names a directory that cannot be read.
    """
    root = Path(directory) if directory is not None else default_root()
    if directory is not None and not root.is_dir():
        raise Failure(f"{directory}: there is no such folder")
    if is_folder(root):
        return [root]
    try:
        return folders(root)
    except OSError as error:
        raise Failure(f"{root}: cannot be read: {error.strerror}") from error


def folder_named(name: str) -> Path:
    """Return the folder at the path *name*, or with that name under the default root.

    Raises:
        Failure: if there is none.
    """
    for path in (Path(name), default_root() / name):
        if is_folder(path):
            return path
    if Path(name).is_dir():
        raise Failure(f"{name} is not one folder of a spool", hint=f"see what is in it: backplane spool ls {name}")
    near = nearest(name, [path.name for path in folders(default_root())])
    hint = f"did you mean `{near[0]}`?" if near else "`backplane spool ls` shows which there are"
    raise Failure(f"{name}: there is no such folder of a spool", hint=hint)
