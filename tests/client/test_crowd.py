"""Threads of one blocking client: they share round trips, and nobody pays for another's trouble."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import MRCClient
from mysql_redis_cache.readthrough import asking
from mysql_redis_cache.readthrough.crowd import FEW
from tests.support.pools import living
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from tests.support.proxy import Proxy

THREADS = 20
ROOM = FEW  # whose questions are all on their way before there is a crowd
QUERY = "SELECT ? AS n"


@pytest.fixture
def proxy(redis_url: str, proxy_to: Callable[..., Proxy]) -> Proxy:
    """On the way to Redis."""
    return proxy_to(redis_url)


@pytest.fixture
def client(mysql_url: str, proxy: Proxy) -> Iterator[MRCClient]:
    """A client that has an entry for each thread."""
    with MRCClient(mysql_url, f"{proxy.url}?socket_timeout=0.5") as client:
        for number in range(THREADS):
            read(client, number)
        for name in ("_get", "_get_aged"):  # however far the proxy makes Redis
            crowd = crowd_of(client, name)
            crowd.room, crowd._quickest = ROOM, 0.0
        yield client


def read(client: MRCClient, number: int, **options: Any) -> bool:
    return bool(client.query_with_cache(QUERY, [number], ["N"], **options) == [{"n": number}])


def at_once(call: Callable[[int], object]) -> tuple[list[threading.Thread], dict[int, object]]:
    """Call in as many threads; return them, and what it gave by number."""
    given: dict[int, object] = {}

    def run(number: int) -> None:
        try:
            given[number] = call(number)
        except BaseException as error:
            given[number] = error

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    return threads, given


def ended(threads: list[threading.Thread]) -> bool:
    for thread in threads:
        thread.join(10)
    return not any(thread.is_alive() for thread in threads)


def crowd_of(client: MRCClient, name: str) -> Any:
    return getattr(client._core.cache, name).__self__


def waiting(client: MRCClient, crowd: str = "_get") -> int:
    return len(crowd_of(client, crowd)._queue)


@pytest.mark.parametrize(
    ("crowd", "options"), [("_get", {}), ("_get_aged", {"stale_while_revalidate": 5})], ids=["plain", "aged"]
)
def test_threads_share_a_round_trip(
    client: MRCClient, proxy: Proxy, crowd: str, options: dict[str, Any]
) -> None:
    """Those who come while others are on their way to Redis go together."""
    trips, before = proxy.round_trips, client.stats()
    proxy.pause("replies")
    threads, given = at_once(lambda number: read(client, number, **options))
    assert wait_until(lambda: waiting(client, crowd) == THREADS - ROOM)
    proxy.resume()
    assert ended(threads)

    assert given == dict.fromkeys(range(THREADS), True)
    assert proxy.round_trips - trips <= 2 * ROOM + 1
    stats = client.stats()
    assert (stats.hits - before.hits, stats.loads) == (THREADS, before.loads)


def test_one_waits_for_a_silent_redis_no_longer_than_another(client: MRCClient, proxy: Proxy) -> None:
    """Also who came last: they learn it from those who were on their way."""
    proxy.pause("replies")
    began = time.monotonic()
    threads, given = at_once(lambda number: read(client, number))
    assert ended(threads)
    took = time.monotonic() - began
    proxy.resume()

    assert given == dict.fromkeys(range(THREADS), True)
    assert 0.5 <= took < 5
    assert len(client._core.flights) == 0


def test_what_is_there_and_what_is_not_come_together(
    client: MRCClient, proxy: Proxy, redis_client: redis.Redis
) -> None:
    """A miss, a key of another type, no JSON: each is loaded, the others are hits."""
    names = [client.get_key_from_query(QUERY, [number], ["N"]) for number in range(THREADS)]
    redis_client.delete(*names[5:8])
    redis_client.rpush(names[6], 1)
    redis_client.set(names[7], b"{")
    proxy.pause("replies")
    threads, given = at_once(lambda number: read(client, number))
    assert wait_until(lambda: waiting(client) == THREADS - ROOM)
    proxy.resume()
    assert ended(threads)

    assert given == dict.fromkeys(range(THREADS), True)
    assert client.stats().loads == THREADS + 3


def test_large_values_are_not_waited_for(
    client: MRCClient, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it is known that a query has such answers, each thread reads its own."""
    monkeypatch.setattr(asking, "LARGE", 4)
    read(client, 0)
    trips = proxy.round_trips
    proxy.pause("replies")
    threads, given = at_once(lambda number: read(client, number))
    assert wait_until(lambda: len(living(client._core.links[0]._connections)) == THREADS)  # type: ignore[union-attr]
    assert waiting(client) == 0
    proxy.resume()
    assert ended(threads)

    assert given == dict.fromkeys(range(THREADS), True)
    assert proxy.round_trips - trips >= THREADS
