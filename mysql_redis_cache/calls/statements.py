"""Statements that go straight to MySQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mysql_redis_cache.database import WriteResult
    from mysql_redis_cache.readthrough import Core
    from mysql_redis_cache.values import Row

__all__ = ["Statements"]


class Statements:
    """Statements, uncached."""

    _core: Core

    def query(self, query: str, params: Sequence[object] | None = None) -> list[Row]:
        """Run a statement that reads, uncached, and return its rows."""
        self._core.check_open()
        return self._core.database.query(query, params)

    def execute(self, query: str, params: Sequence[object] | None = None) -> WriteResult:
        """Run a statement that writes; it is committed when this returns."""
        self._core.check_open()
        return self._core.database.execute(query, params)

    def query_to_promise(self, query: str, params: Sequence[object] | None = None) -> list[Row] | WriteResult:
        """Run any statement, uncached: rows of one that reads, a ``WriteResult`` of one that writes."""
        self._core.check_open()
        return self._core.database.run(query, params)
