"""``query_many_with_cache``: many reads in one round trip, each as if it had been made alone."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from tests.support.proxy import Proxy

pytestmark = pytest.mark.anyio

QUERY = "SELECT ? AS n"


def queries(*numbers: int) -> list[tuple[str, list[int], list[str]]]:
    """A query for each number."""
    return [(QUERY, [number], ["N"]) for number in numbers]


def rows(*numbers: int) -> list[list[dict[str, int]]]:
    """What they answer."""
    return [[{"n": number}] for number in numbers]


async def test_answers_come_in_order(client: Any, loads: Any) -> None:
    """Hits and misses mixed, in the order asked for; the next time all are hits."""
    await client.query_many_with_cache(queries(2, 4))
    asked = loads(client)

    assert await client.query_many_with_cache(queries(1, 2, 3, 4)) == rows(1, 2, 3, 4)
    assert len(asked) == 2
    assert await client.query_many_with_cache(queries(4, 3, 2, 1)) == rows(4, 3, 2, 1)
    assert len(asked) == 2


async def test_each_is_the_entry_of_query_with_cache(client: Any, loads: Any) -> None:
    """One cache: what either call fills, the other hits."""
    asked = loads(client)
    await client.query_with_cache(QUERY, [1], ["N"])
    await client.query_many_with_cache(queries(1, 2))

    assert await client.query_with_cache(QUERY, [2], ["N"]) == rows(2)[0]
    assert len(asked) == 2


async def test_hits_are_one_mget(
    make_client: Callable[..., Any], proxy_to: Callable[..., Proxy], redis_url: str, redis_client: redis.Redis
) -> None:
    """Fifty hits are one command in one round trip."""
    proxy = proxy_to(redis_url)
    client = make_client(redis=proxy.url)
    wanted = queries(*range(50))
    await client.query_many_with_cache(wanted)
    round_trips = proxy.round_trips
    mgets = redis_client.info("commandstats")["cmdstat_mget"]["calls"]

    assert await client.query_many_with_cache(wanted) == rows(*range(50))

    assert proxy.round_trips - round_trips == 1
    assert redis_client.info("commandstats")["cmdstat_mget"]["calls"] - mgets == 1


async def test_the_same_query_twice(client: Any, loads: Any) -> None:
    """It is asked once, and each place has rows of its own."""
    asked = loads(client)

    for _ in ("miss", "hit"):
        answers = await client.query_many_with_cache(queries(1, 2, 1))
        assert answers == rows(1, 2, 1)
        answers[0][0]["n"] = "changed"
        assert answers[2] == rows(1)[0]
    assert len(asked) == 2


async def test_an_empty_list(
    make_client: Callable[..., Any], proxy_to: Callable[..., Proxy], redis_url: str
) -> None:
    """Nothing asked, nothing sent."""
    proxy = proxy_to(redis_url)

    assert await make_client(redis=proxy.url).query_many_with_cache([]) == []
    assert proxy.connections == 0


async def test_params_and_names_may_be_left_out(client: Any) -> None:
    """A tuple of one, two or three; a list will do."""
    wanted = [("SELECT 1 AS n",), (QUERY, [2]), [QUERY, [3], ["N"]], ("SELECT 4 AS n", None)]

    assert await client.query_many_with_cache(wanted) == rows(1, 2, 3, 4)


async def test_more_misses_than_leases_at_once(client: Any, redis_client: redis.Redis, loads: Any) -> None:
    """Forty misses, in chunks: each loaded once, all filled, no lease left."""
    asked = loads(client)

    assert await client.query_many_with_cache(queries(*range(40))) == rows(*range(40))

    assert len(asked) == 40
    assert len(redis_client.keys("N=*")) == 40
    assert redis_client.keys("*:lease") == []


async def test_without_redis(make_client: Callable[..., Any], loads: Any) -> None:
    """With no cache configured each distinct query is asked."""
    client = make_client(redis=None)
    asked = loads(client)

    assert await client.query_many_with_cache(queries(1, 2, 1)) == rows(1, 2, 1)
    assert len(asked) == 2


@pytest.mark.parametrize("place", [0, 10, 20], ids=["first", "middle", "late"])
async def test_a_failing_query_raises_and_leaves_no_lease(
    client: Any, redis_client: redis.Redis, place: int
) -> None:
    """The server's error comes through; what was loaded before stays cached; the others are free at once."""
    wanted = queries(*range(25))
    wanted[place] = ("SELECT * FROM no_such_table WHERE id = ?", [place], ["N"])

    with pytest.raises(pymysql.ProgrammingError, match="no_such_table"):
        await client.query_many_with_cache(wanted)

    await_free(redis_client)
    assert len(redis_client.keys("N=*")) == place
    good = [each for each in wanted if each[0] == QUERY]
    assert len(await client.query_many_with_cache(good)) == 24
    assert len(client._core.flights) == 0


def await_free(redis_client: redis.Redis) -> None:
    """Wait until the leases are given back, which happens behind the caller."""
    done = threading.Event()
    for _ in range(500):
        if not redis_client.keys("*:lease"):
            return
        done.wait(0.01)
    raise AssertionError("leases are left")


async def test_crossed_lists_do_not_wait_for_each_other(make_client: Callable[..., Any], kind: str) -> None:
    """Two clients, as two processes, want a, b and b, a at once: each loads what it won, none waits long."""
    clients = [make_client(wait_timeout=5) for _ in range(2)]
    both_loading = threading.Barrier(2)
    asked: list[int] = []

    def held(query: Any) -> Any:
        first = [True]

        def run(text: str, params: Any) -> Any:
            asked.append(params[0])
            if first.pop() if first else False:
                both_loading.wait(10)
            return query(text, params)

        return run

    for each in clients:
        each._core.database.query = held(each._core.database.query)
    lists = [list(range(30)), list(range(29, -1, -1))]

    outcomes = await clients[0].together(
        [
            lambda: clients[0].query_many_with_cache(queries(*lists[0])),
            lambda: clients[1].query_many_with_cache(queries(*lists[1])),
        ]
    )

    assert outcomes == [rows(*lists[0]), rows(*lists[1])]
    assert sorted(asked) == list(range(30))


async def test_what_another_caller_loads_is_waited_for_last(client: Any) -> None:
    """While somebody else loads the first of the list, the second is loaded and filled."""
    loading, may_end, second_done = threading.Event(), threading.Event(), threading.Event()
    query = client._core.database.query

    def held(text: str, params: Any) -> Any:
        if params[0] == 1:
            loading.set()
            may_end.wait(10)
        if params[0] == 2:
            second_done.set()
        return query(text, params)

    client._core.database.query = held

    async def single() -> Any:
        return await client.query_with_cache(QUERY, [1], ["N"])

    async def many() -> Any:
        await client.happens(loading)
        return await client.query_many_with_cache(queries(1, 2))

    def watch() -> None:
        if loading.wait(10) and second_done.wait(10):
            may_end.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    outcomes = await client.together([single, many])
    watcher.join()

    assert may_end.is_set()
    assert outcomes == [rows(1)[0], rows(1, 2)]
