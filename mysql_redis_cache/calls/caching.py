"""Cached functions: what ``cached`` makes of a function, with all that can be asked of its calls."""

from __future__ import annotations

from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mysql_redis_cache.readthrough.functions import Arguments

__all__ = ["Cached", "CachedCoroutine", "Recipe"]

P = ParamSpec("P")
Q = ParamSpec("Q")
S = TypeVar("S")
T = TypeVar("T")


class Recipe:
    """How the calls of a function are cached, by a client that may be configured later.

    Args:
        client: a client or its asynchronous face.
        arguments: turns the arguments of a call into params.
        query: the signature.
        tags: as for ``with_cache``.
        options: further options of ``with_cache``.
    """

    def __init__(
        self, client: Any, arguments: Arguments, query: str, tags: Any, options: Mapping[str, Any]
    ) -> None:
        self._client = client
        self._arguments = arguments
        self._query = query
        self._tags = tags
        self._options = options

    def call(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], **how: Any) -> Any:
        """Answer a call of *fn* from the cache, or else by it."""
        params, load = self._arguments.of(args, kwargs), partial(fn, *args, **kwargs)
        options = {**self._options, **how} if how else self._options
        names = self._arguments.names
        return self._client.with_cache(load, self._query, params, names, tags=self._tags, **options)

    def ask(self, what: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what the client's method *what* gives for a call."""
        params = self._arguments.of(args, kwargs)
        return getattr(self._client, what)(self._query, params, self._arguments.names, tags=self._tags)


class _Wrapper:
    """Looks like the function, is bound to objects as it would be, and is pickled by its name."""

    def __init__(self, fn: Callable[..., Any], recipe: Recipe, first: tuple[Any, ...] = ()) -> None:
        self._fn = fn
        self._recipe = recipe
        self._first = first  # the object that it is bound to
        update_wrapper(self, fn)  # type: ignore[arg-type]  # it is called as its subclasses are

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any], **how: Any) -> Any:
        return self._recipe.call(self._fn, (*self._first, *args), kwargs, **how)

    def _ask(self, what: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self._recipe.ask(what, (*self._first, *args), kwargs)

    def _bound(self, instance: object) -> Any:
        bound = type(self)(self._fn, self._recipe, (*self._first, instance))
        bound.__wrapped__ = self._fn.__get__(instance)  # type: ignore[attr-defined]
        return bound

    def __reduce__(self) -> str:
        return self.__qualname__  # type: ignore[attr-defined,no-any-return]

    def __repr__(self) -> str:
        return f"<cached {self._fn!r}>"


class Cached(_Wrapper, Generic[P, T]):
    """A function whose calls go through the cache. Made by ``MRCClient.cached``."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Answer the call from the cache, or else by the function."""
        return self._call(args, kwargs)  # type: ignore[no-any-return]

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key under which the call with these arguments is cached; no I/O."""
        return self._ask("get_key_from_query", args, kwargs)  # type: ignore[no-any-return]

    def drop(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Drop the entry of the call with these arguments, as ``drop_query``; return whether it was there."""
        return self._ask("drop_query", args, kwargs)  # type: ignore[no-any-return]

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function whatever is cached, and cache what it returns."""
        return self._call(args, kwargs, refresh=True)  # type: ignore[no-any-return]

    def uncached(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function past the cache, which is left as it is."""
        return self._call(args, kwargs, cache=False)  # type: ignore[no-any-return]

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Cached[P, T]: ...

    @overload
    def __get__(
        self: Cached[Concatenate[S, Q], T], instance: S, owner: type | None = None
    ) -> Cached[Q, T]: ...

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else self._bound(instance)


# The same for coroutine functions. What is awaited stands in other types, which cannot be had from the above.


class CachedCoroutine(_Wrapper, Generic[P, T]):
    """A coroutine function whose calls go through the cache. Made by ``AsyncMRCClient.cached``."""

    def __init__(self, fn: Callable[..., Any], recipe: Recipe, first: tuple[Any, ...] = ()) -> None:
        super().__init__(fn, recipe, first)
        # By these, inspect.iscoroutinefunction knows one.
        self.__code__ = type(self).__call__.__code__
        self.__defaults__ = self.__kwdefaults__ = None

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Answer the call from the cache, or else by the function."""
        return await self._call(args, kwargs)  # type: ignore[no-any-return]

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key under which the call with these arguments is cached; no I/O, nothing to await."""
        return self._ask("get_key_from_query", args, kwargs)  # type: ignore[no-any-return]

    async def drop(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Drop the entry of the call with these arguments, as ``drop_query``; return whether it was there."""
        return await self._ask("drop_query", args, kwargs)  # type: ignore[no-any-return]

    async def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function whatever is cached, and cache what it returns."""
        return await self._call(args, kwargs, refresh=True)  # type: ignore[no-any-return]

    async def uncached(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function past the cache, which is left as it is."""
        return await self._call(args, kwargs, cache=False)  # type: ignore[no-any-return]

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> CachedCoroutine[P, T]: ...

    @overload
    def __get__(
        self: CachedCoroutine[Concatenate[S, Q], T], instance: S, owner: type | None = None
    ) -> CachedCoroutine[Q, T]: ...

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else self._bound(instance)
