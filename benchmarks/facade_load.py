"""Hits per second of one asynchronous library, from inside a process of its own.

Run by ``facade.py`` with ``python -I`` of the environment that has the library. A question such as
``{"tasks": 64, "seconds": 0.4, "large": false, "holds": false}`` is answered with hits, latencies, errors and
how long the event loop was kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import platform
import sys
import threading
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    # How to read a value by its number, how to write one, and what the library is called.
    Library = tuple[Callable[[int], Any], Callable[[int, Any], Any], str]

ORDERS = json.loads(sys.argv[1])
ANSWERS, sys.stdout = sys.stdout, sys.stderr  # a library that prints must not disturb the answers
sys.path[:0] = ORDERS["paths"]

QUERY = "SELECT id, user_id, store_id, sku, qty, price, state, placed FROM orders WHERE user_id = %s"
NAMES = ["UserId"]
TTL = 3600
SMALL_KEYS = 1000
LARGE_KEYS = 8
WATCH_SECONDS = 0.001
ROW = {
    "id": 1,
    "user_id": 12,
    "store_id": 3,
    "sku": "KX-4821",
    "price": 19.99,
    "placed": "2025-12-23T10:30:00",
}
SMALL = [ROW] * 10  # 1 kB
LARGE = [ROW] * 10_000  # 1 MB


@contextlib.asynccontextmanager
async def raw() -> AsyncIterator[Library]:
    """GET and orjson on redis.asyncio."""
    import orjson
    import redis.asyncio as redis

    client = redis.Redis(**ORDERS["redis"])

    async def read(number: int) -> Any:
        return orjson.loads(await client.get(f"UserId={number}"))

    async def write(number: int, value: Any) -> None:
        await client.set(f"UserId={number}", orjson.dumps(value), ex=TTL)

    yield read, write, f"redis-py {version('redis')}, orjson {version('orjson')}"
    await client.aclose()


@contextlib.asynccontextmanager
async def client_of(make: Any, name: str) -> AsyncIterator[Library]:
    """``query_with_cache`` of an MRCClient, whose interface both packages share."""
    async with make(ORDERS["mysql"], ORDERS["redis"]) as client:

        async def read(number: int) -> Any:
            return await client.query_with_cache(QUERY, [number], NAMES, TTL)

        async def write(number: int, value: Any) -> None:
            await client.write_to_cache(QUERY, value, [number], NAMES, TTL)

        yield read, write, name


def ours() -> AbstractAsyncContextManager[Library]:
    """The facade of this library."""
    from mysql_redis_cache import AsyncMRCClient

    return client_of(AsyncMRCClient, "")


def pypi() -> AbstractAsyncContextManager[Library]:
    """PyPI's package."""
    from mysql_redis_cache import MRCClient

    return client_of(MRCClient, version("actvalue.mysql-redis-cache"))


