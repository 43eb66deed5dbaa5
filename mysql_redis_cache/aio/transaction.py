"""A transaction from coroutines: each statement a hop, the end of the block another."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import anyio

from mysql_redis_cache.calls import Transaction

from .borrowing import as_it_is, in_own_thread

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mysql_redis_cache.joined import Work


__all__ = ["AsyncTransaction", "Opening"]


class AsyncTransaction:
    """An open transaction. Made by ``AsyncMRCClient.transaction()``; its statements are to be awaited.

    As ``Transaction``; what asks for drops does no I/O, and is called without ``await``.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        # A limiter of its own: loads that wait for a connection must not keep this one from finishing.
        self._limiter = anyio.CapacityLimiter(1)

    gtid = Transaction.gtid

    query = in_own_thread(Transaction.query)
    execute = in_own_thread(Transaction.execute)

    drop_outdated_cache = as_it_is(Transaction.drop_outdated_cache)
    drop_many = as_it_is(Transaction.drop_many)
    drop_query = as_it_is(Transaction.drop_query)
    drop_all = as_it_is(Transaction.drop_all)


class Opening:
    """A blocking context manager entered in a thread, by a task that may be cancelled meanwhile."""

    def __init__(self, context: AbstractContextManager[Work]) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._is_entered = False
        self._is_abandoned = False

    def enter(self) -> Work:
        """Enter, unless the task has gone by then."""
        entered = self._context.__enter__()
        with self._lock:
            self._is_entered = True
            wanted = not self._is_abandoned
        if not wanted:
            self.leave(_Cancelled())
        return entered

    def abandon(self) -> bool:
        """Have ``enter`` leave at once; return ``True`` if it is too late for that."""
        with self._lock:
            self._is_abandoned = True
            return self._is_entered

    def leave(self, error: BaseException | None = None) -> None:
        """End the block: commit, or roll back because of *error*."""
        self._context.__exit__(None if error is None else type(error), error, None)


class _Cancelled(Exception):
    """Rolls back a transaction whose task was cancelled while it was being opened."""
