"""What a hit of the near cache costs beside a hit of Redis, in blocking code and at 64 tasks."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import orjson
import redis
from measure import Plan, Timings, interleave
from report import duration, table, times
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
PLAN, QUICK = Plan(80, 128), Plan(20, 64)


def near_text(workload: Workload, *, quick: bool) -> str:
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
        blocking = interleave(_blocking(near, far, client), plan)
        facades = {NEAR: AsyncMRCClient(near), FAR: AsyncMRCClient(far)}
        for facade in facades.values():
            closing.callback(runner.run, facade.aclose())
        tasks = {name: _in_tasks(runner, facade.query_with_cache) for name, facade in facades.items()}
        return _report(blocking, interleave(tasks, plan))


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


def _report(blocking: Timings, tasks: Timings) -> str:
    rows = [[name, duration(blocking.seconds(name).median), ""] for name in (NEAR, FAR, BY_HAND, LEAST)]
    for row in rows[1:]:
        row[2] = times(blocking.ratio(row[0], NEAR))
    rows += [
        [f"{name}, facade, {TASKS} tasks", duration(tasks.seconds(name).median), ""] for name in (NEAR, FAR)
    ]
    rows[-1][2] = times(tasks.ratio(FAR, NEAR))
    return table(["", "a hit, 10 rows", "as long as a near hit"], rows)
