"""``cached`` for coroutine functions.

Its signature stands here a second time: what it makes is awaited, so that it has other types throughout, and
a signature cannot be borrowed in part.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, overload

from mysql_redis_cache.calls import CachedCoroutine, Decorating, decorator
from mysql_redis_cache.policy import DEFAULT_TTL
from mysql_redis_cache.readthrough.functions import check_function

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from mysql_redis_cache.calls import OneCallOptions
    from mysql_redis_cache.policy import Lifetime

    # What JSON gives back as it was, as far as types can say so.
    Plain = bool | int | float | str | bytes | Mapping[str, Any] | list[Any] | None
    JSON = TypeVar("JSON", bound=Plain)

__all__ = ["AsyncDecorating"]

P = ParamSpec("P")
T = TypeVar("T")


class AsyncDecorating:
    """Cached coroutine functions."""

    @overload
    def cached(
        self,
        query: str,
        param_names: Sequence[str] | Mapping[str, str] | None = (),
        ttl: Lifetime = DEFAULT_TTL,
        *,
        into: None = None,
        ignore: Sequence[str] = (),
        **options: Unpack[OneCallOptions],
    ) -> Callable[[Callable[P, Coroutine[Any, Any, JSON]]], CachedCoroutine[P, JSON]]: ...

    @overload
    def cached(
        self,
        query: str,
        param_names: Sequence[str] | Mapping[str, str] | None = (),
        ttl: Lifetime = DEFAULT_TTL,
        *,
        into: object,
        ignore: Sequence[str] = (),
        **options: Unpack[OneCallOptions],
    ) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], CachedCoroutine[P, T]]: ...

    def cached(
        self,
        query: str,
        param_names: Sequence[str] | Mapping[str, str] | None = (),
        ttl: Lifetime = DEFAULT_TTL,
        *,
        into: Any = None,
        ignore: Sequence[str] = (),
        **options: Unpack[OneCallOptions],
    ) -> Callable[[Callable[P, Any]], Any]:
        """Decorate a coroutine function; as ``MRCClient.cached``."""
        make = decorator(self, query, param_names, ttl, into=into, ignore=ignore, options=options)
        return partial(make, CachedCoroutine, check_function)

    cached.__doc__ = Decorating.cached.__doc__
