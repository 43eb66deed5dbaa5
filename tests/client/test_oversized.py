"""Results too large to cache: shared by those who wait for them, kept by nobody."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from mysql_redis_cache import MRCClient

if TYPE_CHECKING:
    import redis

CALLERS = 20


def test_waiting_callers_share_a_result_that_is_too_large(
    mysql_url: str, redis_url: str, redis_client: redis.Redis
) -> None:
    """One after another they would each load it; the lease says whether what was loaded is still good."""
    everybody_waits, calls = threading.Event(), []

    def load() -> str:
        calls.append(threading.get_ident())
        everybody_waits.wait(20)
        return "x" * 1000

    with (
        MRCClient(mysql_url, redis_url, max_entry_bytes=100) as client,
        ThreadPoolExecutor(CALLERS) as threads,
    ):
        answers = [threads.submit(client.with_cache, load, "large") for _ in range(CALLERS)]
        while client.stats().get("misses", 0) < CALLERS:
            threading.Event().wait(0.01)
        threading.Event().wait(0.1)  # from the miss to the flight
        everybody_waits.set()
        assert {answer.result(30) for answer in answers} == {"x" * 1000}

    assert len(calls) <= 2  # a caller that was slow to join may come too late
    assert redis_client.dbsize() == 0


def test_a_drop_meanwhile_keeps_it_from_being_shared(mysql_url: str, redis_url: str) -> None:
    """The loader has its rows; who waits loads anew."""
    loads, dropped = [], threading.Event()

    def load() -> int:
        loads.append(len(loads))
        if len(loads) == 1:
            started.set()
            dropped.wait(20)
        return len(loads) * 10**200

    started = threading.Event()
    with MRCClient(mysql_url, redis_url, max_entry_bytes=100) as client, ThreadPoolExecutor(2) as threads:
        read = lambda: client.with_cache(lambda: [str(load())], "large", [1], ["Id"])  # noqa: E731
        first = threads.submit(read)
        assert started.wait(20)
        second = threads.submit(read)
        while client.stats().get("misses", 0) < 2:
            threading.Event().wait(0.01)
        client.drop_outdated_cache(["Id"], [1])
        dropped.set()
        first.result(30)
        assert second.result(30) == [str(2 * 10**200)]
