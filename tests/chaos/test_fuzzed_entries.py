"""Whatever lies in Redis under an entry's name, a reader gets rows."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import anyio

from mysql_redis_cache import AsyncMRCClient, MRCClient
from tests.support.urls import patient

if TYPE_CHECKING:
    import pytest
    import redis

PAYLOADS = int(os.environ.get("MRC_CHAOS_PAYLOADS", "10000"))
# Each of these is loaded and filled anew, so there are fewer; MRC_CHAOS_PAYLOADS counts for them, too.
LOADED = int(os.environ.get("MRC_CHAOS_PAYLOADS", "1000"))
AT_ONCE = 500
QUERY = "SELECT 1 AS id, 'ann' AS name"
ROWS = (
    b'[{"id":1,"name":"ann","pad":{"type":"Buffer","data":[1,2,255]},"more":[null,true,1.5e300,"\\u00e9"]}]'
)


def mutated(dice: random.Random) -> bytes:
    """Rows with bytes changed, left out, doubled or moved."""
    data = bytearray(ROWS)
    for _ in range(dice.randint(1, 6)):
        start, end = sorted(dice.randrange(len(data) + 1) for _ in range(2))
        change = dice.randrange(4)
        if change == 0 and data:
            data[dice.randrange(len(data))] = dice.randrange(256)
        elif change == 1:
            del data[start:end]
        elif change == 2:
            data[start:start] = data[start:end]
        else:
            data[start:start] = dice.choice(
                [b"[" * 3000, b"1e9999", b"NaN", b"\xff\xfe", b"-", b"{}", b'"', b"9" * 500]
            )
    return bytes(data)


def test_no_payload_raises(
    mysql_url: str, redis_url: str, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """Mutated entries are read as the JSON they are, or loaded anew and overwritten."""
    dice = random.Random(8)
    caplog.set_level("CRITICAL", "mysql_redis_cache")
    with MRCClient(mysql_url, redis_url) as client:
        key = client.get_key_from_query(QUERY)
        for _ in range(LOADED):
            redis_client.set(key, mutated(dice))
            client.query_with_cache(QUERY)
        stats = client.stats()
    print(f"{LOADED} payloads: {stats}")
    assert stats["hits"] + stats["corrupt_entries"] >= LOADED
    assert stats["fills"] == stats["corrupt_entries"] > LOADED / 2


def test_no_payload_raises_whoever_reads_it(
    mysql_url: str, redis_url: str, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """The blocking client, many at once, and the facade find the same in each, or nothing."""
    dice = random.Random(9)
    caplog.set_level("CRITICAL", "mysql_redis_cache")
    with MRCClient(mysql_url, patient(redis_url)) as client:
        facade = AsyncMRCClient(client)
        keys = [client.get_key_from_query(QUERY, [number], ["Id"]) for number in range(AT_ONCE)]
        for begun in range(0, PAYLOADS, AT_ONCE):
            size = min(AT_ONCE, PAYLOADS - begun)
            redis_client.mset({key: mutated(dice) for key in keys[:size]})
            found = [client.read_from_cache(QUERY, [number], ["Id"], "none") for number in range(size)]

            assert anyio.run(read_all, facade, size) == found


async def read_all(facade: AsyncMRCClient, size: int) -> list[Any]:
    """Read that many entries at once."""
    found: list[Any] = [None] * size

    async def read(number: int) -> None:
        found[number] = await facade.read_from_cache(QUERY, [number], ["Id"], "none")

    async with anyio.create_task_group() as tasks:
        for number in range(size):
            tasks.start_soon(read, number)
    return found


def test_many_mutated_entries_at_once(
    mysql_url: str, redis_url: str, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """``query_many_with_cache`` takes those that are JSON, and loads the others and overwrites them."""
    dice, query = random.Random(10), "SELECT ? AS id"
    caplog.set_level("CRITICAL", "mysql_redis_cache")
    with MRCClient(mysql_url, patient(redis_url)) as client:
        queries = [(query, [number], ["Id"]) for number in range(200)]
        keys = [client.get_key_from_query(*each) for each in queries]
        redis_client.mset({key: mutated(dice) for key in keys})
        first = client.query_many_with_cache(queries)
        stats = client.stats()

        assert stats["corrupt_entries"] == stats["fills"] == 200 - stats["hits"]
        assert client.query_many_with_cache(queries) == first
        assert client.stats()["corrupt_entries"] == stats["corrupt_entries"]
