"""What an entry is registered in, what becomes of that, and how far a drop trusts it."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
import redis

from mysql_redis_cache import keys
from mysql_redis_cache.drops import Budget, lookup
from mysql_redis_cache.errors import DropTimeout
from mysql_redis_cache.server import MRCServer
from mysql_redis_cache.store import index, link
from mysql_redis_cache.store.entries import Entries, Name
from tests.support.populating import entry, lease
from tests.support.recording import commands, recorded
from tests.support.urls import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.proxy import Proxy
    from tools.private_servers import PrivateRedis

pytestmark = pytest.mark.real

QUERY = "SELECT * FROM users WHERE id = ?"
NEVER = -1.0  # newer_than: any entry will do
ME, OTHER = b"me", b"somebody else"
STATE, PAIRS = index.state_name(""), index.registry_name("")


@pytest.fixture
def entries(redis_url: str) -> Iterator[Entries]:
    with closing(link(patient(redis_url))) as made:
        yield Entries(made, lease_seconds=10)


def set_of(text: str, prefix: str = "") -> bytes:
    return index.set_name(index.pair_digest(prefix, text))


SET = set_of("UserId=1")


def named(
    entries: Entries, *values: object, longest: float = 60, indexed: bool = True, prefix: str = ""
) -> Name:
    names = ["UserId", "StoreId", "Name"][: len(values)]
    key = keys.make_key(QUERY, list(values), names, prefix)
    name = entries.name(key, keys.pair_texts(list(values), names), prefix, longest, indexed=indexed)
    assert name is not None
    return name


def filled(entries: Entries, *values: object, **options: Any) -> bytes:
    """Load and cache an entry."""
    name = named(entries, *values, **options)
    assert entries.acquire(name, ME, NEVER) is True
    assert entries.fill(name, ME, b"[]", 60)
    return name.key


def scores(client: redis.Redis, key: bytes) -> dict[bytes, float]:
    """The members of a sorted set, and how many milliseconds from now each is over."""
    seconds, microseconds = client.time()
    now = seconds * 1000 + microseconds / 1000
    return {member: abs(score) - now for member, score in client.zrange(key, 0, -1, withscores=True)}


def hasten(client: redis.Redis, milliseconds: int) -> None:
    """Let time pass, for the index and all that has a TTL."""
    for key in client.scan_iter():
        if (left := client.pttl(key)) >= 0:
            client.pexpire(key, left - milliseconds)
        if client.type(key) == b"zset":
            for member, score in client.zrange(key, 0, -1, withscores=True):
                client.zadd(key, {member: score - milliseconds if score > 0 else score + milliseconds})


# Registered


def test_a_lease_registers_its_entry(entries: Entries, redis_client: redis.Redis) -> None:
    """In the set of each pair, until the last moment it can live, and the set in the registry."""
    name = named(entries, 1, longest=60)
    entries.acquire(name, ME, NEVER)
    found = scores(redis_client, SET), scores(redis_client, PAIRS), scores(redis_client, STATE)

    assert [list(members) for members in found] == [[name.key], [SET.removeprefix(b"mrc:idx:")], [b"over"]]
    for members in found:
        assert 70_000 < next(iter(members.values())) <= 70_000 * 65 // 64
    assert 70_000 < redis_client.pttl(SET) <= 70_000 * 65 // 64
    assert 70_000 < redis_client.pttl(PAIRS) <= 70_000 * 65 // 64
    assert redis_client.pttl(STATE) == -1


def test_a_number_list_is_registered_under_each_element(entries: Entries, redis_client: redis.Redis) -> None:
    """And as a whole, for a drop of the list."""
    name = named(entries, [1, 2])
    entries.acquire(name, ME, NEVER)

    for text in ("UserId=1,2", "UserId=1", "UserId=2"):
        assert set(scores(redis_client, set_of(text))) == {name.key}


def test_a_long_key_is_kept_once(entries: Entries, redis_client: redis.Redis) -> None:
    """Its sets hold a digest, and one string the key: what a caller sizes is not multiplied."""
    name = named(entries, list(range(50)), "x" * 1000)
    entries.acquire(name, ME, NEVER)
    digest = index.digest_of(name.key)

    assert len(name.key) > 1000
    assert (
        set(scores(redis_client, SET))
        == set(scores(redis_client, set_of("StoreId=" + "x" * 1000)))
        == {digest}
    )
    assert redis_client.get(index.set_name(digest)) == name.key
    assert 70_000 < redis_client.pttl(index.set_name(digest)) <= 70_000 * 65 // 64


def test_memory_grows_with_the_list_and_no_faster(entries: Entries, redis_client: redis.Redis) -> None:
    """Twice the numbers, about twice the bytes."""

    def bytes_of(count: int) -> int:
        redis_client.flushdb()
        entries.acquire(named(entries, list(range(10**9, 10**9 + count))), ME, NEVER)
        return sum(redis_client.memory_usage(key) or 0 for key in redis_client.scan_iter())

    few, many = bytes_of(50), bytes_of(200)
    assert many < 8 * few  # the square would be sixteen times as much
    assert many < 200 * 600


@pytest.mark.parametrize(
    "values",
    [[list(range(index.MOST_PAIRS))], [list(range(20_000))], [1, "x" * index.LONGEST_KEY]],
    ids=["one pair too many", "20,000 numbers", "a long text"],
)
def test_an_entry_that_is_too_large_is_marked(
    values: list[Any], entries: Entries, redis_client: redis.Redis, redis_url: str
) -> None:
    """It is in no set, but a drop knows, and finds it by walking over all keys."""
    for begun in (False, True):
        if begun:
            redis_client.flushdb()
            filled(entries, 99)
        registered = sorted(redis_client.keys("mrc:*"))
        key = filled(entries, *values)

        assert sorted(redis_client.keys("mrc:*")) == registered
        assert (scores(redis_client, STATE).get(b"unindexed", 0) > 69_000) is begun
        with MRCServer(redis_url, index=True) as server:
            assert server.drop_outdated_cache(["UserId"], [1]) == 1
        assert not redis_client.exists(key)


def test_namespaces_have_indexes_of_their_own(entries: Entries, redis_client: redis.Redis) -> None:
    """A drop in one does not look at the entries of the other, nor at its marks."""
    for prefix in ("", "shop:", "shop:pairs:"):
        entries.acquire(named(entries, 1, prefix=prefix), ME, NEVER)
    names = {key for key in redis_client.scan_iter() if key.startswith(b"mrc:")}

    assert len(names) == 3 * 3
    assert set_of("UserId=1", "shop:") != SET
    assert all(b"=" not in name for name in names)  # npm's drops match substrings of names


@pytest.mark.parametrize("step", ["put", "acquire"])
def test_whatever_prolongs_the_entrys_life_registers_it_again(
    step: str, entries: Entries, redis_client: redis.Redis
) -> None:
    """The moment only ever grows, also for what calls with another ttl had registered."""
    name = named(entries, 1, longest=60)
    entries.acquire(name, ME, NEVER)
    hasten(redis_client, 50_000)
    {
        "put": lambda: entries.put(name, b"[1]", 60),
        "acquire": lambda: entries.acquire(name, ME, NEVER),
    }[step]()
    for longest in (60, 1):
        entries.put(named(entries, 1, longest=longest), b"[1]", 1)
        assert scores(redis_client, SET)[name.key] > 69_000
        assert min(scores(redis_client, PAIRS).values()) > 69_000
        assert min(redis_client.pttl(SET), redis_client.pttl(PAIRS)) > 69_000
        assert scores(redis_client, STATE)[b"over"] > 69_000


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("values", [[1], [[1, *range(100, 130)]]], ids=["short", "long"])
def test_a_renewal_registers_only_what_would_run_out(
    indexed: bool, values: list[Any], entries: Entries, redis_client: redis.Redis
) -> None:
    """Which is when the load has lasted for longer than the spare time of its registration."""
    name = named(entries, *values, longest=6400, indexed=indexed)
    entries.acquire(named(entries, 99), ME, NEVER)  # so that there is an index
    where, member = (SET, name.key if len(name.key) <= 64 else index.digest_of(name.key))
    if not indexed:
        where, member = STATE, b"unindexed"
    entries.acquire(name, ME, NEVER)
    hasten(redis_client, 50_000 if indexed else 0)
    redis_client.set(name.lease, ME, px=10_000)
    before = redis_client.zscore(where, member)
    for _ in range(3):
        assert entries.renew(name, ME) is True
    assert redis_client.zscore(where, member) == before

    hasten(redis_client, 80_000)
    redis_client.set(name.lease, ME, px=10_000)
    assert entries.renew(name, ME) is True
    assert scores(redis_client, where)[member] >= name.life


def test_a_lost_lease_registers_nothing(entries: Entries, redis_client: redis.Redis) -> None:
    """Neither an acquire that lost nor a renewal without a lease."""
    entries.acquire(named(entries, 1, indexed=False), OTHER, NEVER)
    name = named(entries, 1)

    assert entries.acquire(name, ME, NEVER) is False
    assert entries.renew(name, ME) is False
    assert not redis_client.exists(SET)


def test_without_pairs_there_is_nothing_to_register(entries: Entries, redis_client: redis.Redis) -> None:
    """No drop looks for such an entry; it has a lease all the same."""
    for indexed in (False, True):
        name = entries.name(keys.make_key(QUERY), (), "", 60, indexed=indexed)
        assert name is not None
        assert name.tracks == ()
        assert entries.acquire(name, ME, NEVER) is True

    assert redis_client.keys("mrc:*") == []


def test_without_an_index_nothing_is_left_where_nobody_uses_one(
    entries: Entries, redis_client: redis.Redis
) -> None:
    """Neither a mark nor anything else, unless another uses one."""
    for name in (named(entries, 1, indexed=False), named(entries, 2, indexed=False, prefix="shop:")):
        entries.acquire(name, ME, NEVER)
        entries.renew(name, ME)
        entries.put(name, b"[1]", 60)
    assert redis_client.keys("mrc:*") == []
    filled(entries, 1, prefix="shop:")
    entries.put(named(entries, 3, indexed=False), b"[1]", 60)
    assert STATE not in redis_client.keys("mrc:*")


def test_without_an_index_a_mark_tells_until_when(entries: Entries, redis_client: redis.Redis) -> None:
    """Drops by index sweep while it counts. It has no TTL, so that volatile-* does not evict it."""
    filled(entries, 99)
    entries.acquire(named(entries, 1, longest=60, indexed=False), ME, NEVER)

    assert 69_000 < scores(redis_client, STATE)[b"unindexed"] <= 70_000 * 65 // 64
    assert redis_client.pttl(STATE) == -1
    entries.put(named(entries, 2, longest=1, indexed=False), b"[1]", 1)
    assert scores(redis_client, STATE)[b"unindexed"] > 69_000


# Nothing is left behind


def test_nothing_is_left_after_the_last_entrys_time(redis_url: str, redis_client: redis.Redis) -> None:
    """Whatever had been registered, and without anybody there to clean up: one small key stays."""
    with closing(link(patient(redis_url))) as made:
        entries = Entries(made, lease_seconds=0.05)
        for user in range(500):
            filled_name = named(entries, [user, user + 1000, user + 2000], user, longest=0.05)
            entries.acquire(filled_name, ME, NEVER)
            if user == 20:
                assert redis_client.dbsize() > 20
        give_up = time.monotonic() + 10
        while redis_client.keys() != [STATE]:
            assert time.monotonic() < give_up, redis_client.keys()
            time.sleep(0.02)

    assert redis_client.zcard(STATE) == 1


def test_members_leave_a_set_that_lives(entries: Entries, redis_client: redis.Redis) -> None:
    """Two for each that comes: it cannot grow beyond those alive, and no script is held up by thousands."""
    for store in range(20):
        entries.acquire(named(entries, 1, store, longest=1), ME, NEVER)
    kept = named(entries, 1, 99, longest=600)
    entries.acquire(kept, ME, NEVER)
    hasten(redis_client, 60_000)
    for number in range(5):
        entries.acquire(named(entries, 1, 100 + number, longest=600), ME, NEVER)
        assert redis_client.zcard(SET) == 21 - 2 * (number + 1) + number + 1


@pytest.fixture
def volatile(private_redis: Callable[..., PrivateRedis]) -> Iterator[tuple[Entries, redis.Redis]]:
    """A Redis that evicts what has a TTL."""
    server = private_redis("--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru")
    with closing(link(patient(server.url))) as made, redis.Redis.from_url(server.url) as client:
        yield Entries(made, lease_seconds=10), client


def test_what_redis_might_evict_has_no_ttl(volatile: tuple[Entries, redis.Redis]) -> None:
    """Under volatile-* an index with a TTL would go first: it is read less often than entries."""
    entries, client = volatile
    entries.acquire(named(entries, 1), ME, NEVER)
    entries.acquire(named(entries, list(range(30))), ME, NEVER)

    assert {client.pttl(key) for key in client.scan_iter("mrc:*")} == {-1}
    client.config_set("maxmemory-policy", "noeviction")
    hasten(client, 60_000)
    entries.acquire(named(entries, 1), ME, NEVER)
    entries.acquire(named(entries, 1), ME, NEVER)
    assert client.pttl(PAIRS) > 0
    client.config_set("maxmemory-policy", "volatile-ttl")
    hasten(client, 60_000)
    entries.acquire(named(entries, 1), ME, NEVER)
    hasten(client, 60_000)
    entries.acquire(named(entries, 1), ME, NEVER)
    assert client.pttl(PAIRS) == client.pttl(SET) == -1


def test_without_a_ttl_sets_end_when_others_are_written_to(volatile: tuple[Entries, redis.Redis]) -> None:
    """More of them than are new, so that they cannot pile up at any rate; and a bounded number at once."""
    entries, client = volatile
    most = 0
    for second in range(40):
        for number in range(10):
            user = second * 1000 + number
            entries.acquire(named(entries, [user, user + 100, user + 200], longest=1), ME, NEVER)
        hasten(client, 3_000)
        most = max(most, sum(1 for _ in client.scan_iter("mrc:*")))
    living = 5 * 10 * 4  # twelve seconds each

    assert most <= 2 * living
    for number in range(living):
        entries.acquire(named(entries, 1, longest=600), OTHER if number % 2 else ME, NEVER)
        client.delete(lease(named(entries, 1).key))
        hasten(client, 100)
    assert set(client.keys("mrc:*")) == {STATE, PAIRS, SET}


def test_a_registration_does_a_bounded_number_of_things(entries: Entries, redis_client: redis.Redis) -> None:
    """Ten thousand members and sets whose time is over hold nobody up."""
    redis_client.zadd(SET, {f"{number:064}": 1 for number in range(10_000)})
    redis_client.zadd(PAIRS, {f"{number:016}": 1 for number in range(10_000)})
    redis_client.zadd(STATE, {"over": 1})
    entries.acquire(named(entries, 2), ME, NEVER)
    redis_client.delete(named(entries, 2).lease)
    before = redis_client.info("commandstats")
    entries.acquire(named(entries, 1), ME, NEVER)
    after = redis_client.info("commandstats")
    done = {
        name: after[name]["calls"] - before.get(name, {"calls": 0})["calls"]
        for name in after
        if name != "cmdstat_info"
    }

    assert sum(done.values()) < 40
    assert redis_client.zcard(SET) == 10_000 - 2 + 1


# How far it is trusted


@contextmanager
def watched(
    url: str, proxy_to: Callable[..., Proxy], **options: Any
) -> Iterator[Callable[..., tuple[int, bool]]]:
    """Give a drop by index that tells how many entries went, and whether it had to walk."""
    proxy = proxy_to(url)
    with MRCServer(proxy.url, index=True, **options) as server:

        def drop(*pairs: tuple[str, object]) -> tuple[int, bool]:
            with recorded(proxy) as seen:
                dropped = server.drop_outdated_cache(
                    [name for name, _ in pairs], [value for _, value in pairs]
                )
            return dropped, "SCAN" in commands(seen)

        yield drop


def test_a_client_without_an_index_elsewhere_changes_nothing(
    entries: Entries, redis_url: str, proxy_to: Callable[..., Proxy]
) -> None:
    """Its entries cannot carry this namespace; one in the same namespace has drops walk."""
    filled(entries, 1, prefix="a:")
    filled(entries, 1, prefix="b:", indexed=False)
    filled(entries, 1, indexed=False)
    with watched(redis_url, proxy_to, namespace="a") as drop:
        assert drop(("UserId", 1)) == (1, False)
        filled(entries, 1, prefix="a:", indexed=False)
        assert drop(("UserId", 1)) == (1, True)


# What was there before


def before(client: redis.Redis, *values: object, px: int | None = 60_000) -> bytes:
    """An entry from a client without an index, cached when nobody used one."""
    key = entry(*values)
    client.set(key, b"[]", px=px)
    return key


def test_entries_from_before_the_index_are_found(
    entries: Entries, redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy]
) -> None:
    """The first drop finds out how long they may live: until then drops walk, and then no more."""
    keys_before = [before(redis_client, 1), before(redis_client, 2, 7, px=40_000)]
    filled(entries, 1, 5, longest=6000)
    filled(entries, 2, "x" * 99, longest=6000)
    with watched(redis_url, proxy_to) as drop:
        assert drop(("UserId", 1)) == (2, True)
        assert 59_000 < scores(redis_client, STATE)[b"unindexed"] <= 60_000
        assert b"unknown" not in scores(redis_client, STATE)
        assert drop(("UserId", 2)) == (2, True)
        assert redis_client.exists(*keys_before) == 0
        hasten(redis_client, 70_000)
        filled(entries, 3)
        assert drop(("UserId", 3)) == (1, False)


@pytest.mark.parametrize("others", [0, 5, 3000])
def test_where_no_entry_was_before_the_index_is_used_at_once(
    others: int, redis_url: str, redis_client: redis.Redis, entries: Entries, proxy_to: Callable[..., Proxy]
) -> None:
    """Whatever else lies there, and however many are loading by the time of the first drop."""
    redis_client.mset({f"session:{number}": "x" for number in range(others)} | {"x": "y"})
    redis_client.mset({f"a={number}": "x" for number in range(others)} | {"x": "y"})
    redis_client.set(entry(1, prefix="shop:"), b"[]")
    for user in (1, 2):
        filled(entries, user, prefix="blog:")
    with watched(redis_url, proxy_to, namespace="blog") as drop:
        drop(("UserId", 1))
        assert drop(("UserId", 2)) == (1, False)


def test_a_load_from_before_the_index_is_waited_for(
    entries: Entries, redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy]
) -> None:
    """It may leave an entry of which nobody knows: drops walk until its lease has ended."""
    name = named(entries, 1, indexed=False)
    entries.acquire(name, ME, NEVER)
    filled(entries, 2)
    with watched(redis_url, proxy_to) as drop:
        assert drop(("UserId", 9)) == (0, True)
        assert entries.fill(name, ME, b"[]", 60)
        assert b"unknown" in scores(redis_client, STATE)
        assert drop(("UserId", 1)) == (1, True)


def test_a_load_from_before_the_index_that_lasts_is_registered_when_it_is_renewed(
    entries: Entries, redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy]
) -> None:
    """Fifteen seconds after its begin each living lease has been, so nobody need wait for them."""
    outside, inside = named(entries, 1, indexed=False), named(entries, 2, 7)
    for name in (outside, inside):
        entries.acquire(name, ME, NEVER)
    evicted(redis_client, STATE, PAIRS, set_of("UserId=2"))  # it is left in the set of its other pair
    filled(entries, 3)
    assert b"unknown" in scores(redis_client, STATE)
    assert entries.renew(outside, ME)
    assert entries.renew(inside, ME)
    assert scores(redis_client, STATE)[b"unindexed"] > 69_000
    assert redis_client.zscore(set_of("UserId=2"), inside.key)
    hasten(redis_client, 16_000)
    for name in (outside, inside):
        redis_client.set(name.lease, ME, px=10_000)
    with watched(redis_url, proxy_to) as drop:
        assert drop(("UserId", 3)) == (1, True)  # for the one outside
        assert b"unknown" not in scores(redis_client, STATE)
        hasten(redis_client, 60_000)
        assert drop(("UserId", 3)) == (0, False)


def test_an_entry_without_an_end_has_drops_walk_for_ever(
    entries: Entries, redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy]
) -> None:
    """Nobody of this library stores one, but it might be outdated one day."""
    before(redis_client, 1, px=None)
    with watched(redis_url, proxy_to) as drop:
        for _ in range(2):
            filled(entries, 2)
            assert drop(("UserId", 2)) == (1, True)
        assert drop(("UserId", 1)) == (1, True)


def test_finding_out_may_take_half_the_time(
    redis_url: str, redis_client: redis.Redis, entries: Entries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If that is not enough the other half is left for the walk, and it is not tried again for a minute."""
    asked: list[float] = []

    def settle(_pinned: object, _prefix: str, _since: bytes, budget: Budget) -> bool:
        asked.append(budget.seconds)
        raise DropTimeout(budget.seconds, "looking", 0)

    monkeypatch.setattr(lookup, "settle", settle)
    before(redis_client, 1)
    filled(entries, 1, 5)
    with MRCServer(redis_url, index=True) as server:
        assert server.drop_outdated_cache(["UserId"], [1], timeout=30) == 2
        assert server.drop_outdated_cache(["UserId"], [1], timeout=30) == 0
    assert len(asked) == 1
    assert 14 < asked[0] <= 15


