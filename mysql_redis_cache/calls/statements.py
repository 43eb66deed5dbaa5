"""Statements that go straight to MySQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mysql_redis_cache import sql

if TYPE_CHECKING:
    from mysql_redis_cache.database import WriteResult
    from mysql_redis_cache.readthrough import Core
    from mysql_redis_cache.sql import Params
    from mysql_redis_cache.values import Row

__all__ = ["Statements"]


class Statements:
    """Statements, uncached."""

    _core: Core

    def query(self, query: str, params: Params = None) -> list[Row]:
        """Run a statement that reads, uncached, and return its rows.

        Raises:
            ValueError: it gives no rows; also what cannot be sent.
        """
        self._core.check_open()
        sql.statement(query).check_rows()
        return self._core.database.query(query, params)

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
        return self._core.database.run(query, params)
