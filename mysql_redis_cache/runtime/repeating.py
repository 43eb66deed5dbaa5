"""A job that is done again and again, by a daemon thread of its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from . import process
from .waiters import Flag

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Repeater"]


class Repeater:
    """Does a job every so many seconds, until it is ended or the job says that it is over.

    Args:
        name: of the thread.
        every: seconds between two times.
        job: returns whether to go on; it must not keep alive what is to end it.
    """

    def __init__(self, name: str, every: float, job: Callable[[], bool]) -> None:
        self._name, self._every, self._job = name, every, job
        self.after_fork_in_child()
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Have no thread: the parent's does not exist here."""
        self._ended = Flag()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Start the thread, unless that was done."""
        if self._thread is not None:
            return
        work = threading.Thread(target=_repeat, args=[self._job, self._every, self._ended], name=self._name)
        work.daemon = True
        self._thread = work
        try:
            work.start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            self._ended.put_up()

    def end(self) -> None:
        """Do it no more; what is under way is not waited for."""
        self._ended.put_up()


def _repeat(job: Callable[[], bool], every: float, ended: Flag) -> None:
    while not ended.wait(every) and job():
        pass
