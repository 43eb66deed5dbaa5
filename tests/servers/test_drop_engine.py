"""A drop of many pairs is one sweep, or one round of look-ups; whatever it waits for, its time has an end."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import InvalidationFailed, MRCClient
from mysql_redis_cache.drops import Budget, Drops, lookup
from mysql_redis_cache.errors import CacheUnavailable, DropTimeout
from mysql_redis_cache.keys import Matcher, Namespace
from mysql_redis_cache.server import MRCServer
from mysql_redis_cache.store import link
from tests.support.populating import entry, fill_foreign, fill_users
from tests.support.readings import owner
from tests.support.recording import commands, recorded
from tests.support.urls import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from tests.support.proxy import Proxy

pytestmark = pytest.mark.real

SECONDS = 20.0


def walks(seen: list[list[bytes]]) -> int:
    """How often all keys were walked over."""
    return sum(command[:2] == [b"SCAN", b"0"] for command in seen)


@pytest.fixture(params=[False, True], ids=["sweep", "index"])
def index(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def make_client(mysql_url: str) -> Iterator[Callable[..., MRCClient]]:
    made: list[MRCClient] = []

    def make(redis_config: Any, **options: Any) -> MRCClient:
        made.append(MRCClient(mysql_url, redis_config, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


# Many pairs, one drop


def test_many_pairs_are_one_drop(
    index: bool,
    redis_url: str,
    redis_client: redis.Redis,
    proxy_to: Callable[..., Proxy],
    make_client: Callable[..., MRCClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two walks, or look-ups by the batch; exactly the entries that carry any of them go."""
    monkeypatch.setattr(lookup, "LOOKUPS", 100)
    proxy = proxy_to(redis_url)
    client = make_client(proxy.url, index=index)
    client.write_to_cache("q", 0, [[9000, 9001]], ["UserId"])
    foreign = fill_foreign(redis_client)
    for user in range(500):
        client.write_to_cache("q", user, [user, user % 7], ["UserId", "StoreId"])
    names, values = ["UserId"] * 400 + ["StoreId"], [*range(1000, 1200), *range(100, 299), 9001, 6]
    asked = Matcher(names, values, False)
    right = {key for key in redis_client.scan_iter() if owner(key, [[asked]]) is not None}
    with recorded(proxy) as seen:
        assert client.drop_outdated_cache(names, values, False) == len(right) > 200

    left = {key for key in redis_client.scan_iter() if not key.startswith(b"mrc:")}
    assert right & left == set()
    assert {key for key in foreign - right if not key.startswith(b"mrc:")} <= left
    assert walks(seen) == (0 if index else 2)
    assert client.drop_outdated_cache(names, values, False) == 0


def test_combinations_are_dropped_together(
    index: bool, redis_url: str, redis_client: redis.Redis, make_client: Callable[..., MRCClient]
) -> None:
    """Each is a matcher of its own, all of them one drop with one count."""
    client = make_client(redis_url, index=index)
    for user in range(20):
        for store in range(20):
            client.write_to_cache("q", 0, [user, store], ["UserId", "StoreId"])
    matchers = [Matcher(["UserId", "StoreId"], [n, n]) for n in range(30)]
    matchers += [Matcher(["StoreId"], [3]), Matcher(["UserId", "StoreId"], [[3], "3"], False)]
    with closing(link(patient(redis_url))) as way:
        drops = Drops(way, Namespace(), indexed=index)
        expected = 20 + 20 + 20 - 2  # the diagonal, a row and a column, which meet in one entry

        assert drops.perform(matchers, Budget(SECONDS), dry_run=True) == expected
        assert drops.perform(matchers, Budget(SECONDS)) == expected
        assert drops.perform(matchers, Budget(SECONDS)) == 0
    assert sum(key.startswith(b"UserId=") for key in redis_client.scan_iter()) == 400 - expected


def test_the_drops_of_a_transaction_are_one(
    index: bool, redis_url: str, proxy_to: Callable[..., Proxy], make_client: Callable[..., MRCClient]
) -> None:
    """However many were asked for, and of whatever kind."""
    proxy = proxy_to(redis_url)
    client = make_client(proxy.url, index=index)
    for user in range(40):
        client.write_to_cache("q", 0, [user, 1], ["UserId", "StoreId"])
    with recorded(proxy) as seen, client.transaction() as tx:
        for user in range(30):
            tx.drop_outdated_cache(["UserId"], [user])
        tx.drop_outdated_cache(["UserId", "StoreId"], [31, 1])
        tx.drop_outdated_cache(["UserId", "StoreId"], [32, 9])
        tx.drop_outdated_cache(["UserId", "StoreId"], [33, 9], False)

    assert walks(seen) == (0 if index else 2)
    assert [
        user for user in range(40) if client.read_from_cache("q", [user, 1], ["UserId", "StoreId"]) is None
    ] == [
        *range(30),
        31,
        33,
    ]
    assert len(seen) < 120


# One budget


def test_the_time_counts_from_the_call(
    index: bool, redis_url: str, proxy_to: Callable[..., Proxy], make_client: Callable[..., MRCClient]
) -> None:
    """Redis is silent, and would be waited for for two seconds; then the time is over before."""
    proxy = proxy_to(redis_url)
    client = make_client(f"{proxy.url}?client_name=web", index=index)  # which is told when connecting
    client.write_to_cache("q", 1, [1], ["UserId"])
    for idle in (True, False):  # with a connection that is open, and one that has to be opened
        if not idle:
            client.close_redis_connection()
        proxy.pause()
        began = time.monotonic()
        with pytest.raises(DropTimeout, match=r"did not finish within 0.3 s") as caught:
            client.drop_outdated_cache(["UserId"], [1], timeout=0.3)
        assert 0.25 < time.monotonic() - began < 1.2
        assert isinstance(caught.value.__cause__, CacheUnavailable)
        proxy.resume()
    assert client.drop_outdated_cache(["UserId"], [1], timeout=SECONDS) == 1


