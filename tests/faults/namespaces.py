"""Commands that start a program with a view of the file system of its own (Linux): nobody else sees what is mounted in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path


@cache
def can_mount() -> bool:
    """Say whether a program of ours may have a namespace of its own and mount in it."""
    if shutil.which("unshare") is None:
        return False
    return (
        subprocess.run(
            [*_unshare(), "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
        ).returncode
        == 0
    )


def on_small_disk(folder: Path, size: int) -> tuple[str, ...]:
    """Return what starts a program for which *folder* is a disk of *size* bytes."""
    return _mounted(f'mount -t tmpfs -o size={size} faults "$0"', folder)


def read_only(folder: Path) -> tuple[str, ...]:
    """Return what starts a program that cannot write to *folder*, whoever it is: `root` ignores modes."""
    return _mounted('mount --bind "$0" "$0" && mount -o remount,ro,bind "$0"', folder)


def _mounted(command: str, folder: Path) -> tuple[str, ...]:
    return (*_unshare(), "sh", "-c", f'{command} && exec "$@"', str(folder))


def _unshare() -> tuple[str, ...]:
    return ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--mount", "--map-root-user")