# What is missing


def test_what_another_version_registers_has_drops_walk(
    entries: Entries, redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy]
) -> None:
    """While it may live: during a deploy both are at work."""
    filled(entries, 2)
    seconds, _ = redis_client.time()
    redis_client.zadd(STATE, {f"mrc:idx:{number:040x}": (seconds + 5) * 1000 for number in range(20)})
    with watched(redis_url, proxy_to) as drop:
        assert drop(("UserId", 2)) == (1, True)
        hasten(redis_client, 10_000)
        assert drop(("UserId", 2)) == (0, False)


def evicted(client: redis.Redis, *names: bytes) -> None:
    """Have Redis lose keys."""
    assert client.delete(*names) == len(names)


@pytest.mark.parametrize(
    "registers", [False, True], ids=["nobody writes meanwhile", "others register meanwhile"]
)
@pytest.mark.parametrize("lost", ["set", "registry", "both", "long key"])
def test_a_part_that_is_missing_is_noticed(
    lost: str,
    registers: bool,
    entries: Entries,
    redis_url: str,
    redis_client: redis.Redis,
    proxy_to: Callable[..., Proxy],
) -> None:
    """What it named may live, so drops walk until that is over."""
    short, long = filled(entries, 1), filled(entries, 1, "x" * 100)
    evicted(
        redis_client,
        *{
            "set": [SET],
            "registry": [PAIRS],
            "both": [PAIRS, SET],
            "long key": [index.set_name(index.digest_of(long))],
        }[lost],
    )
    if registers:
        filled(entries, 1, 2)
        filled(entries, 7)
    with watched(redis_url, proxy_to) as drop:
        assert drop(("UserId", 1)) == (3 if registers else 2, True)
        assert not redis_client.exists(short, long)
        if registers and lost != "long key":
            assert drop(("UserId", 7)) == (1, True)
            hasten(redis_client, 80_000)
            filled(entries, 7)
            assert drop(("UserId", 7)) == (1, False)


