"""What data planes owe to their process: to save what is left when it ends, and to start anew in a forked child.

Ends of a process, and what saves the events in memory then:

- the interpreter exits (also by `sys.exit`, by an exception that nobody caught): a hook of `atexit`;
- a child of `multiprocessing`, which skips those hooks: `multiprocessing.util.Finalize`;
- SIGTERM, where nobody handles it: a handler of ours saves, and then lets the signal do what it does without us. It is set
  when a data plane is made in the main thread, and only in the place of the default; whoever sets a handler later has it.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import weakref
from types import FrameType
from typing import Protocol


class Member(Protocol):
    """A data plane, as this module sees it."""

    def close(self) -> None:
        """Save and send what is left, within a time limit."""

    def save(self) -> None:
        """Save what is left, within milliseconds."""

    def after_fork(self) -> None:
        """Start anew in a forked child, where no other thread exists and no connection is its own."""


_members: weakref.WeakSet[Member] = weakref.WeakSet()
_held: set[Member] = set()  # those that may have events: none is to be collected with its queue
_closes_with_child = False


def register(member: Member) -> None:
    """Have *member* start anew after a fork, for as long as it lives."""
    _members.add(member)
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _save_and_die)


def hold(member: Member) -> None:
    """Keep *member* alive until it is released, and close it when the interpreter, or a multiprocessing child, exits."""
    _held.add(member)
    _close_with_child()


def release(member: Member) -> None:
    """End what `hold` began."""
    _held.discard(member)


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


def _save_and_die(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's signature
    for member in list(_held):
        member.save()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


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
