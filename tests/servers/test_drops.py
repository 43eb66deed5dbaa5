"""Drops on a real server: exactly the right keys go, whatever happens meanwhile."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from mysql_redis_cache.drops import dropping, sweep
from mysql_redis_cache.errors import CacheUnavailable, ClosedError, DropTimeout
from mysql_redis_cache.keys import AnyValue, Namespace
from mysql_redis_cache.keys.naming import Matcher, pair_texts
from mysql_redis_cache.server import MRCServer
from mysql_redis_cache.store import Refused, index, link
from mysql_redis_cache.store.entries import Entries, Name
from tests.support.pools import living
from tests.support.populating import entry, fill_foreign, fill_users, lease
from tests.support.readings import owner
from tests.support.recording import commands, recorded
from tests.support.urls import patient
from tools.private_servers import PrivateRedis, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.support.proxy import Proxy

pytestmark = pytest.mark.real

OBSERVED = json.loads((Path(__file__).parents[1] / "data/invalidation.json").read_text())
CALLS = [call for call in OBSERVED["calls"] if call["key_names"] and all(call["key_names"])]
SECONDS = 20.0


@pytest.fixture
def server(redis_url: str) -> Iterator[MRCServer]:
    with MRCServer(redis_url) as made:
        yield made


@pytest.fixture
def short_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few keys make several batches."""
    monkeypatch.setattr(sweep, "SCAN_COUNT", 10)


@contextmanager
def acting(proxy: Proxy, command: bytes, act: Callable[[int], object]) -> Iterator[list[int]]:
    """Call *act* with its number before each *command* passes the proxy."""
    seen: list[int] = []

    def look(data: bytes) -> bytes:
        if command in data:
            seen.append(len(seen))
            act(seen[-1])
        return data

    proxy.corrupt(look, "requests")
    yield seen
    proxy.corrupt(None, "requests")


# Which keys go


@pytest.mark.parametrize("call", CALLS, ids=[call["id"] for call in CALLS])
def test_exactly_the_right_keys_go(
    call: dict[str, Any], server: MRCServer, redis_client: redis.Redis
) -> None:
    """Of the keys on which the peers were watched: whole pairs on entries go, substrings elsewhere stay."""
    ours = [key.encode() for key in OBSERVED["keys"]]
    redis_client.mset(dict.fromkeys(ours, b"[]"))
    fill_foreign(redis_client)
    before = set(redis_client.keys())
    values = [1.0 if value == "$float1.0" else value for value in call["key_values"]]
    matcher = Matcher(call["key_names"], values, call["require_all_match"])
    right = {key for key in ours if owner(key, [[matcher]]) is not None}

    assert server.drop_outdated_cache(call["key_names"], values, call["require_all_match"]) == len(right)
    assert before - set(redis_client.keys()) == right


def test_all_pairs_must_match_unless_said_otherwise(server: MRCServer, redis_client: redis.Redis) -> None:
    """A list of pairs names one combination; both peers' default is any."""
    fill_users(redis_client, range(1, 4), range(1, 4))

    assert server.drop_outdated_cache(["UserId", "StoreId"], [1, 2]) == 1
    assert redis_client.dbsize() == 8
    assert server.drop_outdated_cache(["UserId", "StoreId"], [1, 2], require_all_match=False) == 4
    assert sorted(redis_client.keys()) == sorted(entry(user, store) for user in (2, 3) for store in (1, 3))


@pytest.mark.parametrize("element", [7, 8, "9", [7, 8, 9]], ids=str)
def test_a_number_list_counts_under_each_element(
    element: object, server: MRCServer, redis_client: redis.Redis
) -> None:
    """And as a whole; the entries of other lists stay."""
    redis_client.mset(dict.fromkeys([entry([7, 8, 9]), entry([70, 80, 90]), entry([17, 18])], b"[]"))

    assert server.drop_outdated_cache(["UserId"], [element]) == 1
    assert sorted(redis_client.keys()) == sorted([entry([70, 80, 90]), entry([17, 18])])


