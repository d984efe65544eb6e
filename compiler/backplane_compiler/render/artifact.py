"""An artifact: one rendered file, not yet on a disk."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A text file of a build; `path` is relative, with `/` between its parts."""

    path: str
    text: str
    executable: bool = False

    @property
    def content(self) -> bytes:
        """Return the file's bytes: UTF-8."""
        return self.text.encode()
