"""Reads: the same answer on hit and miss, what may be cached, for how long, and what heals."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis
    from pymysql.connections import Connection

    from tests.support.proxy import Proxy
    from tools.private_servers import PrivateRedis

pytestmark = pytest.mark.anyio

QUERY = "SELECT * FROM users WHERE id = ?"
MISSING = object()


@dataclass
class Point:
    """A dataclass to be cached."""

    x: int
    y: Decimal


@pytest.mark.real
async def test_a_hit_is_what_the_miss_was(client: Any, users: Connection, loads: Any) -> None:
    """Rows of numbers, text, dates, binary and nothing: equal, and of equal types, MySQL asked once."""
    asked = loads(client)
    query = (
        "SELECT 1 AS i, -2.50 AS d, 1e0 AS f, CAST('2025-12-23' AS DATE) AS day, TIME('10:30:00') AS t,"
        " TIMESTAMP('2025-12-23 10:30:00') AS at, X'00FF' AS b, NULL AS n, '' AS e, '00123' AS s, ? AS p"
    )

    missed = await client.query_with_cache(query, ["a'b\\c"], ["Param"])
    hit = await client.query_with_cache(query, ["a'b\\c"], ["Param"])

    assert repr(hit) == repr(missed)
    assert missed == [
        {
            "i": 1,
            "d": -2.5,
            "f": 1.0,
            "day": "2025-12-23",
            "t": "10:30:00",
            "at": "2025-12-23T10:30:00",
            "b": b"\x00\xff",
            "n": None,
            "e": "",
            "s": "00123",
            "p": "a'b\\c",
        }
    ]
    assert asked == [query]


async def test_no_rows_are_cached_too(client: Any, users: Connection, loads: Any) -> None:
    """An empty result is an answer."""
    asked = loads(client)

    assert [await client.query_with_cache(QUERY, [-1], ["UserId"]) for _ in range(2)] == [[], []]
    assert len(asked) == 1


async def test_a_hit_costs_one_round_trip(
    make_client: Callable[..., Any], proxy_to: Callable[..., Proxy], redis_url: str, users: Connection
) -> None:
    """GET and nothing else; a miss adds two."""
    proxy = proxy_to(redis_url)
    client = make_client(redis=proxy.url)
    await client.query_with_cache(QUERY, [123], ["UserId"])
    before = proxy.round_trips
    await client.query_with_cache(QUERY, [123], ["UserId"])
    hit = proxy.round_trips
    await client.query_with_cache(QUERY, [124], ["UserId"])

    assert (hit - before, proxy.round_trips - hit) == (1, 3)


async def test_what_lies_in_redis_is_plain_json(
    client: Any, users: Connection, redis_client: redis.Redis
) -> None:
    """One string under the key that the peers make, and nothing is left of the lease."""
    await client.query_with_cache(QUERY, [123], ["UserId"])

    key = client.get_key_from_query(QUERY, [123], ["UserId"])
    assert key.startswith("UserId=123_")
    assert redis_client.get(key) == b'[{"id":123,"name":"Ada","store_id":6}]'
    assert redis_client.keys("*UserId*") == [key.encode()]


@pytest.mark.parametrize("value", [None, [], 0, "", False, {}, b""], ids=repr)
async def test_values_that_are_false_are_cached(client: Any, value: object) -> None:
    """Nothing about a value says that it is no value."""
    calls: list[int] = []

    def load() -> object:
        calls.append(1)
        return value

    answers = [await client.with_cache(load, "v1") for _ in range(2)]

    assert [repr(answer) for answer in answers] == [repr(value)] * 2
    assert len(calls) == 1
    assert await client.read_from_cache("v1", default=MISSING) == value


async def test_default_tells_a_cached_none_from_a_miss(client: Any) -> None:
    """``read_from_cache`` returns its default on a miss only."""
    assert await client.read_from_cache("v1", default=MISSING) is MISSING
    assert await client.read_from_cache("v1") is None

    await client.write_to_cache("v1", None)

    assert await client.read_from_cache("v1", default=MISSING) is None


VALUES = {
    "tuple": ((1, (2, 3)), [1, [2, 3]]),
    "Decimal": (Decimal("1.10"), 1.1),
    "date": (date(2025, 12, 23), "2025-12-23"),
    "datetime": (datetime(2025, 12, 23, 10, 30), "2025-12-23T10:30:00"),
    "time": (time(10, 30), "10:30:00"),
    "UUID": (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    "bytes": ({"a": b"\xff"}, {"a": b"\xff"}),
    "dataclass": (Point(1, Decimal("2.5")), {"x": 1, "y": 2.5}),
    "NaN": ([float("nan"), float("inf")], [None, None]),
    "int64": (2**63 - 1, 2**63 - 1),
}


@pytest.mark.parametrize(("value", "read"), VALUES.values(), ids=VALUES)
async def test_a_function_s_value_is_the_same_on_miss_and_hit(client: Any, value: Any, read: Any) -> None:
    """The miss too returns the value as JSON gives it back."""
    answers = [await client.with_cache(lambda: value, "v1") for _ in range(2)]

    assert [repr(answer) for answer in answers] == [repr(read)] * 2


async def test_a_function_s_value_is_not_shared_with_the_function(client: Any) -> None:
    """What the miss returns is the caller's own: changing it does not change the function's object."""
    own = {"a": [1]}

    answer = await client.with_cache(lambda: own, "v1")
    answer["a"].append(2)

    assert own == {"a": [1]}
    assert await client.with_cache(lambda: own, "v1") == {"a": [1]}


async def test_an_unencodable_value_names_its_path(client: Any, redis_client: redis.Redis) -> None:
    """TypeError with type and path; nothing is cached or stays leased."""
    for _ in range(2):
        with pytest.raises(TypeError, match=r"\$\.users\[1\]\.tags is of type set"):
            await client.with_cache(lambda: {"users": [{}, {"tags": {"secret-tag"}}]}, "v1")

    assert redis_client.keys() == []


async def test_what_a_function_raises_passes_through(client: Any, redis_client: redis.Redis) -> None:
    """The very error, and the key is free at once."""
    failure = LookupError("no such city")

    def fail() -> None:
        raise failure

    with pytest.raises(LookupError) as caught:
        await client.with_cache(fail, "v1")

    assert caught.value is failure
    assert redis_client.keys() == []
    assert await client.with_cache(lambda: 1, "v1") == 1


@pytest.mark.parametrize("ttl", [100, 100.0, timedelta(seconds=100)], ids=repr)
async def test_ttl_is_seconds_give_or_take_a_tenth(
    client: Any, redis_client: redis.Redis, ttl: Any, users: Connection
) -> None:
    """Whatever form it has, and whichever call caches."""
    await client.query_with_cache(QUERY, [123], ["UserId"], ttl)
    await client.with_cache(lambda: 1, "v1", ttl=ttl)
    await client.write_to_cache("v2", 1, ttl=ttl)
    await client.query_many_with_cache([(QUERY, [124])], ttl)

    keys = [
        client.get_key_from_query(QUERY, [123], ["UserId"]),
        client.get_key_from_query("v1"),
        client.get_key_from_query("v2"),
        client.get_key_from_query(QUERY, [124]),
    ]
    left = [redis_client.pttl(key) for key in keys]
    assert all(89_000 <= milliseconds <= 110_000 for milliseconds in left)


async def test_ttls_are_spread(client: Any, redis_client: redis.Redis) -> None:
    """Entries that are written together do not end together."""
    for number in range(20):
        await client.write_to_cache("v1", 1, [number], ttl=1000)

    left = [redis_client.ttl(key) for key in redis_client.keys("*") if key[:4] != b"mrc:"]
    assert len(left) == 20
    assert len(set(left)) > 5


@pytest.mark.parametrize("ttl", [0.01, 1, timedelta(milliseconds=1)], ids=repr)
async def test_a_short_ttl_is_a_second(client: Any, redis_client: redis.Redis, ttl: Any) -> None:
    """Whole seconds, and never none."""
    await client.write_to_cache("v1", 1, ttl=ttl)

    assert 0 < redis_client.pttl(client.get_key_from_query("v1")) <= 1000


async def test_the_default_ttl_is_a_day(client: Any, redis_client: redis.Redis) -> None:
    """As with the peers: 86,400 seconds."""
    await client.with_cache(lambda: 1, "v1")

    assert 0.89 * 86_400 <= redis_client.ttl(client.get_key_from_query("v1")) <= 1.1 * 86_400


CORRUPT = {
    "no JSON": b"oops",
    "cut off": b'[{"id":1',
    "bad UTF-8": b'"\xff\xfe"',
    "NaN": b"[NaN]",
    "empty": b"",
    "pickle": b"\x80\x04K\x01.",
}


@pytest.mark.parametrize("payload", CORRUPT.values(), ids=CORRUPT)
async def test_a_corrupt_entry_is_a_miss_and_healed(
    client: Any, redis_client: redis.Redis, payload: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Loaded anew, overwritten, counted once, logged once without anybody's values."""
    key = client.get_key_from_query("v1", ["hunter2"], ["Password"])
    redis_client.set(key, payload)

    with caplog.at_level(logging.WARNING, logger="mysql_redis_cache"):
        answers = [await client.with_cache(lambda: [1], "v1", ["hunter2"], ["Password"]) for _ in range(2)]

    assert answers == [[1], [1]]
    assert redis_client.get(key) == b"[1]"
    assert client.stats()["corrupt_entries"] == 1
    assert len(caplog.records) == 1
    assert key[-40:] in caplog.text
    assert "hunter2" not in caplog.text