def test_a_namespace_is_left_alone_by_the_others(redis_url: str, redis_client: redis.Redis) -> None:
    """Two databases that share one Redis database keep their own rows."""
    names = [entry(1), entry(1, prefix="shop:"), entry(1, prefix="shop2:"), entry(1, prefix="s*p:")]
    redis_client.mset(dict.fromkeys([*names, *map(lease, names)], b"[]"))
    for namespace, name in (("shop", names[1]), ("s*p", names[3]), (None, names[0])):
        with MRCServer(redis_url, namespace=namespace) as server:
            assert server.drop_outdated_cache(["UserId"], [1]) == 1
        assert redis_client.exists(name, lease(name)) == 0

    assert sorted(redis_client.keys()) == sorted([names[2], lease(names[2])])


def test_a_dry_run_deletes_nothing(server: MRCServer, redis_client: redis.Redis) -> None:
    """It counts the entries that would go, and not their leases."""
    fill_users(redis_client, range(1, 3), range(30))
    redis_client.set(lease(entry(1, 7)), "token")
    before = set(redis_client.keys())

    assert server.drop_outdated_cache(["UserId"], [1], dry_run=True) == 30
    assert server.drop_outdated_cache(["UserId", "StoreId"], [1, 7], False, dry_run=True) == 31
    assert set(redis_client.keys()) == before
    assert server.drop_outdated_cache(["UserId"], [1]) == 30


def test_nothing_to_drop(server: MRCServer, redis_client: redis.Redis) -> None:
    """An empty database, or one without such entries."""
    assert server.drop_outdated_cache(["UserId"], [1]) == 0
    before = fill_foreign(redis_client)
    assert server.drop_outdated_cache(["UserId"], [1]) == 0
    assert set(redis_client.keys()) == before


@pytest.mark.parametrize(
    ("names", "values", "options", "error", "message"),
    [
        (["UserId"], [1, 2], {}, ValueError, "1 names but 2 values; give one value for each name"),
        (["UserId", "StoreId"], [1], {}, ValueError, "2 names but 1 values"),
        ([], [], {}, ValueError, "no names and values: a drop needs at least one pair"),
        ([""], [1], {}, ValueError, "name 1 is empty"),
        (["a=b"], [1], {}, ValueError, "contains '='"),
        ("UserId", [1], {}, TypeError, "names must be a list or tuple"),
        (["UserId"], "1", {}, TypeError, "values must be a list or tuple"),
        (["UserId"], [[]], {}, ValueError, "is an empty list"),
        (["UserId"], [object()], {}, TypeError, r"value 1 \(UserId\)"),
        (["UserId"], [1], {"timeout": -1}, ValueError, "timeout must be at least 0"),
        (["UserId"], [1], {"timeout": 1e10}, ValueError, "timeout must be at least 0 and at most 2e"),
        (["UserId"], [1], {"retry_for": 10**400}, ValueError, "retry_for must be at least 0 and at most 2e"),
        (["UserId"], [1], {"timeout": None}, TypeError, "timeout must be a number, not NoneType"),
        (["UserId"], [1], {"retry_for": float("nan")}, ValueError, "retry_for must be at least 0"),
    ],
)
def test_bad_pairs_are_refused_before_anything_is_sent(
    names: Any, values: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    """There is no server here at all."""
    with MRCServer(f"redis://127.0.0.1:{free_port()}") as server, pytest.raises(error, match=message):
        server.drop_outdated_cache(names, values, **options)


# What is sent


def test_a_drop_scans_twice_and_unlinks(
    redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy]
) -> None:
    """A command a batch, and one for each key that goes; leases first; the roll last. No KEYS, no DEL.

    A batch is asked for while the one before is looked at.
    """
    fill_users(redis_client, range(1, 5001))
    redis_client.set(lease(entry(1, 0)), "token")
    proxy = proxy_to(redis_url)
    with MRCServer(proxy.url) as server:
        assert server.drop_outdated_cache(["UserId"], [5000]) == 1
        trips = proxy.round_trips
        with recorded(proxy) as seen:
            assert server.drop_outdated_cache(["UserId"], [1]) == 1

        assert proxy.round_trips - trips <= len(seen)
    unlinks = [command for command in seen if command[0] == b"UNLINK"]
    scans = [command for command in seen if command[0] == b"SCAN"]
    begins = [seen.index(scan) for scan in scans if scan[1] == b"0"]
    second = len(seen) - 1 - [command[:2] for command in reversed(seen)].index([b"SCAN", b"0"])

    assert set(commands(seen[:-1])) == {"SCAN", "UNLINK"}
    assert seen[-1] == [b"HGETALL", b"mrc:near"]
    assert unlinks == [[b"UNLINK", lease(entry(1, 0))], [b"UNLINK", entry(1, 0)]]
    assert len(begins) == 2
    assert seen.index(unlinks[0]) < second < seen.index(unlinks[1])
    assert 2 * 2 <= len(scans) <= 2 * 4
    assert [list(scan[2:]) for scan in (scans[0], scans[-1])] == [
        [b"MATCH", b"*UserId=*1[,_]*" + end, b"COUNT", b"2000"] for end in (b":lease", b"")
    ]


