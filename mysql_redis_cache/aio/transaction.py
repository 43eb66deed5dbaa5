"""A transaction from coroutines: each statement a hop, the end of the block another."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from mysql_redis_cache.database import WriteResult
    from mysql_redis_cache.sql import Params
    from mysql_redis_cache.transaction import Transaction
    from mysql_redis_cache.values import Row

__all__ = ["AsyncTransaction", "Opening"]


class AsyncTransaction:
    """An open transaction. Made by ``AsyncMRCClient.transaction()``; as ``Transaction``."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        # A limiter of its own: loads that wait for a connection must not keep this one from finishing.
        self._limiter = anyio.CapacityLimiter(1)

    async def query(self, query: str, params: Params = None) -> list[Row]:
        """Run a statement that reads, in the transaction, and return its rows."""
        return await anyio.to_thread.run_sync(self._tx.query, query, params, limiter=self._limiter)

    async def execute(self, query: str, params: Params = None) -> WriteResult:
        """Run a statement that writes, in the transaction."""
        return await anyio.to_thread.run_sync(self._tx.execute, query, params, limiter=self._limiter)

    def drop_outdated_cache(
        self, key_names: Sequence[str], key_values: Sequence[object], require_all_match: bool = True
    ) -> None:
        """Have the entries that carry the pairs dropped once the transaction is committed; no I/O yet."""
        self._tx.drop_outdated_cache(key_names, key_values, require_all_match)


class Opening:
    """A blocking context manager entered in a thread, by a task that may be cancelled meanwhile."""

    def __init__(self, context: AbstractContextManager[Transaction]) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._is_entered = False
        self._is_abandoned = False

    def enter(self) -> Transaction:
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
