"""``ttl`` as a function of what was loaded."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import MRCServer

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

pytestmark = [pytest.mark.anyio, pytest.mark.real]

QUERY = "SELECT ? AS n"
DAY = 86_400


def left(redis_client: redis.Redis, pattern: str = "N=*") -> float:
    """The seconds that the only entry has left."""
    [key] = [key for key in redis_client.scan_iter(pattern) if not key.endswith(b":lease")]
    return redis_client.pttl(key) / 1000


@pytest.mark.parametrize("ttl", [60, 60.0, timedelta(minutes=1)])
async def test_it_is_given_what_was_loaded(client: Any, redis_client: redis.Redis, ttl: Any) -> None:
    """Rows, the value of a function, or what is written; and says for how long."""
    given: list[Any] = []

    def seconds(value: Any) -> Any:
        given.append(value)
        return ttl

    assert await client.query_with_cache(QUERY, [1], ["N"], seconds) == [{"n": 1}]
    assert 50 < left(redis_client) < 70
    await client.query_with_cache(QUERY, [1], ["N"], seconds)
    await client.with_cache(lambda: (1, 2), "f", [1], ["F"], seconds)
    assert 50 < left(redis_client, "F=*") < 70
    await client.write_to_cache("g", 7, [1], ["G"], seconds)
    assert 50 < left(redis_client, "G=*") < 70
    await client.query_many_with_cache([(QUERY, [3], ["M"])], seconds)

    assert given == [[{"n": 1}], [1, 2], 7, [{"n": 3}]]


async def test_it_is_given_the_form_that_the_caller_gets(client: Any, redis_client: redis.Redis) -> None:
    """What does not fit that is not kept: nobody can say for how long."""
    given: list[Any] = []
    await client.query_with_cache(
        QUERY, [1], ["N"], lambda value: given.append(value) or 60, into=int, one=True
    )
    assert given == [1]
    with pytest.raises(ValueError, match="int wants int"):
        await client.query_with_cache("SELECT 'x' AS n", ttl=lambda value: 60, into=int)
    assert len(redis_client.keys("*")) == 1


async def test_none_keeps_nothing(client: Any, redis_client: redis.Redis) -> None:
    """And what was there goes: something newer was loaded."""
    await client.query_with_cache(QUERY, [1], ["N"])
    assert await client.query_with_cache(QUERY, [1], ["N"], lambda rows: None, refresh=True) == [{"n": 1}]
    assert await client.with_cache(lambda: None, "f", ttl=lambda value: None if value is None else 60) is None
    await client.write_to_cache("g", 7)
    await client.write_to_cache("g", 8, ttl=lambda value: None)

    assert redis_client.keys("*") == []


@pytest.mark.parametrize(
    ("ttl", "error"), [("60", TypeError), (True, TypeError), (0, ValueError), (-1, ValueError)]
)
async def test_what_it_says_is_checked(
    client: Any, redis_client: redis.Redis, ttl: Any, error: type[Exception]
) -> None:
    """As a ttl is; what it raises comes out; nothing is cached, and no lease stays."""
    with pytest.raises(error, match="ttl must be"):
        await client.query_with_cache(QUERY, [1], ["N"], lambda rows: ttl)
    with pytest.raises(ZeroDivisionError):
        await client.with_cache(lambda: 1, "f", [1], ["N"], lambda value: 1 / 0)
    assert redis_client.keys("N=*") == []


@pytest.mark.parametrize("index", [False, True])
async def test_a_drop_finds_an_entry_that_lives_longer_than_its_lease_was_taken_for(
    make_client: Callable[..., Any], redis_url: str, redis_client: redis.Redis, index: bool
) -> None:
    """The index is told before it is filled."""
    client = make_client(index=index)
    await client.query_with_cache(QUERY, [1], ["N"], lambda rows: 10 * DAY)
    assert 8 * DAY < left(redis_client) < 12 * DAY
    if index:
        [(_, over)] = redis_client.zrange(index_set(redis_client), 0, -1, withscores=True)
        seconds, _ = redis_client.time()
        assert over / 1000 - seconds > 10 * DAY
    with MRCServer(redis_url, index=index) as server:
        assert server.drop_outdated_cache(["N"], [1]) == 1


def index_set(redis_client: redis.Redis) -> bytes:
    """The only set of the index that holds an entry."""
    [name] = [key for key in redis_client.scan_iter("mrc:idx:*") if len(key) == len("mrc:idx:") + 20]
    return bytes(name)