def test_leases_are_revoked_and_not_counted(redis_url: str, redis_client: redis.Redis) -> None:
    """A load in flight of such an entry caches nothing; a load of another goes on."""
    with closing(link(patient(redis_url))) as made, MRCServer(redis_url) as server:
        entries = Entries(made, 10)
        mine, other = loading(entries, 1, 6), loading(entries, 2, 6)

        assert server.drop_outdated_cache(["UserId"], [1]) == 0
        assert entries.fill(mine, b"token", b"[]", 60) is False
        assert entries.fill(other, b"token", b"[]", 60) is True
    assert redis_client.exists(mine.key, mine.lease) == 0


def loading(
    entries: Entries, *values: object, indexed: bool = False, longest: float = 60, token: bytes = b"token"
) -> Name:
    """Take the lease of an entry, as a reader does before it loads."""
    params, names = list(values), ["UserId", "StoreId"][: len(values)]
    name = entries.name(entry(*values).decode(), pair_texts(params, names), "", longest, indexed=indexed)
    assert name is not None
    assert entries.acquire(name, token, -1.0) is True
    return name


def filled(entries: Entries, *values: object, indexed: bool = False, longest: float = 60) -> bytes:
    name = loading(entries, *values, indexed=indexed, longest=longest)
    assert entries.fill(name, b"token", b"[]", 60)
    return name.key


# Meanwhile


@pytest.mark.usefixtures("short_batches")
def test_a_fill_at_any_moment_of_the_sweep_does_not_survive(
    redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy]
) -> None:
    """Behind the cursor or before it: its lease was taken before the drop, its rows may be outdated."""
    proxy, moment, moments, accepted = proxy_to(redis_url), 0, 1, []
    with closing(link(patient(redis_url))) as made, MRCServer(proxy.url) as server:
        entries = Entries(made, 10)
        while moment < moments:
            redis_client.flushdb()
            fill_users(redis_client, range(2, 40))
            names = [loading(entries, 1, store) for store in range(12)]

            def fill(number: int, names: Sequence[Name] = names, now: int = moment) -> None:
                if number == now:
                    accepted.extend(entries.fill(name, b"token", b"[]", 60) for name in names)

            with acting(proxy, b"SCAN", fill) as seen:
                server.drop_outdated_cache(["UserId"], [1])
            moments = len(seen)
            assert redis_client.exists(*(name.key for name in names)) == 0
            assert redis_client.dbsize() >= 38
            moment += 1

    assert moments > 4
    assert set(accepted) == {True, False}


