"""What data planes owe to their process: to save what is left when it ends, and to start anew in a forked child.

Ends of a process, and what saves the events in memory then:

- the interpreter exits (also by `sys.exit`, by an exception that nobody caught): a hook of `atexit`. Events that come after
  it, from other hooks, finalizers and daemon threads, go to disk one by one;
- a child of `multiprocessing` or of Celery's `billiard`, which skips those hooks: `multiprocessing.util.Finalize`;
- SIGTERM, where nobody handles it: a handler of ours has everything saved, and then lets the signal do what it does without
  us. It is set when a data plane is made in the main thread, and only in the place of the default; whoever sets a handler
  later has it. Not in children of `multiprocessing`, which are terminated by somebody who waits for that;
- a fork, after which a daemon's parent ends by `os._exit`: a hook saves before every fork.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import weakref
from functools import partial
from types import FrameType
from typing import Protocol

from backplane_runtime import native
from backplane_runtime.spool import files


class Member(Protocol):
    """A data plane, as this module sees it."""

    def begin_leaving(self) -> None:
        """Save what is left and begin to send it; what comes from now on goes to disk."""

    def leave(self) -> None:
        """Send what is left within a time limit that began with `begin_leaving`, and let go."""

    def hurry(self) -> None:
        """Have each event on disk before its `publish` returns, as far as there is a disk: the end is near."""

    def save(self, timeout: float) -> None:
        """Save what is left, within milliseconds where the disk is well and *timeout* seconds where it is not."""

    def after_fork(self) -> None:
        """Start anew in a forked child, where no other thread exists and no connection is its own."""


_members: weakref.WeakSet[Member] = weakref.WeakSet()
_held: set[Member] = set()  # those that may have events: none is to be collected with its queue
_closes_with_child = False
_is_child = False  # of a fork
_is_ending = False

DEATH_SECONDS = 2.0  # how long a disk that hangs keeps SIGTERM from its work
FORK_SECONDS = 0.2  # how long it holds up a fork


def register(member: Member) -> None:
    """Have *member* start anew after a fork, for as long as it lives."""
    _members.add(member)
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL and not _is_worker():
        signal.signal(signal.SIGTERM, _save_and_die)


def hold(member: Member) -> None:
    """Keep *member* alive until it is released, and close it when the interpreter, or a multiprocessing child, exits."""
    _held.add(member)
    _close_with_child()
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and _is_worker() and signal.getsignal(signal.SIGTERM) is _save_and_die:  # inherited by a fork
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def release(member: Member) -> None:
    """End what `hold` began."""
    _held.discard(member)


def is_ending() -> bool:
    """Say whether our exit hook has run: nobody will close what comes now."""
    return _is_ending


def _is_worker() -> bool:
    # Who calls `Process.terminate` waits for the end: a handler in Python may be late by as long as a system call takes, where
    # the signal comes right before it. There, SIGTERM kills, and costs the last milliseconds.
    multiprocessing = sys.modules.get("multiprocessing")
    return multiprocessing is not None and multiprocessing.parent_process() is not None


def _close_with_child() -> None:
    # A child that multiprocessing forked ends by `os._exit`: hooks of `atexit` do not run, multiprocessing's own do.
    # So does one of billiard, which has its own idea of a parent process, and multiprocessing's finalizers. A worker in a
    # pool of Celery does not even run those, only the receivers of a signal.
    global _closes_with_child  # noqa: PLW0603 - once a process
    util = sys.modules.get("multiprocessing.util")
    if _closes_with_child or util is None or not (_is_child or sys.modules["multiprocessing"].parent_process()):
        return
    _closes_with_child = True
    util.Finalize(None, _close_all, exitpriority=-100)  # the last of them
    signals = sys.modules.get("celery.signals")
    if signals is not None:
        signals.worker_process_shutdown.connect(_close_with_worker, weak=False)


def _close_with_worker(**_: object) -> None:
    _close_all()


def _save_and_die(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's signature
    # Saving is another thread's work: this one may hold the lock that the writer waits for, and goes on until it is killed.
    signal.signal(number, signal.SIG_DFL)
    try:
        native.start(partial(_save_and_kill, number))  # `threading` takes locks, and they may be held here
    except RuntimeError:  # the interpreter is ending, and has saved; or there is no thread to be had
        os.kill(os.getpid(), number)


def _save_and_kill(number: int) -> None:
    try:
        members = list(_held)
        for member in members:
            member.hurry()
        for member in members:
            member.save(DEATH_SECONDS)
    finally:
        os.kill(os.getpid(), number)


def _close_all() -> None:
    global _is_ending  # noqa: PLW0603 - once a process
    _is_ending = True
    members = list(_held)
    for member in members:  # all at the same time: one time limit for all of them
        member.begin_leaving()
    for member in members:
        member.leave()


def _before_fork() -> None:
    for member in list(_held):
        member.save(FORK_SECONDS)
    files.hold()  # after that: the writer, which saves, opens files


def _restart_in_child() -> None:
    global _closes_with_child, _is_child, _is_ending
    _closes_with_child, _is_child, _is_ending = False, True, False
    _held.clear()
    for member in list(_members):
        member.after_fork()
    files.close_inherited()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=files.let_go, after_in_child=_restart_in_child)