def test_a_missing_set_of_a_combination_is_noticed(
    entries: Entries, redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy]
) -> None:
    """What two sets have in common is nothing, if one of them is gone."""
    filled(entries, 1, 2)
    with watched(redis_url, proxy_to) as drop:
        assert drop(("UserId", 1), ("StoreId", 3)) == (0, False)
        evicted(redis_client, set_of("StoreId=2"))
        assert drop(("UserId", 1), ("StoreId", 2)) == (1, True)


def test_two_keys_of_one_digest_are_not_mixed_up(
    entries: Entries, redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy]
) -> None:
    """The second is in no index, and is found by a walk."""
    name = named(entries, 1, "x" * 100)
    redis_client.set(index.set_name(index.digest_of(name.key)), "another key", px=60_000)
    assert entries.acquire(name, ME, NEVER) is True
    assert entries.fill(name, ME, b"[]", 60)
    with watched(redis_url, proxy_to) as drop:
        assert drop(("UserId", 1)) == (1, True)


@pytest.fixture
def evicting(private_redis: Callable[..., PrivateRedis]) -> Iterator[tuple[PrivateRedis, redis.Redis]]:
    """A Redis that has evicted something."""
    server = private_redis("--maxmemory-policy", "allkeys-random")
    with redis.Redis.from_url(server.url) as client:
        evict_something(client)
        client.config_set("maxmemory-policy", "noeviction")
        yield server, client