@pytest.mark.usefixtures("short_batches")
@pytest.mark.parametrize("how", ["killed by the server", "cut by the network"])
def test_a_replaced_connection_starts_the_walk_over(
    how: str, private_redis: Callable[..., PrivateRedis], proxy_to: Callable[..., Proxy]
) -> None:
    """At whatever moment: a cursor means nothing on another connection, and nothing is left behind."""
    server = private_redis()
    proxy, moment, moments = proxy_to(server.url), 0, 1
    with redis.Redis.from_url(server.url) as admin, MRCServer(proxy.url) as drops:

        def kill(number: int) -> None:
            if number == moment:
                if how.startswith("killed"):
                    admin.client_kill_filter(_type="normal", skipme=True)
                else:
                    proxy.cut_after(0)

        while moment < moments:
            admin.flushdb()
            fill_users(admin, range(1, 4), range(12))
            admin.mset({lease(entry(1, store)): "token" for store in range(12)})
            with acting(proxy, b"SCAN", kill) as seen:
                assert drops.drop_outdated_cache(["UserId"], [1]) <= 12
            moments = moments if moment else len(seen) - 1
            assert sorted(admin.keys()) == sorted(
                entry(user, store) for user in (2, 3) for store in range(12)
            )
            moment += 1

    assert moments > 6


@pytest.mark.usefixtures("short_batches")
def test_a_server_that_ends_in_the_middle_fails_the_drop(
    private_redis: Callable[..., PrivateRedis], proxy_to: Callable[..., Proxy]
) -> None:
    """It is said, in bounded time; and with some patience the drop outlives the restart."""
    server = private_redis("--appendonly", "yes")
    proxy = proxy_to(server.url)
    with redis.Redis.from_url(server.url) as admin:
        fill_users(admin, range(1, 4), range(12))
    with MRCServer(proxy.url) as drops:
        began = time.monotonic()
        with (
            acting(proxy, b"SCAN", lambda number: server.kill() if number == 3 else None),
            pytest.raises(CacheUnavailable, match="Redis is not available"),
        ):
            drops.drop_outdated_cache(["UserId"], [1])
        assert time.monotonic() - began < 5

        restart = threading.Timer(0.3, server.start)
        restart.start()
        assert drops.drop_outdated_cache(["UserId"], [1], retry_for=SECONDS) == 12
        restart.join()
    with redis.Redis.from_url(server.url) as admin:
        assert sorted(admin.keys()) == sorted(entry(user, store) for user in (2, 3) for store in range(12))


def test_a_hundred_drops_at_once_cost_two_sweeps(
    private_redis: Callable[..., PrivateRedis], proxy_to: Callable[..., Proxy]
) -> None:
    """The first begins, the others share the next; each knows its own count."""
    server = private_redis()
    proxy, held = proxy_to(server.url), threading.Event()
    ended: dict[int, object] = {}
    with redis.Redis.from_url(server.url) as admin, MRCServer(proxy.url) as drops:
        fill_users(admin, range(1, 201), range(5))

        def run(user: int) -> None:
            ended[user] = drops.drop_outdated_cache(["UserId"], [user])

        def hold(number: int) -> None:
            if number == 0:
                held.set()
                give_up = time.monotonic() + SECONDS
                while (batch := drops._drops._sweeps._next) is None or len(batch.drops) < 99:
                    assert time.monotonic() < give_up
                    time.sleep(0.001)

        threads = [threading.Thread(target=run, args=(user,)) for user in range(1, 101)]
        with acting(proxy, b"SCAN", hold) as seen:
            threads[0].start()
            assert held.wait(SECONDS)
            for thread in threads[1:]:
                thread.start()
            for thread in threads:
                thread.join(SECONDS)

        assert ended == dict.fromkeys(range(1, 101), 5)
        assert len(seen) == 2 * 2  # two sweeps of two walks, each of one batch
        assert admin.dbsize() == 500


# Bounds


