"""What a forked child inherits of a backplane: a client whose threads stayed behind, on a connection of its parent's.

To use it hangs or mixes two processes' words on one socket; to close it ends the parent's session (libpq says good-bye on
the shared socket), may spoil a database (SQLite, "How To Corrupt", section 2.6) or waits for threads that do not exist
(librdkafka). So the child forgets it without closing it, and its backplane is as before `start`.
"""

from __future__ import annotations

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


def leak(inherited: object) -> None:
    """Keep *inherited* for ever, beyond the end of the interpreter too: its destructor, which would close it, never runs.

    CPython leaks the frames of the lost threads, which may hold it; this does not rely on it.
    """
    import ctypes  # noqa: PLC0415 - only a child that inherited something open needs it

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))


def _disown_all() -> None:
    for holder in list(_holders):
        leak(holder.disown())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_all)