LOOKALIKES = "SELECT 'Buffer' AS type, ST_GeomFromText('GEOMETRYCOLLECTION EMPTY') AS data"


@pytest.mark.real
async def test_a_row_that_looks_like_bytes_is_a_row(
    client: Any, redis_client: redis.Redis, users: Connection
) -> None:
    """Loaded, hit, and written by npm, which leaves the columns in the order of the query."""
    rows = [{"type": "Buffer", "data": []}]
    key = client.get_key_from_query(LOOKALIKES)

    assert await client.query_with_cache(LOOKALIKES) == await client.query_with_cache(LOOKALIKES) == rows
    redis_client.set(key, b'[{"type":"Buffer","data":[]}]')
    assert await client.query_with_cache(LOOKALIKES) == rows
    assert await client.query_many_with_cache([(LOOKALIKES,)]) == [rows]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ({"type": "Buffer", "data": [1]}, b"\1"),
        ([{"type": "Buffer", "data": [1]}, [b"\2"]], [b"\1", [b"\2"]]),
        ({"data": [1], "type": "Buffer"}, {"data": [1], "type": "Buffer"}),
        ({"type": "Buffer", "data": {"type": "Buffer", "data": (1,)}}, {"type": "Buffer", "data": b"\1"}),
        ([{"type": "Buffer", "data": b"\1"}], [{"type": "Buffer", "data": b"\1"}]),
        ({"type": "Buffer", "data": [1, True]}, {"type": "Buffer", "data": [1, True]}),
    ],
)
async def test_a_function_s_value_that_looks_like_bytes(client: Any, value: Any, read: Any) -> None:
    """Is bytes, on the miss as on the hit, and whoever wrote it."""
    assert await client.with_cache(lambda: value, "v1") == read
    assert await client.with_cache(lambda: None, "v1") == read
    await client.write_to_cache("v2", value)
    assert await client.read_from_cache("v2") == read


