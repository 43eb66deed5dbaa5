"""The decorator form of ``with_cache``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, overload

from mysql_redis_cache import keys
from mysql_redis_cache.policy import DEFAULT_TTL, ttl_seconds
from mysql_redis_cache.readthrough import check_blocking_function
from mysql_redis_cache.readthrough.functions import Arguments, check_returned
from mysql_redis_cache.values import shape_of

from .asking import OneCallOptions
from .caching import Cached, Recipe
from .reading import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mysql_redis_cache.policy import Lifetime

    # What JSON gives back as it was, as far as types can say so.
    Plain = bool | int | float | str | bytes | Mapping[str, Any] | list[Any] | None
    JSON = TypeVar("JSON", bound=Plain)

__all__ = ["Decorating", "decorator"]

P = ParamSpec("P")
T = TypeVar("T")

OPTIONS = frozenset(OneCallOptions.__annotations__)


class Decorating(Reading):
    """Cached functions."""

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
    ) -> Callable[[Callable[P, JSON]], Cached[P, JSON]]: ...

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
    ) -> Callable[[Callable[P, T]], Cached[P, T]]: ...

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
        """Decorate a function: its calls go through ``with_cache``, its arguments are the params.

        Args:
            query: the signature under which to cache.
            param_names: names of the first arguments; or a mapping, ``{"user_id": "UserId"}``, by the names
                of the arguments, of which keyword-only ones may have a name too.
            ttl: as for ``query_with_cache``.
            into: the type of what the function returns, as for ``with_cache``.
            ignore: names of arguments that are no part of the key, such as ``self`` or ``request``.
            **options: as for ``with_cache``.

        Returns:
            the decorator, which makes a ``Cached``: it is called as the function is, and has ``key``,
            ``drop``, ``refresh`` and ``uncached``, which take the arguments of a call. With
            ``AsyncMRCClient`` it is for coroutine functions, and makes them.

        Raises:
            TypeError: (of the decorator) the function has keyword-only arguments that have no name, or is a
                coroutine function and this is no ``AsyncMRCClient``; or, without *into*, it says that it
                returns what JSON does not give back, such as a dataclass or a datetime.
            TypeError, ValueError: bad names, ttl or options.
        """
        make = decorator(self, query, param_names, ttl, into=into, ignore=ignore, options=options)
        return partial(make, Cached, check_blocking_function)


def decorator(
    client: Any,
    query: str,
    names: Sequence[str] | Mapping[str, str] | None,
    ttl: Lifetime,
    *,
    into: Any,
    ignore: Sequence[str],
    options: Mapping[str, Any],
) -> Callable[[Callable[..., Any], Callable[..., object], Callable[..., Any]], Any]:
    """Check what every call would have to refuse, as far as it can be without a configured client.

    Returns:
        what makes a cached function, of its class, of a check of functions, and of a function.
    """
    shown = list(names.values()) if isinstance(names, Mapping) else names
    keys.make_key(query, (0,) * len(shown or ()), shown)
    _check_lifetime(ttl)
    shape_of(into, None, are_rows=False)
    if unknown := sorted(options.keys() - OPTIONS):
        raise TypeError(f"there is no keyword {unknown[0]}; there are {', '.join(sorted(OPTIONS))}")
    tags, how = options.get("tags"), {name: value for name, value in options.items() if name != "tags"}
    keys.tag_pairs(tags)
    namespace = vars(client).get("_namespace")  # none, while it is not configured
    if namespace is not None:
        namespace.check([*(shown or ()), *[name for name, _ in keys.tag_pairs(tags)]])

    def make(kind: Callable[..., Any], check: Callable[..., object], fn: Callable[..., Any]) -> Any:
        arguments = Arguments(fn, names, ignore)
        check(fn)
        if into is None:
            check_returned(fn)
        return kind(fn, Recipe(client, arguments, query, tags, {"ttl": ttl, "into": into, **how}))

    return make


def _check_lifetime(ttl: Lifetime) -> None:
    if not callable(ttl):
        ttl_seconds(ttl)
