"""``explain``: what a call is in the cache, and what is there now."""

from __future__ import annotations

import json
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import Near
from mysql_redis_cache.observe import Holder
from tests.client.drivers import until

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis
    from pymysql.connections import Connection

    from tests.support.proxy import Proxy

pytestmark = pytest.mark.anyio

USER = "SELECT name FROM users WHERE id = ?"


async def test_a_call_that_is_cached(client: Any, users: Connection) -> None:
    """Its key and pairs, how large it is and how long it lasts."""
    await client.query_with_cache(USER, [123], ["UserId"], 100)

    found = await client.explain(USER, [123], ["UserId"])

    assert found.key == client.get_key_from_query(USER, [123], ["UserId"])
    assert found.key.endswith(found.sha1)
    assert found.pairs == (("UserId", "123"),)
    assert (found.folded, found.refusal, found.redis_problem) == ("", "", "")
    assert found.redis.bytes == len('[{"name":"Ada"}]')
    assert 85 < found.redis.left < 115
    assert (found.near, found.lease_left, found.holder) == (None, None, None)
    assert found.drops[0].startswith("drop_outdated_cache(['UserId'], […])")
    assert json.loads(json.dumps(found.as_dict()))["pairs"] == [["UserId", "123"]]


async def test_a_call_that_is_not(client: Any, users: Connection) -> None:
    """Nothing is loaded by asking, and nothing counted."""
    found = await client.explain(USER, [123])

    assert found.redis is None
    assert found.pairs == ()
    assert found.folded == "all params, since some have no name"
    assert found.drops[0].startswith("drop_query")
    assert client.stats().misses == 0


@pytest.mark.parametrize(
    ("params", "names", "tags", "folded"),
    [
        (["null"], ["Word"], None, "all params, since the text of one could be another's too"),
        ([1], ["UserId"], {"Table": "users"}, "the names of the tags"),
        ({"UserId": 1}, ["UserId"], None, ""),
    ],
)
async def test_what_is_in_the_digest(client: Any, params: Any, names: Any, tags: Any, folded: str) -> None:
    """Besides the query, and why."""
    sql = "SELECT name FROM users WHERE id = :UserId" if isinstance(params, dict) else USER

    found = await client.explain(sql, params, names, tags=tags)

    assert found.folded == folded


async def test_why_a_statement_is_not_cached(client: Any) -> None:
    """Said, not raised."""
    found = await client.explain("SELECT LAST_INSERT_ID()")

    assert found.refusal
    assert f"no: {found.refusal}" in str(found)


async def test_a_load_under_way(client: Any, users: Connection) -> None:
    """Its lease is seen, from anywhere."""
    begun, go = threading.Event(), threading.Event()
    seen: list[Any] = []

    def slow() -> int:
        begun.set()
        assert go.wait(10)
        return 7

    async def look() -> None:
        await client.happens(begun)
        seen.append(await client.explain("slow"))
        go.set()

    await client.together([lambda: client.with_cache(slow, "slow"), look])

    assert 0 < seen[0].lease_left <= 10
    assert seen[0].redis is None
    assert seen[0].holder == Holder(socket.gethostname(), os.getpid(), is_this=True)
    assert f"process {os.getpid()} on {socket.gethostname()}, this one, loads it" in str(seen[0])
    assert json.loads(json.dumps(seen[0].as_dict()))["holder"]["pid"] == os.getpid()


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (f"{socket.gethostname()}:{os.getpid()}:00000000:ab", f"process {os.getpid()} on "),
        ("web-1:4711:0123abcd:ab", "process 4711 on web-1 loads it"),
        ("fe80::1:4711:0123abcd:ab", "somebody loads it"),
        ("web-1:x:0123abcd:ab", "somebody loads it"),
        ("0123456789abcdef", "somebody loads it"),
        (b"\xff:1:2:3", "process 1 on \ufffd loads it"),
        ("", "somebody loads it"),
    ],
    ids=["this number", "another host", "an address", "no number", "npm", "no text", "nothing"],
)
async def test_who_loads(client: Any, redis_client: redis.Redis, token: Any, said: str) -> None:
    """Its lease says so; another process with this number, or another version's token, is not this one."""
    redis_client.set(f"{{{client.get_key_from_query('sig')}}}:lease", token, px=5000)

    found = await client.explain("sig")

    assert said in str(found)
    assert ", this one," not in str(found)
    assert 0 < found.lease_left <= 5


