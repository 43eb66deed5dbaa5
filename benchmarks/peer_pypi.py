"""Measures PyPI's actvalue.mysql-redis-cache from inside a process of its own.

Run by ``subjects/pypi.py`` with ``python -I`` of an environment that has the peer; imports nothing of ours.
Questions ``{"operation": "hit", "calls": 100}`` come as lines on stdin, answers ``{"seconds": 0.01}`` go to
stdout.
"""

from __future__ import annotations

import asyncio
import gc
import json
import platform
import sys
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mysql_redis_cache import MRCClient, MRCServer

if TYPE_CHECKING:
    from collections.abc import Iterable

ORDERS = json.loads(sys.argv[1])
ANSWERS, sys.stdout = sys.stdout, sys.stderr  # the peer prints


class Peer:
    """The operations, each over *calls* calls; they answer the seconds taken."""

    def __init__(self) -> None:
        self.client = MRCClient(ORDERS["mysql"], ORDERS["redis"])
        self.server = MRCServer(ORDERS["drop_redis"])

    async def hit(self, calls: int) -> float:
        users = [number % ORDERS["cached_users"] + 1 for number in range(calls)]
        return await self._read(ORDERS["few_query"], users, ["UserId"])

    async def miss_few(self, calls: int) -> float:
        return await self._read(ORDERS["few_query"], range(1, calls + 1), ["UserId"])

    async def miss_many(self, calls: int) -> float:
        return await self._read(ORDERS["many_query"], [ORDERS["big_store"]] * calls, ["StoreId"])

    async def key(self, calls: int) -> float:
        users = [number % ORDERS["cached_users"] + 1 for number in range(calls)]
        start = time.perf_counter()
        for user in users:
            self.client.get_key_from_query(ORDERS["few_query"], [user, 3], ["UserId", "StoreId"])
        return time.perf_counter() - start

    async def drop(self, calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            await self.server.drop_outdated_cache(["UserId"], [ORDERS["dropped_user"]])
        return time.perf_counter() - start

    async def _read(self, query: str, params: Iterable[int], names: list[str]) -> float:
        start = time.perf_counter()
        for param in params:
            await self.client.query_with_cache(query, [param], names, ORDERS["ttl"])
        return time.perf_counter() - start


async def main() -> None:
    peer = Peer()
    answer(version=version("actvalue.mysql-redis-cache"), python=platform.python_version())
    gc.freeze()
    for line in sys.stdin:  # blocks the event loop: nothing else is to run in it meanwhile
        question = json.loads(line)
        try:
            answer(seconds=await getattr(peer, question["operation"])(question["calls"]))
        except Exception as error:
            answer(error=f"{type(error).__name__}: {error}")
    await peer.server.close_redis_connection()
    await peer.client.__aexit__(None, None, None)


def answer(**values: Any) -> None:
    print(json.dumps(values), file=ANSWERS, flush=True)


asyncio.run(main())