def evict_something(client: redis.Redis) -> None:
    client.set("somebody's", "x" * 1000)
    client.config_set("maxmemory", 1)
    with pytest.raises(redis.ResponseError):
        client.set("x", "x" * 1000)
    client.config_set("maxmemory", 0)
    assert client.info("stats")["evicted_keys"] > 0


def test_an_index_of_which_all_may_have_been_evicted_is_begun_anew(
    evicting: tuple[PrivateRedis, redis.Redis], proxy_to: Callable[..., Proxy]
) -> None:
    """Then no entry counts as registered: another part of what it was in may be gone."""
    server, client = evicting
    with closing(link(patient(server.url))) as made, watched(server.url, proxy_to) as drop:
        entries = Entries(made, 10)
        filled(entries, 1, 7)
        evicted(client, STATE, PAIRS, set_of("StoreId=7"))
        filled(entries, 5)
        assert drop(("StoreId", 7)) == (1, True)
        assert scores(client, STATE)[b"unindexed"] > 50_000
        client.flushdb()
        filled(entries, 1, 7)
        assert drop(("StoreId", 7)) == (1, False)


def test_what_was_evicted_is_not_trusted_after_the_policy_has_changed(
    private_redis: Callable[..., PrivateRedis],
) -> None:
    """An operator's fix for evictions comes too late for sets that are gone."""
    server = private_redis("--maxmemory-policy", "allkeys-random")
    with (
        closing(link(patient(server.url))) as made,
        redis.Redis.from_url(server.url) as client,
        MRCServer(server.url, index=True) as drops,
    ):
        entries = Entries(made, 10)
        for _ in range(5):
            client.flushall()
            client.config_set("maxmemory-policy", "allkeys-random")
            names = [filled(entries, user, user % 7) for user in range(300)]
            client.config_set("maxmemory", int(client.info("memory")["used_memory"]) - 60_000)
            with suppress(redis.ResponseError):
                client.set("x", "y")
            client.config_set("maxmemory", 0)
            client.config_set("maxmemory-policy", "noeviction")
            filled(entries, 1000)
            for user in range(300):
                drops.drop_outdated_cache(["UserId"], [user])
            assert client.exists(*names) == 0


