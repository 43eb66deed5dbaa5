"""An open transaction, as its block sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mysql_redis_cache.values import rows_as_list

from .pending import Pending

if TYPE_CHECKING:
    from mysql_redis_cache.database import WriteResult
    from mysql_redis_cache.joined import Work
    from mysql_redis_cache.keys import Combinations
    from mysql_redis_cache.sql import Params
    from mysql_redis_cache.values import Row

__all__ = ["Transaction"]


class Transaction(Pending):
    """An open transaction. Made by ``MRCClient.transaction()``; runs one statement at a time.

    The drops asked for here are performed together once it is committed, and not at all if it is rolled back.
    """

    _work: Work

    @property
    def gtid(self) -> str | None:
        """What ``wait_for`` takes, after the block: as ``WriteResult.gtid``, of all that it has done."""
        return self._work.gtid

    def query(self, query: str, params: Params = None) -> list[Row]:
        """Run a statement that reads, in the transaction, and return its rows.

        Raises:
            TransactionEnded: the server has ended the transaction before.
        """
        return rows_as_list(self._work.query(query, params))

    def execute(self, query: str, params: Params = None, *, drops: Combinations | None = None) -> WriteResult:
        """Run a statement that writes, in the transaction.

        Args:
            query: the statement.
            params: a value for each placeholder.
            drops: as for ``MRCClient.execute``; once the transaction is committed.

        Raises:
            TransactionEnded: the server has ended the transaction before.
        """
        wanted = () if drops is None else self._work.namespace.of_combinations(drops)
        result = self._work.execute(query, params)
        self._work.want(*wanted)
        return result
