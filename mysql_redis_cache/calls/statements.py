"""Statements that go straight to MySQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from mysql_redis_cache import sql
from mysql_redis_cache.values import encode_rows, fitting, rows_as_list

if TYPE_CHECKING:
    from mysql_redis_cache.database import WriteResult
    from mysql_redis_cache.readthrough import Core
    from mysql_redis_cache.sql import Params
    from mysql_redis_cache.values import Row

__all__ = ["Statements"]

T = TypeVar("T")


class Statements:
    """Statements, uncached."""

    _core: Core

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
        shape = core.reads.shape(into, one=one)
        rows = core.database.query(query, params)
        if into is None and not one:
            return rows_as_list(rows)
        return fitting(shape.decode(encode_rows(rows), None, True))

    def execute(self, query: str, params: Params = None) -> WriteResult:
        """Run a statement that writes; it is committed when this returns.

        Raises:
            ValueError: it gives rows and does nothing else; also what cannot be sent.
        """
        self._core.check_open()
        sql.statement(query).check_effect()
        return self._core.database.execute(query, params)

    def query_to_promise(self, query: str, params: Params = None) -> list[Row] | WriteResult:
        """Run any statement, uncached: rows of one that reads, a ``WriteResult`` of one that writes."""
        self._core.check_open()
        answer = self._core.database.run(query, params)
        return rows_as_list(answer) if isinstance(answer, list) else answer