class Load:
    """Tasks that read as fast as they can until the time is over."""

    def __init__(
        self,
        read: Callable[[int], Any],
        keys: Iterable[int],
        seconds: float,
        discard: Callable[[Any], None],
    ) -> None:
        self.read, self.seconds, self.discard = read, seconds, discard
        self.keys = itertools.cycle(keys)
        self.latencies: list[float] = []
        self.lateness: list[float] = []
        self.errors: list[str] = []

    async def run(self, tasks: int) -> dict[str, Any]:
        """Start that many *tasks* and answer what they saw."""
        await asyncio.gather(*(self.warm() for _ in range(tasks)))
        gc.collect()
        decoding = seconds_to_decode()
        start, start_computing = time.perf_counter(), time.process_time()
        self.deadline = start + self.seconds
        await asyncio.gather(self.watch(), *(self.work() for _ in range(tasks)))
        computing = (time.process_time() - start_computing) / max(1, len(self.latencies))
        return {**self.answer(time.perf_counter() - start), "cpu": computing, "decoding": decoding}

    async def run_watching_holds(self, tasks: int) -> dict[str, Any]:
        """As run; also answers the longest that one callback or one step of a task kept the event loop.

        What it computed is told apart: the rest is waiting for the interpreter's lock or for a processor.
        """
        run_handle, longest, longest_computing = asyncio.Handle._run, 0.0, 0.0

        def timed(handle: asyncio.Handle) -> None:
            nonlocal longest, longest_computing
            start, start_computing = time.perf_counter(), time.thread_time()
            run_handle(handle)
            longest_computing = max(longest_computing, time.thread_time() - start_computing)
            longest = max(longest, time.perf_counter() - start)

        asyncio.Handle._run = timed
        gc.disable()  # it would walk what the callers keep, which is theirs
        try:
            answer = await self.run(tasks)
        finally:
            gc.enable()
            asyncio.Handle._run = run_handle
        return {**answer, "hold": longest, "hold_computing": longest_computing}

    async def warm(self) -> None:
        """One read that is not measured: connections and threads are there afterwards."""
        with contextlib.suppress(Exception):
            await self.read(next(self.keys))

    async def work(self) -> None:
        """One task."""
        while (start := time.perf_counter()) < self.deadline:
            try:
                value = await self.read(next(self.keys))
            except Exception as error:
                self.errors.append(f"{type(error).__name__}: {error}")
                await asyncio.sleep(0.01)
            else:
                self.latencies.append(time.perf_counter() - start)
                self.discard(value)
                del value

    async def watch(self) -> None:
        """Sleep a millisecond at a time; what it takes longer, other code has kept the event loop busy."""
        while (start := time.perf_counter()) < self.deadline:
            await asyncio.sleep(WATCH_SECONDS)
            self.lateness.append(time.perf_counter() - start - WATCH_SECONDS)

    def answer(self, seconds: float) -> dict[str, Any]:
        """The figures, in seconds."""
        return {
            "rate": len(self.latencies) / seconds,
            "p50": share(self.latencies, 0.5),
            "p99": share(self.latencies, 0.99),
            "late_p99": share(self.lateness, 0.99),
            "late_max": share(self.lateness, 1),
            "errors": len(self.errors),
            "first_error": self.errors[0] if self.errors else "",
            "threads": threading.active_count(),
        }


def seconds_to_decode() -> float:
    """What ``orjson.loads`` alone takes for a small value at this moment; 0 where there is no orjson."""
    try:
        import orjson
    except ModuleNotFoundError:
        return 0.0
    payload, times = orjson.dumps(SMALL), 1000
    start = time.thread_time()
    for _ in range(times):
        orjson.loads(payload)
    return (time.thread_time() - start) / times


def share(values: Sequence[float], part: float) -> float:
    """The value that *part* of all *values* do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


async def main() -> None:
    """Fill the cache, greet, and answer questions until there are no more."""
    small, large = range(1, SMALL_KEYS + 1), range(-LARGE_KEYS, 0)
    async with {"raw": raw, "ours": ours, "pypi": pypi}[ORDERS["library"]]() as (read, write, name):
        for number in small:
            await write(number, SMALL)
        for number in large:
            await write(number, LARGE)
        say(version=name, python=platform.python_version())
        gc.freeze()
        kept: list[Any] = []
        for line in sys.stdin:  # blocks the event loop: nothing is to run in it meanwhile
            question = json.loads(line)
            # Freeing ten thousand rows takes milliseconds; that is the caller's doing, not the library's.
            keys, discard = (large, kept.append) if question["large"] else (small, forget)
            load = Load(read, keys, question["seconds"], discard)
            run = load.run_watching_holds if question["holds"] else load.run
            say(**await run(question["tasks"]))
            kept.clear()


def forget(value: Any) -> None:  # a small value is freed where it is
    """Do nothing."""


def say(**values: Any) -> None:
    """Answer."""
    print(json.dumps(values), file=ANSWERS, flush=True)


if ORDERS["loop"] == "uvloop":
    import uvloop

    uvloop.run(main())
else:
    asyncio.run(main())
