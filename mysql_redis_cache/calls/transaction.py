"""An open transaction, as its block sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mysql_redis_cache.values import rows_as_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mysql_redis_cache.database import WriteResult
    from mysql_redis_cache.keys import Combinations, Tagged
    from mysql_redis_cache.sql import Params
    from mysql_redis_cache.transaction import UnitOfWork
    from mysql_redis_cache.values import Row

__all__ = ["Transaction"]


class Transaction:
    """An open transaction. Made by ``MRCClient.transaction()``; runs one statement at a time.

    The drops asked for here are performed together once it is committed, and not at all if it is rolled back.
    """

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work

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

    def drop_outdated_cache(
        self, key_names: Sequence[str], key_values: Sequence[object], require_all_match: bool = True
    ) -> None:
        """Have the entries that carry the pairs dropped.

        Raises:
            TypeError, ValueError: bad pairs, at once.
            RuntimeError: the transaction is over, so that nothing would run the drop.
        """
        self._work.want(self._work.namespace.matcher(key_names, key_values, require_all_match))

    def drop_many(self, key_name: str, key_values: Iterable[object]) -> None:
        """Have the entries that carry any of many values of one name dropped."""
        wanted = self._work.namespace.of_many(key_name, key_values)
        self._work.want(*([] if wanted is None else [wanted]))

    def drop_query(
        self,
        query: str,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        *,
        tags: Tagged = None,
        any_params: bool = False,
    ) -> None:
        """Have the one entry of a call dropped, or all of its query; as ``MRCClient.drop_query``."""
        self._work.want(self._work.namespace.of_call(query, params, param_names, tags, any_params=any_params))

    def drop_all(self) -> None:
        """Have all entries of the namespace dropped."""
        self._work.want(self._work.namespace.everything())
