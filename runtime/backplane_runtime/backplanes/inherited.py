"""What a forked child inherits of a backplane: a client whose threads stayed behind, on a connection of its parent's.

To use it hangs or mixes two processes' words on one socket; to close it ends the parent's session (libpq says good-bye on
the shared socket), may spoil a database (SQLite, "How To Corrupt", section 2.6) or waits for threads that do not exist
(librdkafka). So the child forgets it without closing it, and its backplane is as before `start`.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import Any, Protocol


class Holder(Protocol):
    """Whoever holds a client that no child may touch."""

    def disown(self) -> Any:
        """Forget the client as if there had been none, and return it; called in a forked child only."""


_holders: weakref.WeakSet[Any] = weakref.WeakSet()


def disown_in_children(holder: Holder) -> None:
    """Have every child that is forked from now on forget what *holder* holds by then."""
    _holders.add(holder)


def _disown_all() -> None:
    for holder in list(_holders):
        client = holder.disown()
        # One reference that nobody gives back: its destructor, which would close it, never runs.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(client))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_all)