@pytest.mark.parametrize("calls", [1, 2, 9])
async def test_a_redis_that_does_not_answer_is_told_at_the_first_read(
    make_client: Callable[..., Any], proxy_to: Callable[..., Proxy], redis_url: str, calls: int, caplog: Any
) -> None:
    """Once, with the reason: a nightly job with one read would run uncached for ever, and nobody knew."""
    proxy = proxy_to(redis_url)
    client = make_client(redis=proxy.url)
    proxy.stop()

    with caplog.at_level(logging.WARNING, logger="mysql_redis_cache"):
        for number in range(calls):
            assert await client.query_with_cache("SELECT ? AS n", [number]) == [{"n": number}]

    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("Redis is failing; reads go to MySQL until it is back: ")
    assert str(proxy.port) in line


async def test_a_redis_that_takes_no_writes_is_told_at_the_first_miss(
    make_client: Callable[..., Any], private_redis: Callable[..., PrivateRedis], caplog: Any
) -> None:
    """As one that is silent."""
    server = private_redis("--maxmemory", "1", "--maxmemory-policy", "noeviction")
    client = make_client(redis=server.url)

    with caplog.at_level(logging.WARNING, logger="mysql_redis_cache"):
        assert await client.query_with_cache("SELECT 1 AS n") == [{"n": 1}]

    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("Redis takes no writes; what it has is served, and nothing is cached: ")


