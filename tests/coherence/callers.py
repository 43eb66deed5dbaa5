"""What other processes do in ``test_flights.py``."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import redis

from mysql_redis_cache import MRCClient
from mysql_redis_cache.readthrough.background import Keeper

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue
    from multiprocessing.synchronize import Barrier, Event

__all__ = ["NAMES", "SIGNATURE", "call_together", "load_for_ever", "set_lease"]

SIGNATURE, NAMES = "callers", ["Id"]


def set_lease(client: MRCClient, seconds: float) -> None:
    """Have the leases of *client* last so long, instead of ten seconds."""
    core: Any = client._core
    core.cache.entries._lease_ms = round(seconds * 1000)
    core.cache._keeper = Keeper(seconds)


def call_together(
    mysql_url: str, redis_url: str, barrier: Barrier, answers: SimpleQueue[Any], callers: int, seconds: float
) -> None:
    """Have so many threads ask for one cold key when all processes are ready.

    Puts when they began, when the last was answered (wall clock, which the processes share), and the answers.
    """
    with MRCClient(mysql_url, redis_url) as client, redis.Redis.from_url(redis_url) as counter:

        def load() -> str:
            counter.incr("loads")
            time.sleep(seconds)
            return "loaded"

        everybody = threading.Barrier(callers + 1)

        def call(_: int) -> Any:
            everybody.wait(60)
            return client.with_cache(load, SIGNATURE, [1], NAMES)

        with ThreadPoolExecutor(callers) as threads:
            calls = [threads.submit(call, number) for number in range(callers)]
            client.read_from_cache(SIGNATURE, [0], NAMES)  # imports and connects
            barrier.wait(60)
            began = time.time()
            everybody.wait(60)
            given = [each.result() for each in calls]
        answers.put((began, time.time(), given))


def load_for_ever(mysql_url: str, redis_url: str, lease_seconds: float, began: Event) -> None:
    """Load under a lease and never come to an end."""
    client = MRCClient(mysql_url, redis_url)
    set_lease(client, lease_seconds)

    def load() -> None:
        began.set()
        time.sleep(600)

    client.with_cache(load, SIGNATURE, [1], NAMES)