def test_a_reply_that_trickles_in_is_not_waited_for_beyond_the_time(
    redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy]
) -> None:
    """Each byte comes in time, the whole never would."""
    fill_users(redis_client, range(1, 200))
    proxy = proxy_to(redis_url)
    with MRCServer(proxy.url) as server:
        server.drop_outdated_cache(["StoreId"], [999])
        proxy.drip(1, 0.05)
        began = time.monotonic()
        with pytest.raises(DropTimeout):
            server.drop_outdated_cache(["UserId"], [1], timeout=0.4)
        assert time.monotonic() - began < 1.5


def test_waiting_for_a_connection_counts(redis_url: str) -> None:
    """All are in use by others."""
    with MRCServer(f"{redis_url}?max_connections=1") as server, server._link.pinned():  # type: ignore[union-attr]
        began = time.monotonic()
        with pytest.raises(DropTimeout):
            server.drop_outdated_cache(["UserId"], [1], timeout=0.2)
        assert 0.15 < time.monotonic() - began < 1


def test_checking_the_pairs_counts(redis_url: str) -> None:
    """A million values that are checked for longer than the drop may take."""
    with MRCServer(redis_url) as server:
        began = time.monotonic()
        with pytest.raises(DropTimeout, match="checking the pairs, 0 entries"):
            server.drop_outdated_cache(["A"] * 1_000_000, [1.5] * 1_000_000, False, timeout=0.01)
        assert time.monotonic() - began < 5


def test_a_short_budget_ends_no_other_drop_that_shares_the_sweep(
    redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy]
) -> None:
    """Redis is silent for longer than one of them may take: the other goes on."""
    fill_users(redis_client, range(1, 4))
    proxy = proxy_to(redis_url)
    ended: dict[int, object] = {}
    with MRCServer(proxy.url) as server:
        server.drop_outdated_cache(["UserId"], [99])
        proxy.pause()

        def drop(user: int, seconds: float) -> None:
            try:
                ended[user] = server.drop_outdated_cache(["UserId"], [user], timeout=seconds)
            except DropTimeout as error:
                ended[user] = type(error)

        threads = [threading.Thread(target=drop, args=each) for each in ((1, 0.3), (2, 0.4), (3, SECONDS))]
        for thread in threads:
            thread.start()
            time.sleep(0.05)
        threads[1].join(SECONDS)
        assert ended == {1: DropTimeout, 2: DropTimeout}
        proxy.resume()
        threads[2].join(SECONDS)

    assert ended[3] == 1
    assert not redis_client.exists(entry(3, 0))


def test_patience_with_an_outage_may_be_longer_than_a_drop(
    redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy]
) -> None:
    """``retry_for`` counts from the call too, where it is more than ``timeout``."""
    fill_users(redis_client, range(1, 2))
    proxy = proxy_to(redis_url)
    proxy.stop()
    with MRCServer(proxy.url) as server:
        timer = threading.Timer(0.5, proxy.start)
        timer.start()
        assert server.drop_outdated_cache(["UserId"], [1], timeout=0.1, retry_for=SECONDS) == 1
        timer.join()


def test_the_drops_of_a_transaction_have_one_time(
    redis_url: str, proxy_to: Callable[..., Proxy], make_client: Callable[..., MRCClient]
) -> None:
    """Redis is silent: eight drops give up as soon as one would, and say what is missing."""
    proxy = proxy_to(redis_url)
    client = make_client(f"{proxy.url}?socket_timeout=1", namespace="shop")
    client.write_to_cache("q", 1, [1], ["A"])

    def write() -> None:
        with client.transaction() as tx:
            for number in range(8):
                tx.drop_outdated_cache(["A"], [number])
            tx.drop_outdated_cache(["A", "B"], [1, b"2"], require_all_match=False)
            proxy.pause()

    began = time.monotonic()
    with pytest.raises(InvalidationFailed, match="dropping A, A\\+B failed") as caught:
        write()
    assert time.monotonic() - began < 6
    failed = caught.value
    assert failed.pairs == [*((["A"], [number], True) for number in range(8)), (["A", "B"], [1, "2"], False)]
    assert (failed.namespace, failed.timeout) == ("shop", 60)
    proxy.resume()
    with MRCServer(redis_url, namespace=failed.namespace) as server:
        assert [server.drop_outdated_cache(*pairs) for pairs in failed.pairs] == [0, 1, *[0] * 7]


def test_one_round_trip_serves_a_thousand_lookups(
    redis_url: str, proxy_to: Callable[..., Proxy], make_client: Callable[..., MRCClient]
) -> None:
    """And none of them blocks the server for long, since each is a command of its own."""
    proxy = proxy_to(redis_url)
    client = make_client(proxy.url, index=True)
    client.write_to_cache("q", 1, [1], ["UserId"])
    client.drop_outdated_cache(["UserId"], [1])
    trips = proxy.round_trips
    with recorded(proxy) as seen:
        assert client.drop_outdated_cache(["UserId"] * 1000, list(range(1000, 2000)), False) == 0

    assert proxy.round_trips <= trips + 3
    assert {"ZUNION", "KEYS", "SCAN"} & set(commands(seen)) == set()