def test_a_drop_out_of_time_says_how_far_it_came(
    redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pass, the count, and that repeating is safe."""
    monkeypatch.setattr(sweep, "SCAN_COUNT", 10)
    fill_users(redis_client, range(1, 2), range(100))
    proxy = proxy_to(redis_url)
    with MRCServer(proxy.url) as server:
        with pytest.raises(
            DropTimeout, match=r"within 0 s \(pass 1 of 2, revoking leases, 0 entries"
        ) as at_once:
            server.drop_outdated_cache(["UserId"], [1], timeout=0)

        def slow(number: int) -> None:
            if redis_client.dbsize() <= 60:
                time.sleep(0.6)

        with (
            acting(proxy, b"SCAN", slow),
            pytest.raises(DropTimeout, match="repeat it, which is safe") as later,
        ):
            server.drop_outdated_cache(["UserId"], [1], timeout=0.5)
        deleted = 100 - redis_client.dbsize()

        assert (at_once.value.seconds, at_once.value.dropped) == (0, 0)
        assert later.value.stage == "pass 2 of 2, deleting entries"
        assert 40 <= later.value.dropped == deleted < 100
        assert server.drop_outdated_cache(["UserId"], [1]) == 100 - deleted


@pytest.mark.parametrize("index", [False, True], ids=["sweep", "index"])
def test_a_drop_that_cannot_reach_redis_says_so(
    index: bool, redis_url: str, proxy_to: Callable[..., Proxy]
) -> None:
    """At once where it is refused, within a few seconds where nothing answers."""
    with MRCServer(f"redis://127.0.0.1:{free_port()}", index=index) as server:
        began = time.monotonic()
        with pytest.raises(CacheUnavailable, match="Redis is not available"):
            server.drop_outdated_cache(["UserId"], [1])
        with pytest.raises(CacheUnavailable):
            server.drop_outdated_cache(["UserId"], [1], dry_run=True)
        assert time.monotonic() - began < 1
    proxy = proxy_to(redis_url)
    proxy.pause()
    with MRCServer({"port": proxy.port, "socket_timeout": 0.25, "socket_connect_timeout": 0.25}) as server:
        began = time.monotonic()
        with pytest.raises(ConnectionError):
            server.drop_outdated_cache(["UserId"], [1])
        assert time.monotonic() - began < 1.5


def test_a_drop_may_keep_trying(
    proxy_to: Callable[..., Proxy], redis_url: str, redis_client: redis.Redis
) -> None:
    """For so many seconds and no longer; it succeeds when Redis comes back."""
    fill_users(redis_client, range(1, 3))
    proxy = proxy_to(redis_url)
    proxy.stop()
    with MRCServer(proxy.url) as server:
        began = time.monotonic()
        with pytest.raises(CacheUnavailable):
            server.drop_outdated_cache(["UserId"], [1], retry_for=0.3)
        assert 0.15 < time.monotonic() - began < 1.5

        timer = threading.Timer(0.2, proxy.start)
        timer.start()
        assert server.drop_outdated_cache(["UserId"], [1], retry_for=SECONDS) == 1
        timer.join()


def test_a_refused_delete_fails_the_drop(private_redis: Callable[..., PrivateRedis]) -> None:
    """A read-only server, or a user without permission: what could not be deleted is not passed over."""
    server = private_redis("--user", "reader", "on", "nopass", "~*", "+scan", "+ping", "+select")
    with redis.Redis.from_url(server.url) as admin:
        fill_users(admin, range(1, 2))
        limited = f"redis://reader:x@127.0.0.1:{server.port}"
        with MRCServer(limited) as drops, pytest.raises(Refused, match="permission"):
            drops.drop_outdated_cache(["UserId"], [1])
        admin.replicaof("127.0.0.1", free_port())
        with MRCServer(server.url) as drops, pytest.raises(CacheUnavailable, match="read only replica"):
            drops.drop_outdated_cache(["UserId"], [1])


# By index


@contextmanager
def indexed(url: str, **options: Any) -> Iterator[tuple[Entries, MRCServer]]:
    with closing(link(patient(url))) as made, MRCServer(url, index=True, **options) as server:
        yield Entries(made, 10), server


def swept(seen: list[list[bytes]]) -> bool:
    return "SCAN" in commands(seen)


def test_an_indexed_drop_asks_the_index(
    redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy]
) -> None:
    """Two round trips, whatever else there is; all leases go before the entries."""
    proxy = proxy_to(redis_url)
    with indexed(proxy.url) as (entries, server):
        keys = {filled(entries, 1, store, indexed=True) for store in range(3)}
        fill_users(redis_client, range(2, 2000))
        server.drop_outdated_cache(["UserId"], [9999])
        trips = proxy.round_trips
        with recorded(proxy) as seen:
            assert server.drop_outdated_cache(["UserId"], [1]) == 3

        assert proxy.round_trips == trips + 2
    leases, entries_ = [command[1:] for command in seen if command[0] == b"UNLINK"]
    asked = ["ZRANGE", "ZMSCORE", "ZRANGE", "ZRANGE", "TIME"]
    assert commands(seen) == [*asked, "UNLINK", "UNLINK", "HGETALL"]
    assert set(entries_) == keys
    assert leases == [lease(key) for key in entries_]


@pytest.mark.parametrize(
    ("values", "require_all", "expected"),
    [([1, 2], True, 1), ([1, 2], False, 5), ([1, 9], True, 0), ([1, 9], False, 3)],
    ids=["both", "any", "both, none there", "any, one there"],
)
def test_an_indexed_drop_combines_pairs(
    values: list[object], require_all: bool, expected: int, redis_url: str, redis_client: redis.Redis
) -> None:
    """As a sweep does."""
    with indexed(redis_url) as (entries, server):
        for user in range(1, 4):
            for store in range(1, 4):
                filled(entries, user, store, indexed=True)
        assert (
            server.drop_outdated_cache(["UserId", "StoreId"], values, require_all, dry_run=True) == expected
        )
        assert server.drop_outdated_cache(["UserId", "StoreId"], values, require_all) == expected
        assert server.drop_outdated_cache(["UserId", "StoreId"], values, require_all) == 0


def test_an_indexed_drop_revokes_leases(redis_url: str, redis_client: redis.Redis) -> None:
    """An entry is registered with its lease, so a load in flight is found before there is an entry."""
    with indexed(redis_url) as (entries, server):
        name = loading(entries, 1, 6, indexed=True)
        other = loading(entries, 2, 6, indexed=True)

        assert server.drop_outdated_cache(["UserId"], [1]) == 0
        assert entries.fill(name, b"token", b"[]", 60) is False
        assert entries.fill(other, b"token", b"[]", 60) is True


def test_an_indexed_drop_leaves_the_index_as_it_is(redis_url: str, redis_client: redis.Redis) -> None:
    """A drop that removed members would hide a lease taken meanwhile from the next drop."""
    with indexed(redis_url) as (entries, server):
        key = filled(entries, 1, 6, indexed=True)
        server.drop_outdated_cache(["UserId"], [1])

    for text in ("UserId=1", "StoreId=6"):
        assert redis_client.zrange(index.set_name(index.pair_digest("", text)), 0, -1) == [key]


def test_an_indexed_drop_finds_lists_and_namespaces(redis_url: str, redis_client: redis.Redis) -> None:
    """Under each element; each namespace by itself."""
    with indexed(redis_url) as (entries, server):
        filled(entries, [1, 2, 3], indexed=True)
        assert server.drop_outdated_cache(["UserId"], [2]) == 1
        filled(entries, [1, 2, 3], indexed=True)
        assert server.drop_outdated_cache(["UserId"], [[1, 2, 3]]) == 1
        filled(entries, 1, indexed=True)
    with MRCServer(redis_url, index=True, namespace="shop") as server:
        assert server.drop_outdated_cache(["UserId"], [1]) == 0
    assert redis_client.exists(entry(1))


def test_an_entry_outside_the_index_makes_it_sweep(
    redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy]
) -> None:
    """Somebody reads without an index: as long as such an entry may live, all keys are looked at."""
    proxy = proxy_to(redis_url)
    with indexed(proxy.url) as (entries, server):
        filled(entries, 1, 6, indexed=True)
        outside = filled(entries, 1, 7, indexed=False, longest=0.01)
        with recorded(proxy) as seen:
            assert server.drop_outdated_cache(["UserId"], [1]) == 2
        assert swept(seen)
        assert not redis_client.exists(outside)

        seconds, microseconds = redis_client.time()
        over = seconds * 1000 + microseconds // 1000 - 1000
        redis_client.zadd(index.state_name(""), {"unindexed": over})
        with recorded(proxy) as seen:
            server.drop_outdated_cache(["UserId"], [1])
        assert not swept(seen)


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "volatile-lru", "noeviction"])
def test_while_nothing_is_missing_the_index_is_used(
    policy: str, private_redis: Callable[..., PrivateRedis], proxy_to: Callable[..., Proxy]
) -> None:
    """Whatever Redis may evict: what it has evicted is noticed."""
    proxy = proxy_to(private_redis("--maxmemory", "100mb", "--maxmemory-policy", policy).url)
    with indexed(proxy.url) as (entries, server):
        filled(entries, 1, 6, indexed=True)
        with recorded(proxy) as seen:
            assert server.drop_outdated_cache(["UserId"], [1]) == 1

    assert not swept(seen)


def test_eviction_of_keys_with_a_ttl_hides_no_entry_outside_the_index(
    private_redis: Callable[..., PrivateRedis],
) -> None:
    """The mark that there are such entries outlives what volatile-* evicts."""
    server = private_redis("--maxmemory-policy", "volatile-ttl")
    with indexed(server.url) as (entries, drops), redis.Redis.from_url(server.url) as admin:
        outside = filled(entries, 1, 7, indexed=False, longest=60)
        admin.persist(outside)  # so that it, of all keys, survives
        admin.set("with a ttl", "x", ex=30)
        admin.config_set("maxmemory", 1)
        with pytest.raises(redis.ResponseError):
            admin.set("x", "x" * 1000)
        assert not admin.exists("with a ttl")
        admin.config_set("maxmemory", 0)

        assert drops.drop_outdated_cache(["UserId"], [1]) == 1


def test_without_pairs_in_common_servers_without_index_still_find_indexed_entries(
    server: MRCServer, redis_url: str
) -> None:
    """A sweep needs no index."""
    with closing(link(patient(redis_url))) as made:
        filled(Entries(made, 10), 1, 6, indexed=True)

    assert server.drop_outdated_cache(["StoreId"], [6]) == 1


def test_an_indexed_drop_in_batches_has_an_end(
    redis_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its time, with the count."""
    monkeypatch.setattr(dropping, "SCAN_COUNT", 10)
    with indexed(redis_url) as (entries, server):
        for store in range(35):
            filled(entries, 1, store, indexed=True)
        with pytest.raises(DropTimeout, match=r"within 0 s \(looking up entries, 0 entries"):
            server.drop_outdated_cache(["UserId"], [1], timeout=0)

        assert server.drop_outdated_cache(["UserId"], [1]) == 35


# Replicas


@pytest.fixture(scope="module")
def replicated() -> Iterator[tuple[PrivateRedis, PrivateRedis]]:
    """A primary and its replica, in step."""
    with (
        PrivateRedis(["--repl-diskless-sync-delay", "0"]) as primary,
        PrivateRedis(["--replicaof", "127.0.0.1", str(primary.port)]) as replica,
        redis.Redis.from_url(replica.url) as client,
    ):
        give_up = time.monotonic() + SECONDS
        while client.info("replication")["master_link_status"] != "up":
            assert time.monotonic() < give_up
            time.sleep(0.01)
        yield primary, replica


@pytest.mark.parametrize("index", [False, True], ids=["sweep", "index"])
def test_a_drop_may_wait_for_replicas(index: bool, replicated: tuple[PrivateRedis, PrivateRedis]) -> None:
    """When it returns they have the deletions; if they have not, it says so, and so does the next drop."""
    primary, replica = replicated
    with (
        closing(link(patient(primary.url))) as made,
        redis.Redis.from_url(primary.url) as admin,
        redis.Redis.from_url(replica.url) as copy,
        MRCServer(primary.url, index=index, wait_replicas=1) as server,
    ):
        admin.flushdb()
        entries = Entries(made, 10)
        for user in (1, 2):
            filled(entries, user, 6, indexed=index)
        assert server.drop_outdated_cache(["UserId"], [1]) == 1
        assert copy.exists(entry(1, 6)) == 0
        assert copy.exists(entry(2, 6)) == 1

        replica.suspend()
        for count in (1, 0):  # the second finds nothing to delete, and still must not call it done
            with pytest.raises(DropTimeout, match=r"waiting for 1 replica\(s\)") as caught:
                server.drop_outdated_cache(["UserId"], [2], timeout=0.3)
            assert caught.value.dropped == (count if index else 0)
        replica.resume()
        server.drop_outdated_cache(["UserId"], [2])
        assert copy.exists(entry(2, 6)) == 0


def test_fewer_replicas_than_wanted_are_not_enough(replicated: tuple[PrivateRedis, PrivateRedis]) -> None:
    """Two are wanted and there is one."""
    with MRCServer(replicated[0].url, wait_replicas=2) as server, pytest.raises(DropTimeout):
        server.drop_outdated_cache(["UserId"], [1], timeout=0.2)


@pytest.mark.parametrize(
    ("bad", "error"),
    [(-1, ValueError), (2**31, ValueError), (True, TypeError), ("1", TypeError), (1.0, TypeError)],
    ids=repr,
)
def test_replicas_are_counted_in_whole_numbers(bad: Any, error: type[Exception]) -> None:
    """Anything else is refused at once."""
    with pytest.raises(error, match="wait_replicas must"):
        MRCServer("redis://", wait_replicas=bad)


# The server's life


def test_a_closed_server_is_closed(redis_url: str) -> None:
    """Finally; closing again does nothing."""
    server = MRCServer(redis_url)
    server.drop_outdated_cache(["UserId"], [1])
    server.close()
    server.close()

    with pytest.raises(ClosedError, match="this server is closed; make a new one"):
        server.drop_outdated_cache(["UserId"], [1])


def test_a_closed_connection_is_opened_again(redis_url: str, redis_client: redis.Redis) -> None:
    """close_redis_connection() only lets go of the connections."""
    with MRCServer(redis_url) as server:
        for _ in range(2):
            fill_users(redis_client, range(1, 2))
            assert server.drop_outdated_cache(["UserId"], [1]) == 1
            server.close_redis_connection()
            assert not living(server._link._connections)


def test_a_server_needs_redis() -> None:
    """Without one there is nothing to drop from."""
    with pytest.raises(TypeError, match=r"redis_config must be .* not builtins\.NoneType"):
        MRCServer(None)


@pytest.mark.parametrize("indexed", [False, True])
def test_a_name_is_dropped_with_all_its_values(
    redis_client: redis.Redis, redis_url: str, indexed: bool
) -> None:
    """Whether there is an index or not, all entries that carry a name go, and no others."""
    kept = entry(1, names=("Shop",))
    gone = [entry(value, names=("Id",)) for value in (1, "x", [1, 2])]
    for name in [kept, *gone]:
        redis_client.set(name, b"[]")
    drops = dropping.Drops(link(redis_url), Namespace(), indexed=indexed)

    assert drops.perform([AnyValue(["Id"])], dropping.Budget(SECONDS)) == len(gone)
    assert redis_client.exists(kept) == 1
    assert redis_client.exists(*gone) == 0