async def test_a_lease_of_another_type(client: Any, redis_client: redis.Redis) -> None:
    """It is none."""
    redis_client.lpush(f"{{{client.get_key_from_query('sig')}}}:lease", "x")

    found = await client.explain("sig")

    assert (found.lease_left, found.holder) == (None, None)


async def test_what_is_kept_in_this_process(make_client: Callable[..., Any], users: Connection) -> None:
    """With what it has left there."""
    client = make_client(near=Near(ttl=30))

    async def is_near() -> bool:
        await client.query_with_cache(USER, [123], ["UserId"], 100)
        return (await client.explain(USER, [123], ["UserId"])).near is not None

    for _ in range(200):
        if await is_near():
            break
    room = (await client.explain(USER, [123], ["UserId"])).near
    assert room.bytes == len('[{"name":"Ada"}]')
    assert 0 < room.left <= 30


async def test_without_redis(
    make_client: Callable[..., Any], proxy_to: Callable[..., Proxy], redis_url: str
) -> None:
    """Everything else is told all the same."""
    proxy = proxy_to(redis_url)
    client = make_client(redis=proxy.url)
    proxy.stop()

    found = await client.explain(USER, [123], ["UserId"])
    none = await make_client(redis=None).explain(USER, [123], ["UserId"])

    assert found.redis_problem
    assert none.redis_problem == "there is no Redis"
    assert found.key == none.key


async def test_a_key_of_another_type(client: Any, redis_client: redis.Redis) -> None:
    """It is no entry."""
    redis_client.lpush(client.get_key_from_query("sig"), "x")

    assert (await client.explain("sig")).redis is None


async def test_an_entry_without_an_end(client: Any, redis_client: redis.Redis) -> None:
    """As another program may write one."""
    redis_client.set(client.get_key_from_query("sig"), "[]")

    found = await client.explain("sig")

    assert (found.redis.bytes, found.redis.left) == (2, None)
    assert "without an end" in str(found)


async def test_people_can_read_it(client: Any, users: Connection) -> None:
    """One line for each thing."""
    await client.query_with_cache(USER, [123], ["UserId"], 100)
    await until(lambda: client.stats().fills == 1, "the fill")

    lines = str(await client.explain(USER, [123], ["UserId"])).splitlines()

    assert lines[0] == f"key         {client.get_key_from_query(USER, [123], ['UserId'])}"
    assert "pairs       UserId=123" in lines
    assert "cacheable   yes" in lines
    assert any(line.startswith("in Redis    yes: 16 bytes, ") for line in lines)


@pytest.mark.parametrize(("params", "names"), [("abc", ["A"]), ([1], ["A", "B"]), ([object()], [])])
async def test_what_could_never_be_cached_is_refused(client: Any, params: Any, names: Any) -> None:
    """As reads refuse it."""
    with pytest.raises((TypeError, ValueError)):
        await client.explain(USER, params, names)


async def test_an_entry_past_its_ttl(
    make_client: Callable[..., Any], users: Connection, redis_client: redis.Redis
) -> None:
    """It is there for the windows' sake; who sees 40 seconds left would take it for fresh."""
    client = make_client(stale_while_revalidate=50)
    await client.query_with_cache(USER, [123], ["UserId"], 100)
    fresh = await client.explain(USER, [123], ["UserId"])
    redis_client.expire(fresh.key, 40)
    stale = await client.explain(USER, [123], ["UserId"])

    assert (fresh.redis.is_stale, stale.redis.is_stale) == (False, True)
    assert "past its ttl" in str(stale)
    assert "past its ttl" not in str(fresh)
