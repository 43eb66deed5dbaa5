"""Reads through the cache, and its two halves."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from mysql_redis_cache.policy import DEFAULT_TTL

from .asking import Driven, answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mysql_redis_cache.keys import Tagged
    from mysql_redis_cache.policy import Lifetime
    from mysql_redis_cache.sql import Params
    from mysql_redis_cache.values import Row

    from .asking import CallOptions, OneCallOptions, Windows

__all__ = ["Reading"]

T = TypeVar("T")


class Reading(Driven):
    """Cached reads."""

    @overload
    def query_with_cache(
        self,
        query: str,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        ttl: Lifetime = DEFAULT_TTL,
        *,
        into: None = None,
        one: Literal[False] = False,
        **options: Unpack[OneCallOptions],
    ) -> list[Row]: ...

    @overload
    def query_with_cache(
        self,
        query: str,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        ttl: Lifetime = DEFAULT_TTL,
        *,
        into: None = None,
        one: Literal[True],
        **options: Unpack[OneCallOptions],
    ) -> Row | None: ...

    @overload
    def query_with_cache(
        self,
        query: str,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        ttl: Lifetime = DEFAULT_TTL,
        *,
        into: type[T],
        one: Literal[False] = False,
        **options: Unpack[OneCallOptions],
    ) -> list[T]: ...

    @overload
    def query_with_cache(
        self,
        query: str,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        ttl: Lifetime = DEFAULT_TTL,
        *,
        into: type[T],
        one: Literal[True],
        **options: Unpack[OneCallOptions],
    ) -> T | None: ...

    def query_with_cache(
        self,
        query: str,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        ttl: Lifetime = DEFAULT_TTL,
        *,
        tags: Tagged = None,
        into: Any = None,
        one: bool = False,
        label: str | None = None,
        refresh: bool = False,
        cache: bool = True,
        **windows: Unpack[Windows],
    ) -> Any:
        """Answer a query from Redis, or else from MySQL, and cache the answer.

        Args:
            query: one statement that reads, with ``?`` placeholders (or ``%s``).
            params: one value for each placeholder.
            param_names: names of the first params; a drop finds the entry by them.
            ttl: seconds (or timedelta) to keep the answer, ± 10 %; or a function that is given what was
                loaded and returns them, or ``None`` for an answer that is not to be kept.
            tags: further pairs by which a drop finds the entry, a mapping or list of pairs.
            into: what to make of a row: a dataclass, TypedDict, NamedTuple, attrs class, msgspec Struct or
                pydantic model with its columns, or the type of the only column. ``None``: a dict.
            one: give the only row, or ``None`` if there is none, instead of a list.
            label: what figures and events call this query, such as ``"user_by_id"``.
            refresh: load and cache anew, whatever is cached.
            cache: ``False`` neither reads nor writes the cache.
            **windows: ``stale_while_revalidate``, ``stale_if_error``, ``early_refresh`` for this call;
                ``near=False`` for an answer from Redis, past the near cache.

        Returns:
            the rows, a list of dicts; the same on a hit and on a miss. CALL gives what mysql2 gives.

        Raises:
            RowMismatch: a row does not fit *into*; what is cached is left as it is.
            TooManyRows: *one*, and there are more.
            TypeError, ValueError: bad arguments, before anything is sent.
            DatabaseUnavailable: a miss, and MySQL cannot be reached (a ``ConnectionError``).
            PoolTimeout: a miss, and no connection became free in time.
            QueryTimeout: a miss, and the query took longer than ``query_timeout``.
            pymysql.MySQLError: what the server answered to the query.
        """
        core = self._core
        core.check_open()
        read = core.reads.of_query(query, params, param_names, ttl, windows, tags=tags)
        if label is not None:
            core.observer.label(read, label)
        if into is not None or one is not False:
            read.decode = core.reads.shape(into, one=one).decode
        return answer(self, read, refresh=refresh, cache=cache)

    @overload
    def with_cache(
        self,
        fn: Callable[[], Any],
        query: str,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        ttl: Lifetime = DEFAULT_TTL,
        *,
        into: type[T],
        **options: Unpack[OneCallOptions],
    ) -> T: ...

    @overload
    def with_cache(
        self,
        fn: Callable[[], Awaitable[T]],
        query: str,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        ttl: Lifetime = DEFAULT_TTL,
        *,
        into: None = None,
        **options: Unpack[OneCallOptions],
    ) -> T: ...

    @overload
    def with_cache(
        self,
        fn: Callable[[], T],
        query: str,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        ttl: Lifetime = DEFAULT_TTL,
        *,
        into: None = None,
        **options: Unpack[OneCallOptions],
    ) -> T: ...

    def with_cache(
        self,
        fn: Callable[[], Any],
        query: str,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        ttl: Lifetime = DEFAULT_TTL,
        *,
        tags: Tagged = None,
        into: Any = None,
        label: str | None = None,
        refresh: bool = False,
        cache: bool = True,
        **windows: Unpack[Windows],
    ) -> Any:
        """Answer a call of *fn* from Redis, or else call it and cache what it returns.

        Args:
            fn: called without arguments on a miss; what it raises passes through. ``AsyncMRCClient`` awaits a
                coroutine function in the caller's task, and calls a plain one in a thread.
            query: the signature under which to cache, such as ``"weather_api_v1"``.
            params: as for ``query_with_cache``.
            param_names: as for ``query_with_cache``.
            ttl: as for ``query_with_cache``.
            tags: as for ``query_with_cache``.
            into: the type of what *fn* returns, such as ``User`` or ``list[User]``.
            label: as for ``query_with_cache``.
            refresh: as for ``query_with_cache``.
            cache: as for ``query_with_cache``.
            **windows: as for ``query_with_cache``.

        Returns:
            what *fn* returned, the same on a hit and on a miss: as *into*, or in the form in which JSON gives
            it back.

        Raises:
            RowMismatch: it does not fit *into*.
            TypeError: *fn* returned something without JSON form; the message says where in it.
        """
        core = self._core
        core.check_open()
        self._driver.check_function(fn)
        load = self._driver.load_of(fn)
        read = core.reads.of_function(query, params, param_names, ttl, windows, tags=tags, load=load)
        if label is not None:
            core.observer.label(read, label)
        if into is not None:
            read.decode = core.reads.shape(into, are_rows=False).decode
        return answer(self, read, refresh=refresh, cache=cache)

    @overload
    def query_many_with_cache(
        self,
        queries: Sequence[tuple[Any, ...]],
        ttl: Lifetime = DEFAULT_TTL,
        *,
        into: None = None,
        one: Literal[False] = False,
        **options: Unpack[CallOptions],
    ) -> list[list[Row]]: ...

    @overload
    def query_many_with_cache(
        self,
        queries: Sequence[tuple[Any, ...]],
        ttl: Lifetime = DEFAULT_TTL,
        *,
        into: type[T],
        one: Literal[False] = False,
        **options: Unpack[CallOptions],
    ) -> list[list[T]]: ...

    @overload
    def query_many_with_cache(
        self,
        queries: Sequence[tuple[Any, ...]],
        ttl: Lifetime = DEFAULT_TTL,
        *,
        into: type[T],
        one: Literal[True],
        **options: Unpack[CallOptions],
    ) -> list[T | None]: ...

    @overload
    def query_many_with_cache(
        self,
        queries: Sequence[tuple[Any, ...]],
        ttl: Lifetime = DEFAULT_TTL,
        *,
        into: Sequence[Any] | type[Any] | None = None,
        one: Sequence[bool] | bool,
        **options: Unpack[CallOptions],
    ) -> list[Any]: ...

    @overload
    def query_many_with_cache(
        self,
        queries: Sequence[tuple[Any, ...]],
        ttl: Lifetime = DEFAULT_TTL,
        *,
        into: Sequence[Any],
        one: Sequence[bool] | bool = False,
        **options: Unpack[CallOptions],
    ) -> list[Any]: ...

    def query_many_with_cache(
        self,
        queries: Sequence[tuple[Any, ...]],
        ttl: Lifetime = DEFAULT_TTL,
        *,
        into: Any = None,
        one: Any = False,
        refresh: bool = False,
        cache: bool = True,
        **windows: Unpack[Windows],
    ) -> list[Any]:
        """Answer several queries, all hits in one round trip; misses are loaded and cached.

        Args:
            queries: a ``Query`` for each, or a tuple ``(query, params, param_names, tags)``, all but the
                first optional; one may stand there twice.
            ttl: as for ``query_with_cache``.
            into: as for ``query_with_cache``; or a list with one for each query.
            one: as for ``query_with_cache``; or a list with one for each query.
            refresh: as for ``query_with_cache``.
            cache: as for ``query_with_cache``.
            **windows: as for ``query_with_cache``.

        Returns:
            what ``query_with_cache`` would return for each, in order.

        Raises:
            Exception: as ``query_with_cache``; what was loaded before the failure stays cached.
        """
        core = self._core
        core.check_open()
        steps = partial(core.steps, refresh=refresh, cache=cache)
        batch = core.reads.many(queries, ttl, windows, steps, into=into, one=one)
        return self._driver.run(batch.steps(), batch)  # type: ignore[no-any-return]