def test_an_account_without_info_may_keep_an_index(
    private_redis: Callable[..., PrivateRedis], proxy_to: Callable[..., Proxy]
) -> None:
    """Where entries may be left from before it does not know what was evicted: drops walk while they live."""
    server = private_redis()
    with redis.Redis.from_url(server.url) as admin:
        admin.set(entry(5), "[]", ex=60)
        admin.acl_setuser("limited", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-info"])
        url = server.url.replace("redis://", "redis://limited:x@")
        with closing(link(patient(url))) as made, watched(url, proxy_to) as drop:
            filled(Entries(made, 10), 1)
            assert drop(("UserId", 1)) == (1, True)
            assert drop(("UserId", 5)) == (1, True)


@pytest.mark.parametrize("refused", ["zmscore", "zrange", "time"])
def test_a_refused_lookup_has_drops_walk(
    refused: str, private_redis: Callable[..., PrivateRedis], proxy_to: Callable[..., Proxy]
) -> None:
    """An old server, or an account without the right: slower, and as right."""
    server = private_redis()
    with (
        redis.Redis.from_url(server.url) as admin,
        closing(link(patient(server.url))) as made,
    ):
        filled(Entries(made, 10), 1)
        admin.acl_setuser("limited", enabled=True, nopass=True, keys=["*"], commands=["+@all", f"-{refused}"])
        with watched(server.url.replace("redis://", "redis://limited:x@"), proxy_to) as drop:
            assert drop(("UserId", 1)) == (1, True)


def test_a_key_of_somebody_else_under_the_states_name_goes(
    entries: Entries, redis_client: redis.Redis, redis_url: str, proxy_to: Callable[..., Proxy]
) -> None:
    """Nothing would be cached otherwise; drops walk until there is a state."""
    for indexed in (True, False):
        redis_client.flushdb()
        redis_client.set(STATE, "x")
        with watched(redis_url, proxy_to) as drop:
            assert drop(("UserId", 1)) == (0, True)
            filled(entries, 1, indexed=indexed)
            assert drop(("UserId", 1)) == (1, not indexed)
