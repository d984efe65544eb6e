"""How much of a document is read: beyond these a file is a mistake or an attack, not a configuration."""

from __future__ import annotations

from typing import Final

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_DEPTH: Final = 100
MAX_NODES: Final = 5_000_000
MAX_ALIASED_NODES: Final = 1_000_000
"""Nodes that aliases may add. They are shared, not copied, so this bounds what later phases walk."""
