"""Errors of a function that mean something to Python itself: they come out as they went in."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import MRCClient
from tests.client.drivers import until
from tests.client.test_flight import Source, followers

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

pytestmark = pytest.mark.anyio

# Before Python can see them, these end generators, asynchronous generators and coroutines.
ODD = [StopIteration(5), StopAsyncIteration(5), GeneratorExit(5), StopIteration()]


def raising(error: BaseException) -> Callable[[], Any]:
    """A plain function that raises *error*."""

    def fn() -> Any:
        raise error

    return fn


def async_raising(error: BaseException) -> Callable[[], Any]:
    """A coroutine function that raises *error*."""

    async def fn() -> Any:
        raise error

    return fn


def check(client: Any, raised: BaseException, error: BaseException) -> None:
    """The very error; out of a coroutine Python itself makes a ``StopIteration`` the cause of another."""
    while isinstance(error, StopIteration) and not client.is_blocking and type(raised) is RuntimeError:
        assert raised.__cause__ is not None
        raised = raised.__cause__
    assert type(raised) is type(error)
    assert raised.args == error.args
    assert getattr(raised, "value", None) == getattr(error, "value", None)


async def outcome_of(client: Any, name: str, *args: Any, **options: Any) -> BaseException:
    """What a call raises; a blocking one not through a coroutine, which would change it."""
    try:
        if client.is_blocking:
            getattr(client.inner, name)(*args, **options)
        else:
            await getattr(client.inner, name)(*args, **options)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def lease_of(client: Any, redis_client: redis.Redis) -> bytes | None:
    """The lease that is held."""
    return redis_client.get(f"{{{client.get_key_from_query('v1')}}}:lease")


@pytest.mark.parametrize("error", ODD, ids=repr)
async def test_what_a_function_raises_is_raised(
    client: Any, redis_client: redis.Redis, error: BaseException
) -> None:
    """By ``with_cache`` and ``cached``, and nothing is left behind or cached."""
    made = [raising] if client.is_blocking else [raising, async_raising]
    for make in made:
        for options in ({}, {"refresh": True}, {"cache": False}, {"stale_if_error": 60}):
            check(client, await outcome_of(client, "with_cache", make(error), "v1", **options), error)
    client.inner.decorated = client.cached("v1")(made[-1](error))
    check(client, await outcome_of(client, "decorated"), error)

    await until(lambda: lease_of(client, redis_client) is None, "the end of the lease")
    assert len(client._core.flights) == 0
    assert await client.with_cache(lambda: "good", "v1") == "good"


@pytest.mark.parametrize("error", ODD[:2], ids=repr)
async def test_who_waits_for_the_function_gets_a_copy(client: Any, error: Exception) -> None:
    """As of any failure."""
    source = Source(followers(client, 2), error)

    async def call() -> BaseException:
        return await outcome_of(client, "with_cache", source, "v1")

    outcomes = await client.together([call] * 3)

    assert source.calls == 1
    assert len({id(outcome) for outcome in outcomes}) == 3
    for outcome in outcomes:
        check(client, outcome, error)


@pytest.mark.parametrize("error", ODD[:2], ids=repr)
async def test_a_stale_answer_is_served_instead(client: Any, error: Exception) -> None:
    """As after any failure."""
    await client.with_cache(lambda: "old", "v1", ttl=1, stale_if_error=600)
    read = client._core.reads.of_function("v1", None, (), 1)
    client._core.cache.entries.put(client._core.cache.name(read), b'"old"', 500)

    assert await client.with_cache(raising(error), "v1", ttl=1, stale_if_error=600) == "old"


@pytest.mark.parametrize("error", ODD[:3], ids=repr)
async def test_a_refresh_behind_the_back_may_fail_so(
    make_client: Callable[..., Any], error: BaseException
) -> None:
    """The reader has an answer, the next refresh goes on; in a thread even after what is no ``Exception``."""
    client = make_client()
    if isinstance(error, GeneratorExit) and not client.is_blocking:
        return  # there the reader's own task refreshes, and this ends a task
    read = client._core.reads.of_function("v1", None, (), 1)
    windows = {"ttl": 1, "stale_while_revalidate": 600}
    client._core.cache.entries.put(client._core.cache.name(read), b'"old"', 500)
    called = threading.Event()

    def fails() -> Any:
        called.set()
        raise error

    assert await client.with_cache(fails, "v1", **windows) == "old"
    await client.happens(called)

    async def refreshed() -> bool:
        return await client.with_cache(lambda: "new", "v1", **windows) == "new"

    for _ in range(200):
        if await refreshed():
            break
        await client.happens(_after(0.02))
    else:
        raise AssertionError("it is not refreshed")


def _after(seconds: float) -> threading.Event:
    event = threading.Event()
    threading.Timer(seconds, event.set).start()
    return event


def test_next_in_a_generator_s_body_behaves_as_ever(mysql_url: str, redis_url: str) -> None:
    """``next(rows)`` of nothing, in a function that is cached, is no ``RuntimeError``."""
    with MRCClient(mysql_url, redis_url) as client:
        assert next(iter([client.with_cache(lambda: next(iter([1])), "v1")])) == 1
        with pytest.raises(StopIteration):
            client.with_cache(lambda: next(iter([])), "v2")
