"""A gate for work that a fork must not find half done.

SQLite keeps its locks by file and process, in memory that a fork copies: a child that opens a file which the parent had open
takes the parent's locks for its own, and both write as if they were alone (sqlite.org/howtocorrupt.html, 2.6). So when the
process forks, nobody may be at work, and nothing may be open.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from backplane_runtime import native

PATIENCE_SECONDS = 2.0  # how long a fork waits for those at work


class ForkGate:
    """Work goes through `passing`, never one in the other; *let_go* is called before a fork, when nobody is at work.

    Attributes:
        is_torn: in a child: somebody in the parent was still at work when it forked, so what is inherited must not be used.
    """

    def __init__(self, let_go: Callable[[], None]) -> None:
        self.is_torn = False
        self._let_go = let_go
        self._condition = native.Condition(native.RLock())
        self._inside = 0
        self._is_shut = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._shut, after_in_parent=self._open, after_in_child=self._open_in_child)

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Wait until no fork is about to happen, and hold the next one up."""
        with self._condition:
            self._condition.wait_for(lambda: not self._is_shut)
            self._inside += 1
        try:
            yield
        finally:
            with self._condition:
                self._inside -= 1
                self._condition.notify_all()

    def _shut(self) -> None:
        with self._condition:
            self._is_shut = True
            if self._condition.wait_for(lambda: not self._inside, PATIENCE_SECONDS) and not self.is_torn:
                self._let_go()

    def _open(self) -> None:
        with self._condition:
            self._is_shut = False
            self._condition.notify_all()

    def _open_in_child(self) -> None:
        self.is_torn = self.is_torn or self._inside > 0
        self._condition = native.Condition(native.RLock())  # who held the other one does not exist here
        self._inside = 0
        self._is_shut = False
