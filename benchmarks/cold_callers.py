"""Many callers on one cold key, in one of several processes.

Run by ``cold.py`` with ``python -I`` of the environment that has the library. A question such as
``{"key": "k1", "at": 1767225600.5}`` starts all callers at that moment of the wall clock, which the processes
share, and is answered with the seconds until the last of them had its value.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ORDERS = json.loads(sys.argv[1])
ANSWERS, sys.stdout = sys.stdout, sys.stderr  # a library that prints must not disturb the answers
sys.path[:0] = ORDERS["paths"]

CALLERS, LOAD_SECONDS = ORDERS["callers"], ORDERS["load_seconds"]
NAMES = ["Key"]
TTL = 3600


def threads(make_call: Callable[[Callable[[str], str]], Callable[[str], Any]]) -> None:
    """Blocking callers, a thread each."""
    import redis

    counters = redis.Redis(**ORDERS["redis"])

    def load(key: str) -> str:
        counters.incr(f"loads:{key}")
        time.sleep(LOAD_SECONDS)
        return key

    call = make_call(load)

    def caller(question: dict[str, Any]) -> None:
        time.sleep(max(0.0, question["at"] - time.time()))
        assert call(question["key"]) == question["key"]

    with ThreadPoolExecutor(CALLERS) as pool:
        say(callers=CALLERS)
        for line in sys.stdin:
            question = json.loads(line)
            list(pool.map(caller, [question] * CALLERS))
            say(seconds=time.time() - question["at"])


async def tasks(client: Any) -> None:
    """Asynchronous callers, a task each."""
    import redis.asyncio

    counters = redis.asyncio.Redis(**ORDERS["redis"])

    async def load(key: str) -> str:
        await counters.incr(f"loads:{key}")
        await asyncio.sleep(LOAD_SECONDS)
        return key

    async def caller(question: dict[str, Any]) -> None:
        key = question["key"]
        await asyncio.sleep(max(0.0, question["at"] - time.time()))
        assert await client.with_cache(lambda: load(key), "cold", [key], NAMES, TTL) == key

    say(callers=CALLERS)
    for line in sys.stdin:  # blocks the event loop: nothing is to run in it meanwhile
        question = json.loads(line)
        await asyncio.gather(*(caller(question) for _ in range(CALLERS)))
        say(seconds=time.time() - question["at"])


def ours() -> None:
    """This library's blocking client."""
    from mysql_redis_cache import MRCClient

    client = MRCClient(ORDERS["mysql"], ORDERS["redis"])
    threads(lambda load: lambda key: client.with_cache(lambda: load(key), "cold", [key], NAMES, TTL))


def ours_async() -> None:
    """This library's facade."""
    from mysql_redis_cache import AsyncMRCClient

    asyncio.run(tasks(AsyncMRCClient(ORDERS["mysql"], ORDERS["redis"])))


def pypi() -> None:
    """PyPI's package."""
    from mysql_redis_cache import MRCClient

    asyncio.run(tasks(MRCClient(ORDERS["mysql"], ORDERS["redis"])))


def dogpile() -> None:
    """dogpile.cache with its distributed lock."""
    from dogpile.cache import make_region

    lock = {"distributed_lock": True, "thread_local_lock": False}
    region = make_region().configure("dogpile.cache.redis", arguments={**ORDERS["redis"], **lock})
    threads(lambda load: lambda key: region.get_or_create(key, lambda: load(key), expiration_time=TTL))


def say(**values: Any) -> None:
    """Answer."""
    print(json.dumps(values), file=ANSWERS, flush=True)


{"ours": ours, "ours_async": ours_async, "pypi": pypi, "dogpile": dogpile}[ORDERS["library"]]()
