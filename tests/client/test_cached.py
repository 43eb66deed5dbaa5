"""The decorator ``cached``, on functions of the blocking client and on coroutine functions of the facade."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import MRCClient

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


class Shop:
    """Something with methods."""

    def price(self, sku: str, currency: str = "EUR") -> list[str]:
        """Say the price."""
        return [sku, currency]

    async def price_later(self, sku: str, currency: str = "EUR") -> list[str]:
        """Say the price."""
        return [sku, currency]


class Branch(Shop):
    """A subclass."""


class Sku(str):
    """A value with methods."""

    __slots__ = ()

    def shown(self) -> str:
        """Show it."""
        return f"<{self}>"

    async def shown_later(self) -> str:
        """Show it."""
        return f"<{self}>"


def decorated(client: Any, fn: Callable[..., Any], *names: str, ttl: Any = 60) -> Any:
    """Decorate *fn*, which must be of the client's kind; its calls are awaited either way."""
    call = client.cached("v1", names, ttl)(fn)
    if not client.is_blocking:
        return call

    async def called(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    return called


def counted(client: Any) -> tuple[Callable[..., Any], list[tuple[Any, ...]]]:
    """A function of the client's kind with two arguments, and the calls that came through."""
    calls: list[tuple[Any, ...]] = []

    def plain(a: Any, b: Any = 2) -> list[Any]:
        calls.append((a, b))
        return [a, b]

    async def coroutine(a: Any, b: Any = 2) -> list[Any]:
        return plain(a, b)

    return (plain if client.is_blocking else coroutine), calls


async def test_calls_are_cached_by_their_arguments(client: Any) -> None:
    """The arguments are the params, however they are passed; defaults count."""
    fn, calls = counted(client)
    call = decorated(client, fn, "A")

    answers = [await call(1), await call(1, 2), await call(a=1), await call(b=2, a=1), await call(1, 3)]

    assert answers == [[1, 2]] * 4 + [[1, 3]]
    assert calls == [(1, 2), (1, 3)]
    assert await client.read_from_cache("v1", [1, 3], ["A"]) == [1, 3]


async def test_drops_find_the_entries_by_name(client: Any) -> None:
    """The names are those of the first arguments."""
    fn, calls = counted(client)
    call = decorated(client, fn, "A")
    await call(1)

    assert await client.drop_outdated_cache(["A"], [1]) == 1

    await call(1)
    assert calls == [(1, 2), (1, 2)]


async def test_bound_methods(client: Any) -> None:
    """A bound method is a function of its other arguments."""
    shop = Shop()
    call = decorated(client, shop.price if client.is_blocking else shop.price_later, "Sku")

    assert await call("a") == await call(sku="a", currency="EUR") == ["a", "EUR"]
    assert await client.read_from_cache("v1", ["a", "EUR"], ["Sku"]) == ["a", "EUR"]


@pytest.mark.parametrize("names", [(), ("Sku",), ("Self", "Sku")])
async def test_a_method_decorated_in_its_class_is_refused_when_called(
    client: Any, names: tuple[str, ...]
) -> None:
    """``self`` is an argument, and has no text to make a key of; the error says what to do."""
    call = decorated(client, Shop.price if client.is_blocking else Shop.price_later, *names)

    for owner in (Shop(), Branch(), Shop):  # the last as a classmethod's
        with pytest.raises(
            TypeError, match=r"is a method, and its first argument \((Shop|Branch)\).*@static"
        ):
            await call(owner, "a")


async def test_what_the_error_says_works(client: Any) -> None:
    """A static method, and a bound one decorated for the object."""

    class Store:
        def __init__(self, city: str) -> None:
            self.city = city
            fn = self.prices if client.is_blocking else self.prices_later
            self.cached_prices = decorated(client, fn, "Sku")

        @staticmethod
        @(lambda fn: decorated(client, fn, "Sku") if client.is_blocking else fn)
        def price(sku: str) -> str:
            return sku

        def prices(self, sku: str) -> list[str]:
            return [self.city, sku]

        async def prices_later(self, sku: str) -> list[str]:
            return [self.city, sku]

    assert await Store("Rome").cached_prices("a") == ["Rome", "a"]
    if client.is_blocking:
        assert await Store("Rome").price("b") == await Store.price("b") == "b"


async def test_an_object_that_is_a_value_may_be_the_first_argument(client: Any) -> None:
    """A str with methods, say: it identifies itself."""
    call = decorated(client, Sku.shown if client.is_blocking else Sku.shown_later, "Sku")

    assert await call(Sku("a")) == await call("a") == "<a>"


async def test_a_static_function_s_bad_argument_is_called_by_its_type(client: Any) -> None:
    """Not every function in a class is a method."""
    call = decorated(client, Shop.price if client.is_blocking else Shop.price_later, "Sku")

    with pytest.raises(TypeError, match=r"param 1 \(Sku\) is of type set"):
        await call({1}, "a")


async def test_name_docstring_and_signature_are_kept(client: Any) -> None:
    """Tools that look at the function see the function; what is called is of the same kind."""
    fn = Shop.price if client.is_blocking else Shop.price_later
    call = client.cached("v1")(fn)

    assert (call.__name__, call.__doc__, call.__wrapped__) == (fn.__name__, fn.__doc__, fn)
    assert inspect.signature(call) == inspect.signature(fn)
    assert inspect.iscoroutinefunction(call) is not client.is_blocking


async def test_arguments_that_do_not_fit_are_the_function_s_error(client: Any) -> None:
    """As Python itself says it, before anything is sent."""
    fn, calls = counted(client)
    call = decorated(client, fn)

    with pytest.raises(TypeError, match="missing a required argument: 'a'"):
        await call()
    with pytest.raises(TypeError, match="unexpected keyword argument 'c'"):
        await call(1, c=3)
    assert calls == []


def keyword_only(a: int, *, b: int = 2) -> int:
    """A function that cannot be cached."""
    return a + b


REFUSED = {
    "keyword-only": (lambda c: c.cached("v1")(keyword_only), TypeError, "keyword-only arguments: b"),
    "no function": (lambda c: c.cached("v1")("fn"), TypeError, "fn must be a function"),
    "static method": (
        lambda c: c.cached("v1")(staticmethod(keyword_only)),
        TypeError,
        "put @staticmethod above the decorator",
    ),
    "class method": (
        lambda c: c.cached("v1")(classmethod(keyword_only)),
        TypeError,
        "put @classmethod above the decorator",
    ),
    "more names than arguments": (
        lambda c: c.cached("v1", ["a", "b"])(lambda a: a),
        ValueError,
        r"more param_names \(2\) than arguments \(1\)",
    ),
    "empty query": (lambda c: c.cached(""), ValueError, "empty"),
    "no query": (lambda c: c.cached(keyword_only), TypeError, "str"),
    "bad name": (lambda c: c.cached("v1", ["a=b"]), ValueError, "="),
    "a str as names": (lambda c: c.cached("v1", "ab"), TypeError, "list or tuple"),
    "bad ttl": (lambda c: c.cached("v1", ttl=0), ValueError, "positive"),
}


@pytest.mark.parametrize(("decorate", "error", "says"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_work_is_refused_at_decoration(
    client: Any, decorate: Callable[[Any], Any], error: type[Exception], says: str
) -> None:
    """When the module is imported, not when the first user comes."""
    with pytest.raises(error, match=says):
        decorate(client)


def test_a_coroutine_function_is_refused_by_the_blocking_client(mysql_url: str) -> None:
    """It belongs to the facade."""
    with MRCClient(mysql_url) as client, pytest.raises(TypeError, match="AsyncMRCClient"):
        client.cached("v1")(Shop().price_later)


async def test_variable_arguments(client: Any) -> None:
    """``*args`` are params; ``**kwargs`` have no place in a key, and are refused once there are any."""
    if client.is_blocking:

        def fn(*args: Any, **kwargs: Any) -> Any:
            return list(args)

    else:

        async def fn(*args: Any, **kwargs: Any) -> Any:
            return list(args)

    call = decorated(client, fn, "A", "B")

    assert await call(1, 2, 3) == [1, 2, 3]
    with pytest.raises(TypeError, match="keyword-only arguments: c"):
        await call(1, 2, c=3)
