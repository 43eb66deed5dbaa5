"""A transaction: statements, COMMIT, and then the drops of what it made outdated.

Dropping before the COMMIT would let another reader cache the old rows again. Not dropping after a COMMIT
whose reply was lost, or after a statement that committed by itself, would leave the old rows cached. So the
drops run once, after the end, unless that was certainly a ROLLBACK. What the end was the server says.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from mysql_redis_cache import sql
from mysql_redis_cache.drops import DROP_TIMEOUT, Budget
from mysql_redis_cache.errors import CacheUnavailable, DropTimeout, InvalidationFailed
from mysql_redis_cache.keys import Matcher
from mysql_redis_cache.runtime import process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mysql_redis_cache.database import Database, Session, WriteResult
    from mysql_redis_cache.drops import Drops
    from mysql_redis_cache.sql import Params
    from mysql_redis_cache.values import Row

__all__ = ["Transaction", "transaction"]


class Transaction:
    """An open transaction. Made by ``MRCClient.transaction()``; runs one statement at a time."""

    def __init__(self, session: Session, drops: Drops | None, prefix: str) -> None:
        self._session = session
        self._drops = drops
        self._prefix = prefix
        self._wanted: list[Matcher] = []
        self.is_over = False
        self._let_statements_in()
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Be over there: the connection is the parent's, and so is the transaction."""
        self.is_over = True
        self._let_statements_in()

    def _let_statements_in(self) -> None:
        # A task that is cancelled leaves its statement running in a thread; what follows waits for that.
        self._turn = threading.Lock()

    def query(self, query: str, params: Params = None) -> list[Row]:
        """Run a statement that reads, in the transaction, and return its rows.

        Raises:
            TransactionEnded: the server has ended the transaction before.
        """
        sql.statement(query).check_rows()
        with self._turn:
            return self._session.query(query, params)

    def execute(self, query: str, params: Params = None) -> WriteResult:
        """Run a statement that writes, in the transaction.

        Raises:
            TransactionEnded: the server has ended the transaction before.
        """
        sql.statement(query).check_effect()
        with self._turn:
            return self._session.execute(query, params)

    def drop_outdated_cache(
        self, key_names: Sequence[str], key_values: Sequence[object], require_all_match: bool = True
    ) -> None:
        """Have the entries that carry the pairs dropped once the transaction is committed.

        Raises:
            TypeError, ValueError: bad pairs, at once.
            RuntimeError: the transaction is over, so that nothing would run the drop.
        """
        if self.is_over:
            raise RuntimeError("the transaction is over; use drop_outdated_cache of the client")
        self._wanted.append(Matcher(key_names, key_values, require_all_match, self._prefix))

    def commit(self) -> None:
        """Commit."""
        with self._turn:
            self._session.commit()

    def roll_back(self) -> None:
        """Roll back.

        Where the ROLLBACK fails the connection is dropped, and without a COMMIT the server rolls back by
        itself.
        """
        with self._turn, suppress(Exception):  # the exception of the block matters more
            self._session.rollback()

    @property
    def committed(self) -> bool | None:
        """Whether what was done in it is committed; None if that is unknown."""
        return self._session.committed

    def run_drops(self, *, committed: bool | None) -> int:
        """Run the drops that have not happened yet, as one; return how many entries were deleted.

        Raises:
            InvalidationFailed: Redis could not be reached, or not within ``DROP_TIMEOUT``.
        """
        wanted = tuple(self._wanted)
        if not wanted or self._drops is None:
            return 0
        try:
            dropped = self._drops.perform(wanted, Budget(DROP_TIMEOUT))
        except (CacheUnavailable, DropTimeout) as error:
            raise InvalidationFailed(
                committed,
                [matcher.asked for matcher in wanted],
                lambda: self.run_drops(committed=committed),
                namespace=self._prefix[:-1] or None,
                timeout=DROP_TIMEOUT,
            ) from error
        del self._wanted[: len(wanted)]
        return dropped


@contextmanager
def transaction(database: Database, drops: Drops | None, prefix: str) -> Iterator[Transaction]:
    """Open a transaction; commit and drop at the end of the block, roll back if it raises."""
    with database.session() as session:
        session.begin()
        tx = Transaction(session, drops, prefix)
        try:
            yield tx
            tx.is_over = True
            tx.commit()
        except BaseException:
            tx.is_over = True
            tx.roll_back()
            if tx.committed is not False:
                tx.run_drops(committed=tx.committed)
            raise
    tx.run_drops(committed=True)
