"""The rows of a list, each cached as if it had been read alone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from mysql_redis_cache.policy import DEFAULT_TTL
from mysql_redis_cache.readthrough.listed import listed

from .asking import Driven

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable
    from datetime import timedelta

    from mysql_redis_cache.keys import Tagged
    from mysql_redis_cache.values import Row

    from .asking import OneCallOptions, Windows

    K = TypeVar("K", bound=Hashable)

__all__ = ["Listing"]

T = TypeVar("T")


class Listing(Driven):
    """Cached reads of lists."""

    @overload
    def get_many(
        self,
        query: str,
        ids: Iterable[K],
        *,
        key: str,
        name: str,
        ttl: float | timedelta = DEFAULT_TTL,
        empty_ttl: float | timedelta | None = None,
        into: None = None,
        **options: Unpack[OneCallOptions],
    ) -> dict[K, Row]: ...

    @overload
    def get_many(
        self,
        query: str,
        ids: Iterable[K],
        *,
        key: str,
        name: str,
        ttl: float | timedelta = DEFAULT_TTL,
        empty_ttl: float | timedelta | None = None,
        into: type[T],
        **options: Unpack[OneCallOptions],
    ) -> dict[K, T]: ...

    def get_many(
        self,
        query: str,
        ids: Iterable[Any],
        *,
        key: str,
        name: str,
        ttl: float | timedelta = DEFAULT_TTL,
        empty_ttl: float | timedelta | None = None,
        tags: Tagged = None,
        into: Any = None,
        label: str | None = None,
        refresh: bool = False,
        cache: bool = True,
        **windows: Unpack[Windows],
    ) -> dict[Any, Any]:
        """Answer a query for a list of ids, with an entry for each id.

        What is cached is one round trip, and what is not is one query; thousands go in parts.

        The entry of the id 7 is that of ``query_with_cache(single, [7], [name])``, where *single* is
        *query* with ``= ?`` in the place of ``IN (?)`` and nothing else changed: what either call fills, the
        other hits, and a drop of the pair ``name=7`` finds it.

        Args:
            query: a SELECT whose only placeholder is in ``IN (?)``, or ``IN (:Name)`` or ``IN (%s)``. Each
                row must be what its id gives alone.
            ids: values for that placeholder; equal ones are asked for once.
            key: the column that ``IN`` looks at, by its name in the rows; an id has one row.
            name: of the pair by which a drop finds the row.
            ttl: seconds (or timedelta) to keep each row, ± 10 %.
            empty_ttl: the same for ids without a row; by default as *ttl*.
            tags: as for ``query_with_cache``, on each of the entries.
            into: as for ``query_with_cache``.
            label: as for ``query_with_cache``.
            refresh: as for ``query_with_cache``.
            cache: as for ``query_with_cache``.
            **windows: as for ``query_with_cache``.

        Returns:
            a row for each id that has one, by the id as it was given, in their order.

        Raises:
            TooManyRows: an id has more than one row.
            RowMismatch: a row does not fit *into*.
            TypeError, ValueError: bad arguments, before anything is sent; also rows without the column *key*.
            Exception: otherwise as ``query_with_cache``.
        """
        core = self._core
        core.check_open()
        steps = partial(core.steps, refresh=refresh, cache=cache)
        batch = listed(
            core.reads,
            steps,
            query,
            ids,
            key=key,
            name=name,
            ttl=ttl,
            empty_ttl=empty_ttl,
            into=into,
            tags=tags,
            windows=windows,
        )
        if label is not None:
            for read in batch.reads:
                core.observer.label(read, label)
        return self._driver.run(batch.steps(), batch)  # type: ignore[no-any-return]
