"""What data planes owe to their process: to send what is left when it exits, and to start anew in a forked child."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import weakref
from typing import Protocol

_LOGGER = logging.getLogger("backplane")


class Member(Protocol):
    """A data plane, as this module sees it."""

    def close(self) -> None:
        """Send what is left, within a time limit."""

    def after_fork(self) -> None:
        """Start anew in a forked child, where no other thread exists and no connection is its own."""


_members: weakref.WeakSet[Member] = weakref.WeakSet()
_held: set[Member] = set()  # those that may have events: none is to be collected with its queue
_said_memory_only = False
_closes_with_child = False


def register(member: Member) -> None:
    """Have *member* start anew after a fork, for as long as it lives."""
    _members.add(member)


def hold(member: Member) -> None:
    """Keep *member* alive until it is released, and close it when the interpreter, or a multiprocessing child, exits."""
    _held.add(member)
    _close_with_child()


def release(member: Member) -> None:
    """End what `hold` began."""
    _held.discard(member)


def say_memory_only() -> None:
    """Log, once in a process, that nothing is on disk."""
    global _said_memory_only  # noqa: PLW0603 - once a process
    if not _said_memory_only:
        _said_memory_only = True
        _LOGGER.info("undelivered events are held in memory only: this version has no spool, a crash loses them")


def leak(inherited: object) -> None:
    """Keep *inherited* for ever, beyond the end of the interpreter too.

    Destroying a client in a forked child waits for threads that the child does not have (librdkafka), or says good-bye on
    a connection that is the parent's (PostgreSQL). CPython leaks the frames of the lost threads, which hold the clients;
    this does not rely on it.
    """
    import ctypes  # noqa: PLC0415 - only a child that inherited something open needs it

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))


def _close_with_child() -> None:
    # A child that multiprocessing forked ends by `os._exit`: hooks of `atexit` do not run, multiprocessing's own do.
    global _closes_with_child  # noqa: PLW0603 - once a process
    multiprocessing = sys.modules.get("multiprocessing")
    if _closes_with_child or multiprocessing is None or multiprocessing.parent_process() is None:
        return
    _closes_with_child = True
    multiprocessing.util.Finalize(None, _close_all, exitpriority=-100)  # the last of them


def _close_all() -> None:
    for member in list(_held):
        member.close()


def _restart_in_child() -> None:
    global _closes_with_child  # noqa: PLW0603 - once a process
    _closes_with_child = False
    _held.clear()
    for member in list(_members):
        member.after_fork()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_in_child)
