"""Statements that go straight to MySQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from mysql_redis_cache import sql
from mysql_redis_cache.drops import Following
from mysql_redis_cache.transaction import written
from mysql_redis_cache.values import encode_rows, fitting, rows_as_list

if TYPE_CHECKING:
    from mysql_redis_cache.database import Database, ExternalDatabase, WriteResult
    from mysql_redis_cache.drops import Drops
    from mysql_redis_cache.joined import Work
    from mysql_redis_cache.keys import Combinations, Namespace
    from mysql_redis_cache.readthrough import Core
    from mysql_redis_cache.sql import Params
    from mysql_redis_cache.values import Row

__all__ = ["Statements"]

T = TypeVar("T")


class Statements:
    """Statements, uncached; inside a transaction of this client, in the same thread or task, part of it."""

    _core: Core
    _drops: Drops | None
    _namespace: Namespace

    @overload
    def query(
        self,
        query: str,
        params: Params = None,
        *,
        into: None = None,
        one: Literal[False] = False,
    ) -> list[Row]: ...

    @overload
    def query(
        self,
        query: str,
        params: Params = None,
        *,
        into: None = None,
        one: Literal[True],
    ) -> Row | None: ...

    @overload
    def query(
        self,
        query: str,
        params: Params = None,
        *,
        into: type[T],
        one: Literal[False] = False,
    ) -> list[T]: ...

    @overload
    def query(
        self,
        query: str,
        params: Params = None,
        *,
        into: type[T],
        one: Literal[True],
    ) -> T | None: ...

    def query(self, query: str, params: Params = None, *, into: Any = None, one: bool = False) -> Any:
        """Run a statement that reads, uncached, and return its rows.

        Args:
            query: one statement that reads.
            params: one value for each placeholder.
            into: as for ``query_with_cache``.
            one: as for ``query_with_cache``.

        Raises:
            ValueError: it gives no rows; also what cannot be sent.
            RowMismatch, TooManyRows: as ``query_with_cache``.
        """
        core = self._core
        core.check_open()
        sql.statement(query).check_rows()
        if into is None and one is False:
            return rows_as_list(self._source.query(query, params))
        shape = core.reads.shape(into, one=one)
        return fitting(shape.decode(encode_rows(self._source.query(query, params)), None, True))

    def execute(self, query: str, params: Params = None, *, drops: Combinations | None = None) -> WriteResult:
        """Run a statement that writes; it is committed when this returns, if not part of a transaction.

        Args:
            query: the statement.
            params: a value for each placeholder.
            drops: what it makes outdated, to be dropped after the COMMIT: ``{"Order": 7}`` is the entries
                that carry all of these pairs, and a list of such mappings several drops.

        Raises:
            ValueError: it gives rows and does nothing else; also what cannot be sent.
            InvalidationFailed: committed, but the drop failed; do not repeat the write.
        """
        self._core.check_open()
        sql.statement(query).check_effect()
        if drops is None:
            return self._source.execute(query, params)
        return self._execute_and_drop(query, params, drops)

    def _execute_and_drop(self, query: str, params: Params, drops: Combinations) -> WriteResult:
        wanted = self._namespace.of_combinations(drops)
        work = self._core.transaction_here()
        if work is not None:
            result = work.execute(query, params)
            work.want(*wanted)
            return result
        following = Following(self._drops, self._namespace)
        following.want(*wanted)
        with written(following):
            return self._core.database.execute(query, params)

    def query_to_promise(self, query: str, params: Params = None) -> list[Row] | WriteResult:
        """Run any statement, uncached: rows of one that reads, a ``WriteResult`` of one that writes."""
        self._core.check_open()
        answer = self._source.run(query, params)
        return rows_as_list(answer) if isinstance(answer, list) else answer

    @property
    def _source(self) -> Work | Database | ExternalDatabase:
        return self._core.transaction_here() or self._core.database
