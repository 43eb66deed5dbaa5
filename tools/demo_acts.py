"""What a cache is judged by on a bad day: the further acts of the demo."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from mysql_redis_cache import AsyncMRCClient, MRCClient
from tools.private_servers import PrivateRedis

if TYPE_CHECKING:
    import redis

    from mysql_redis_cache import MRCServer

__all__ = ["show_async", "show_crowd", "show_outage", "show_race"]

CALLERS = 100
TASKS = 500
STATUS = "SELECT status FROM orders WHERE id = ?"
UPDATE = "UPDATE orders SET status = ? WHERE id = ?"
RACED, SLOW = 4242, 0.3


def show_race(client: MRCClient, server: MRCServer, inside: redis.Redis) -> None:
    """A write between a load and its SET: what most caches keep, and what this one does."""
    _title("the race: somebody loads, somebody else writes and drops, and only then is the load stored")
    print(f"  get → SELECT → SET, as in most caches     {_naively(client, inside)}")
    print(f"  the same with this library                {_by_lease(client, server)}")


def _naively(client: MRCClient, inside: redis.Redis) -> str:
    """Play it with GET and SET; return what a reader gets after the drop."""
    key = f"naive:{uuid.uuid4().hex}"
    client.execute(UPDATE, ["new", RACED])
    inside.get(key)  # nothing
    loaded = client.query(STATUS, [RACED])[0]["status"]
    client.execute(UPDATE, ["paid", RACED])
    inside.delete(key)  # the drop, to which the load is not known
    inside.set(key, loaded, ex=60)
    got = bytes(inside.get(key) or b"").decode()  # type: ignore[arg-type]
    inside.delete(key)
    return f"{got!r}: stale, for the whole ttl (MySQL has 'paid')"


def _by_lease(client: MRCClient, server: MRCServer) -> str:
    """Play it with a load that writes and drops in its midst."""

    def load() -> str:
        status = str(client.query(STATUS, [RACED])[0]["status"])
        client.execute(UPDATE, ["paid", RACED])
        server.drop_outdated_cache(["OrderId"], [RACED])
        return status

    def read(load: Any) -> str:
        return str(client.with_cache(load, "order_status", [RACED], ["OrderId"], 60))

    client.execute(UPDATE, ["new", RACED])
    read(load)
    got = read(lambda: client.query(STATUS, [RACED])[0]["status"])
    if got != "paid":
        raise SystemExit("the demo read a stale row; this must never happen")
    return f"{got!r}: the drop revoked the lease, so the late load was not stored"


def show_crowd(client: MRCClient) -> None:
    """A hundred callers of one cold key."""
    _title(f"{CALLERS} callers at once of a query of {SLOW:g} s that is not cached")
    together = threading.Barrier(CALLERS)
    query, before = f"SELECT SLEEP({SLOW}) AS slept", client.stats()

    def read(_: int) -> object:
        together.wait(10)
        return client.query_with_cache(query, ttl=60)

    begun = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as threads:
        answers = list(threads.map(read, range(CALLERS)))
    seconds, since = time.perf_counter() - begun, client.stats() - before
    print(f"  {len(answers)} answers in {seconds:.2f} s, by {since.loads} query to MySQL")


def show_outage(mysql_url: str) -> None:
    """Redis is killed while somebody reads."""
    _title("Redis is killed (a server of this act's own)")
    with PrivateRedis() as server, MRCClient(mysql_url, server.url) as client:
        print(f"  before        {_read(client)}")
        server.kill()
        print(f"  killed        {_read(client)}")
        print(f"  still away    {_read(client)}")
        server.start()
        until = time.monotonic() + 10
        while client.stats().hits < 2 and time.monotonic() < until:
            client.query_with_cache(STATUS, [RACED], ["OrderId"], 60)
            time.sleep(0.02)
        print(f"  back          {_read(client)}")


def _read(client: MRCClient) -> str:
    """Read twice; say what came of the second time."""
    client.query_with_cache(STATUS, [RACED], ["OrderId"], 60)
    with client.trace() as trace:
        client.query_with_cache(STATUS, [RACED], ["OrderId"], 60)
    read = trace.reads[0]
    why = f" ({read.reason})" if read.reason else ""
    return f"rows, in {1000 * read.seconds:.1f} ms: {read.outcome}{why}"


def show_async(client: MRCClient) -> None:
    """The asynchronous face of the same client."""
    _title(f"{TASKS} tasks of one event loop")

    async def read_all() -> float:
        facade = AsyncMRCClient(client)
        await facade.query_with_cache(STATUS, [1], ["OrderId"], 60)
        begun = time.perf_counter()
        await asyncio.gather(
            *[facade.query_with_cache(STATUS, [1 + n % 20], ["OrderId"], 60) for n in range(TASKS)]
        )
        return time.perf_counter() - begun

    cold, warm = asyncio.run(read_all()), asyncio.run(read_all())
    print(f"  20 of {TASKS} not cached: {1000 * cold:.0f} ms; all of them cached: {1000 * warm:.0f} ms")


def _title(text: str) -> None:
    print(f"\n  {text}\n  {'-' * 90}")