async def test_a_corrupt_entry_is_no_entry_to_read_from_cache(client: Any, redis_client: redis.Redis) -> None:
    """``read_from_cache`` gives its default."""
    redis_client.set(client.get_key_from_query("v1"), b"oops")

    assert await client.read_from_cache("v1", default=MISSING) is MISSING


async def test_a_corrupt_entry_among_many(client: Any, redis_client: redis.Redis, users: Connection) -> None:
    """``query_many_with_cache`` heals the one and returns the others."""
    queries = [(QUERY, [user], ["UserId"]) for user in (123, 124, 125)]
    first = await client.query_many_with_cache(queries)
    key = client.get_key_from_query(*queries[1])
    redis_client.set(key, b"oops")

    assert await client.query_many_with_cache(queries) == first
    assert json.loads(redis_client.get(key)) == first[1]
    assert client.stats()["corrupt_entries"] == 1


@pytest.mark.parametrize("windows", [{}, {"stale_if_error": 60}], ids=["plain", "aged"])
async def test_another_type_under_the_key_is_a_miss_and_healed(
    client: Any, redis_client: redis.Redis, windows: dict[str, Any]
) -> None:
    """A list, set or hash of somebody else's under the key gives way to the entry."""
    key = client.get_key_from_query("v1")
    for fill in (redis_client.rpush, redis_client.sadd):
        redis_client.delete(key)
        fill(key, b"x")

        assert [await client.with_cache(lambda: 1, "v1", **windows) for _ in range(2)] == [1, 1]
        assert redis_client.get(key) == b"1"


async def test_an_entry_of_a_peer_is_served(client: Any, redis_client: redis.Redis) -> None:
    """Any JSON under the key is an entry, with or without end."""
    redis_client.set(
        client.get_key_from_query("v1", [7], ["Id"]), b'{"by":"npm","b":{"type":"Buffer","data":[1]}}'
    )

    answer = await client.with_cache(lambda: pytest.fail("loaded"), "v1", [7], ["Id"])

    assert answer == {"by": "npm", "b": b"\x01"}


async def test_a_read_keeps_the_params_it_was_called_with(client: Any, users: Connection) -> None:
    """A caller who changes the list while its query runs changes neither key nor query."""
    ids = [123, 124]
    query = "SELECT name FROM users WHERE id IN (?) ORDER BY id"
    run = client._core.database.query

    def change_first(text: str, params: Any = None) -> Any:
        ids.append(125)
        return run(text, params)

    client._core.database.query = change_first
    try:
        rows = await client.query_with_cache(query, [ids], ["Ids"])
    finally:
        client._core.database.query = run

    assert rows == [{"name": "Ada"}, {"name": "Bob"}]
    assert await client.read_from_cache(query, [[123, 124]], ["Ids"]) == rows


async def test_number_and_digits_share_an_entry_other_values_none(client: Any) -> None:
    """1 and '1' are one key; 1 and True, None and 'null', unnamed params are told apart."""
    calls = []

    async def read(params: list[Any], names: list[str]) -> Any:
        def load() -> str:
            calls.append(1)
            return repr(params)

        return await client.with_cache(load, "v1", params, names)

    assert await read([1], ["a"]) == await read(["1"], ["a"]) == "[1]"
    assert await read([None], ["a"]) != await read(["null"], ["a"])
    assert await read([1], []) != await read([2], [])
    assert len(calls) == 5
