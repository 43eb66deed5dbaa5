"""Reads through the cache, and its two halves."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypedDict, TypeVar, Unpack

from mysql_redis_cache.policy import DEFAULT_TTL
from mysql_redis_cache.readthrough.functions import positional_arguments
from mysql_redis_cache.readthrough.steps import look, put

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from mysql_redis_cache.keys import Tagged
    from mysql_redis_cache.readthrough import Core
    from mysql_redis_cache.readthrough.many import Tasks
    from mysql_redis_cache.readthrough.reads import Asked
    from mysql_redis_cache.readthrough.steps import Steps
    from mysql_redis_cache.sql import Params

__all__ = ["Driver", "Reading", "Windows"]

P = ParamSpec("P")
T = TypeVar("T")


class Windows(TypedDict, total=False):
    """Freshness windows of one call, instead of the client's."""

    stale_while_revalidate: float | timedelta
    stale_if_error: float | timedelta
    early_refresh: float


class Driver(Protocol):
    """How a face carries out the steps of a read: with blocking calls, or from an event loop."""

    def run(self, steps: Steps | Tasks, read: Asked) -> Any:
        """Drive *steps* to their end; return the answer, or what is awaited for it."""

    def check_function(self, fn: object) -> None:
        """Raise ``TypeError`` if it cannot call *fn*."""

    def load_of(self, fn: Callable[[], Any]) -> Any:
        """Return a call of *fn* as the load of a read."""

    def like(self, fn: Callable[P, T], call: Callable[P, Any]) -> Callable[P, T]:
        """Return *call* in the form of *fn*: its name, its docstring, and a coroutine function here."""
        ...


class Reading:
    """Cached reads."""

    _core: Core
    _driver: Driver

    def query_with_cache(
        self,
        query: str,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        ttl: float | timedelta = DEFAULT_TTL,
        *,
        tags: Tagged = None,
        refresh: bool = False,
        cache: bool = True,
        **windows: Unpack[Windows],
    ) -> Any:
        """Answer a query from Redis, or else from MySQL, and cache the answer.

        Args:
            query: one statement that reads, with ``?`` placeholders (or ``%s``).
            params: one value for each placeholder.
            param_names: names of the first params; a drop finds the entry by them.
            ttl: seconds (or timedelta) to keep the answer, ± 10 %.
            tags: further pairs by which a drop finds the entry, a mapping or list of pairs.
            refresh: load and cache anew, whatever is cached.
            cache: ``False`` neither reads nor writes the cache.
            **windows: ``stale_while_revalidate``, ``stale_if_error``, ``early_refresh`` for this call.

        Returns:
            the rows, a list of dicts; the same on a hit and on a miss. CALL gives what mysql2 gives.

        Raises:
            TypeError, ValueError: bad arguments, before anything is sent.
            DatabaseUnavailable: a miss, and MySQL cannot be reached (a ``ConnectionError``).
            PoolTimeout: a miss, and no connection became free in time.
            QueryTimeout: a miss, and the query took longer than ``query_timeout``.
            pymysql.MySQLError: what the server answered to the query.
        """
        core = self._core
        core.check_open()
        read = core.reads.of_query(query, params, param_names, ttl, windows, tags=tags)
        return self._driver.run(core.steps(read, refresh=refresh, cache=cache), read)

    def with_cache(
        self,
        fn: Callable[[], Any],
        query: str,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        ttl: float | timedelta = DEFAULT_TTL,
        *,
        tags: Tagged = None,
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
            refresh: as for ``query_with_cache``.
            cache: as for ``query_with_cache``.
            **windows: as for ``query_with_cache``.

        Returns:
            what *fn* returned, in the form in which JSON gives it back: the same on a hit and on a miss.

        Raises:
            TypeError: *fn* returned something without JSON form; the message says where in it.
        """
        core = self._core
        core.check_open()
        self._driver.check_function(fn)
        load = self._driver.load_of(fn)
        read = core.reads.of_function(query, params, param_names, ttl, windows, tags=tags, load=load)
        return self._driver.run(core.steps(read, refresh=refresh, cache=cache), read)

    def query_many_with_cache(
        self,
        queries: Sequence[tuple[Any, ...]],
        ttl: float | timedelta = DEFAULT_TTL,
        *,
        refresh: bool = False,
        cache: bool = True,
        **windows: Unpack[Windows],
    ) -> list[Any]:
        """Answer several queries, all hits in one round trip; misses are loaded and cached.

        Args:
            queries: a ``Query`` for each, or a tuple ``(query, params, param_names, tags)``, all but the
                first optional; one may stand there twice.
            ttl: as for ``query_with_cache``.
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
        batch = core.reads.many(queries, ttl, windows, steps)
        return self._driver.run(batch.steps(), batch)  # type: ignore[no-any-return]

    def cached(
        self, query: str, param_names: Sequence[str] | None = (), ttl: float | timedelta = DEFAULT_TTL
    ) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Decorate a function: its calls go through ``with_cache``, its arguments are the params.

        Args:
            query: the signature under which to cache.
            param_names: names of the first arguments.
            ttl: as for ``query_with_cache``.

        Returns:
            the decorator. With ``AsyncMRCClient`` it is for coroutine functions, and makes them.

        Raises:
            TypeError: (of the decorator) the function has keyword-only arguments, which have no place in a
                key, or is a coroutine function and this is no ``AsyncMRCClient``.
            TypeError, ValueError: bad names or ttl.
        """
        self._core.reads.check_signature(query, param_names, ttl)

        def decorate(fn: Callable[P, T]) -> Callable[P, T]:
            positional = positional_arguments(fn, param_names)
            self._driver.check_function(fn)

            def call(*args: P.args, **kwargs: P.kwargs) -> Any:
                params = positional(*args, **kwargs)
                return self.with_cache(partial(fn, *args, **kwargs), query, params, param_names, ttl)

            return self._driver.like(fn, call)

        return decorate

    def read_from_cache(
        self,
        query: str,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        default: Any = None,
        *,
        tags: Tagged = None,
    ) -> Any:
        """Return what is cached, or *default*; MySQL is not asked.

        Args:
            query: as it was cached.
            params: as it was cached.
            param_names: as it was cached.
            default: returned on a miss, and when Redis does not answer; a sentinel of your own tells a
                cached ``None`` from a miss.
            tags: as it was cached.
        """
        core = self._core
        core.check_open()
        read = core.reads.of_function(query, params, param_names, DEFAULT_TTL, tags=tags)
        return self._driver.run(look(default), read)

    def write_to_cache(
        self,
        query: str,
        value: Any,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        ttl: float | timedelta = DEFAULT_TTL,
        *,
        tags: Tagged = None,
    ) -> None:
        """Cache *value*; a load in flight does not overwrite it. Without Redis configured, do nothing.

        Raises:
            CacheUnavailable: Redis did not take it.
            TypeError: the value has no JSON form; the message says where in it.
        """
        core = self._core
        core.check_open()
        read = core.reads.of_function(query, params, param_names, ttl, tags=tags)
        return self._driver.run(put(value), read)  # type: ignore[no-any-return]
