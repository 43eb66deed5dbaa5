"""A hit of the near cache beside one of Redis, in one thread, ten, and 64 tasks; the changes it hears of."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
import redis
from measure import Figure, Plan, Timings, interleave
from subjects import for_cached_users
from workload import CACHED_USERS, FEW_QUERY, TTL, Databases

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from measure import Operation
    from workload import Workload

NAMES = ["UserId"]
NEAR, FAR = "near hit", "hit of Redis"
BY_HAND, LEAST = "`orjson.loads(redis.get(key))`", "key and `orjson.loads` alone"
TASKS = 64
THREADS = 10
PLAN, QUICK = Plan(80, 128), Plan(20, 64)
CHANGES = 20_000
CHANGES_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class NearResult:
    """Seconds of a hit, of each subject of each place; and changes heard a second."""

    blocking: Timings
    threads: Timings
    tasks: Timings
    changes: Figure


def measure_near(workload: Workload, *, quick: bool) -> NearResult:
    """Measure both clients' hits, from this process and from Redis, in turns."""
    from mysql_redis_cache import AsyncMRCClient, MRCClient, Near

    way = workload.patient_redis(Databases.COLD)
    with (
        MRCClient(workload.mysql, way, near=Near(ttl=TTL, heartbeat=60)) as near,
        MRCClient(workload.mysql, way) as far,
        redis.Redis(**workload.redis(Databases.COLD)) as client,
        asyncio.Runner() as runner,
        ExitStack() as closing,
    ):
        client.flushdb()
        _keep(near)
        plan = QUICK if quick else PLAN
        blocking = _blocking(near, far, client)
        facades = {NEAR: AsyncMRCClient(near), FAR: AsyncMRCClient(far)}
        for facade in facades.values():
            closing.callback(runner.run, facade.aclose())
        tasks = {name: _in_tasks(runner, facade.query_with_cache) for name, facade in facades.items()}
        threads = {NEAR: _in_threads(near), FAR: _in_threads(far)}
        hits = [interleave(each, plan) for each in (blocking, threads, tasks)]
    return NearResult(*hits, _changes_heard(way, 1 if quick else CHANGES_ROUNDS))


def _keep(near: Any) -> None:
    """Read each entry until the process has it."""
    for user in range(1, CACHED_USERS + 1):
        before = near.stats().near_hits
        while near.stats().near_hits == before:
            near.query_with_cache(FEW_QUERY, [user], NAMES, TTL)


def _blocking(near: Any, far: Any, client: redis.Redis) -> dict[str, Operation]:
    keys = {user: near.get_key_from_query(FEW_QUERY, [user], NAMES) for user in range(1, CACHED_USERS + 1)}
    payloads = {user: client.get(key) for user, key in keys.items()}

    def least(user: int) -> None:
        near.get_key_from_query(FEW_QUERY, [user], NAMES)
        orjson.loads(payloads[user])  # type: ignore[arg-type]

    return {
        NEAR: for_cached_users(lambda user: near.query_with_cache(FEW_QUERY, [user], NAMES, TTL)),
        FAR: for_cached_users(lambda user: far.query_with_cache(FEW_QUERY, [user], NAMES, TTL)),
        BY_HAND: for_cached_users(lambda user: orjson.loads(client.get(keys[user]))),  # type: ignore[arg-type]
        LEAST: for_cached_users(least),
    }


def _in_threads(client: Any) -> Operation:
    """Hits of as many threads at once, each so many; counted as one thread's."""

    def reads(calls: int) -> None:
        for number in range(calls):
            client.query_with_cache(FEW_QUERY, [number % CACHED_USERS + 1], NAMES, TTL)

    def timed(calls: int) -> float:
        threads = [threading.Thread(target=reads, args=[calls]) for _ in range(THREADS)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return (time.perf_counter() - began) / THREADS

    return timed


def _changes_heard(way: dict[str, Any], rounds: int) -> Figure:
    """Return how many entries a second it takes out that change all at once."""
    from mysql_redis_cache import Near
    from mysql_redis_cache.near import NearCache
    from mysql_redis_cache.store import link

    cache, keys = (
        NearCache(link(way), Near(ttl=TTL, heartbeat=60)),
        [b"near:%d" % key for key in range(CHANGES)],
    )
    user = _User()
    cache.users.add(user)
    with redis.Redis(**way) as client:
        rates = []
        for _ in range(rounds):
            client.mset(dict.fromkeys(keys, b"[1]"))
            _fetch(cache, keys)
            heard = cache.figures()["near_invalidations"]
            began = time.perf_counter()
            client.unlink(*keys)
            _await(partial(_has_heard, cache, heard + CHANGES))
            rates.append(CHANGES / (time.perf_counter() - began))
    cache.leave(user)
    return Figure.of(rates)


def _has_heard(cache: Any, number: int) -> bool:
    return bool(cache.figures()["near_invalidations"] >= number)


class _User:
    """Somebody for whom a near cache is there."""


def _fetch(cache: Any, keys: list[bytes]) -> None:
    """Have all of them kept, as many at once as are asked for at once."""

    def kept(some: list[bytes]) -> bool:
        missing = [key for key in some if cache.get(key, time.monotonic()) is None]
        for key in missing:
            cache.want(key, 1)
        return not missing

    for first in range(0, len(keys), 200):
        _await(partial(kept, keys[first : first + 200]))


def _await(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not is_so():
        if time.monotonic() > until:
            raise TimeoutError("the near cache does not get its entries")
        time.sleep(0.0002)


def _in_tasks(runner: asyncio.Runner, read: Callable[..., Coroutine[Any, Any, Any]]) -> Operation:
    async def reads(first: int, count: int) -> None:
        for number in range(count):
            await read(FEW_QUERY, [(first + number) % CACHED_USERS + 1], NAMES, TTL)

    async def timed(calls: int) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(*(reads(task, calls) for task in range(TASKS)))
        return (loop.time() - began) / TASKS

    return lambda calls: runner.run(timed(calls))
