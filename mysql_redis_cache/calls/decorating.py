"""The decorator form of ``with_cache``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from mysql_redis_cache.policy import DEFAULT_TTL
from mysql_redis_cache.readthrough.functions import check_returned, positional_arguments

from .reading import Reading

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import timedelta

    # What JSON gives back as it was, as far as types can say so.
    _Plain = bool | int | float | str | bytes | Mapping[str, Any] | list[Any] | None
    JSON = TypeVar("JSON", bound=_Plain | Awaitable[_Plain])

__all__ = ["Decorating"]

P = ParamSpec("P")
T = TypeVar("T")


class Decorating(Reading):
    """Cached functions."""

    @overload
    def cached(
        self,
        query: str,
        param_names: Sequence[str] | None = (),
        ttl: float | timedelta = DEFAULT_TTL,
        *,
        into: None = None,
    ) -> Callable[[Callable[P, JSON]], Callable[P, JSON]]: ...

    @overload
    def cached(
        self,
        query: str,
        param_names: Sequence[str] | None = (),
        ttl: float | timedelta = DEFAULT_TTL,
        *,
        into: object,
    ) -> Callable[[Callable[P, T]], Callable[P, T]]: ...

    def cached(
        self,
        query: str,
        param_names: Sequence[str] | None = (),
        ttl: float | timedelta = DEFAULT_TTL,
        *,
        into: Any = None,
    ) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
        """Decorate a function: its calls go through ``with_cache``, its arguments are the params.

        Args:
            query: the signature under which to cache.
            param_names: names of the first arguments.
            ttl: as for ``query_with_cache``.
            into: the type of what the function returns, as for ``with_cache``.

        Returns:
            the decorator. With ``AsyncMRCClient`` it is for coroutine functions, and makes them.

        Raises:
            TypeError: (of the decorator) the function has keyword-only arguments, which have no place in a
                key, or is a coroutine function and this is no ``AsyncMRCClient``; or, without *into*, it says
                that it returns what JSON does not give back, such as a dataclass or a datetime.
            TypeError, ValueError: bad names or ttl.
        """
        reads = self._core.reads
        reads.check_signature(query, param_names, ttl)
        reads.shape(into, are_rows=False)

        def decorate(fn: Callable[P, Any]) -> Callable[P, Any]:
            positional = positional_arguments(fn, param_names)
            self._driver.check_function(fn)
            if into is None:
                check_returned(fn)

            def call(*args: P.args, **kwargs: P.kwargs) -> Any:
                params = positional(*args, **kwargs)
                return self.with_cache(
                    partial(fn, *args, **kwargs), query, params, param_names, ttl, into=into
                )

            return self._driver.like(fn, call)

        return decorate
