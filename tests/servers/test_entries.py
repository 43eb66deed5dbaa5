"""Entries, leases and the index in Redis: what each step does there, also when it is sent twice."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import keys
from mysql_redis_cache.store import Refused, link
from mysql_redis_cache.store.entries import Entries, Found, Name
from tests.support.recording import commands, recorded
from tests.support.urls import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from tests.support.proxy import Proxy
    from tools.private_servers import PrivateRedis

pytestmark = pytest.mark.real

QUERY = "SELECT * FROM users WHERE id = ?"
NEVER = -1.0  # newer_than: any entry will do
ALWAYS = float("inf")  # newer_than: none is new enough
ME, OTHER = b"me", b"somebody else"


@pytest.fixture
def entries(redis_url: str) -> Iterator[Entries]:
    with closing(link(patient(redis_url))) as made:
        yield Entries(made, lease_seconds=10)


def named(entries: Entries, user: object = 1, *, longest: float = 60, indexed: bool = False) -> Name:
    names, params = ["UserId"], [user]
    key = keys.make_key(QUERY, params, names)
    name = entries.name(key, keys.pair_texts(params, names), "", longest, indexed=indexed)
    assert name is not None
    return name


@pytest.fixture
def name(entries: Entries) -> Name:
    return named(entries)


# Reading


def test_an_entry_is_read_as_it_lies_there(entries: Entries, name: Name, redis_client: redis.Redis) -> None:
    """Bytes, or nothing; with the time it has left where that is asked for."""
    assert entries.get(name.key) is None
    assert entries.get_aged(name.key) is None
    redis_client.set(name.key, b'[{"a":1}]', px=5000)
    found = entries.get_aged(name.key)

    assert entries.get(name.key) == b'[{"a":1}]'
    assert found is not None
    assert found.payload == b'[{"a":1}]'
    assert 4 < found.left <= 5


def test_an_entry_without_an_end_has_infinitely_much_left(
    entries: Entries, name: Name, redis_client: Any
) -> None:
    """Somebody else may have stored it so."""
    redis_client.set(name.key, b"[]")

    assert entries.get_aged(name.key) == Found(b"[]", ALWAYS)


def test_several_are_read_in_order(entries: Entries, redis_client: redis.Redis) -> None:
    """Missing ones and those of another type leave their places empty; the same key may come twice."""
    redis_client.set("a", b"1")
    redis_client.hset("hash", "field", "value")
    asked = [b"a", b"none", b"hash", b"a"]

    assert entries.get_many(asked) == [b"1", None, None, b"1"]
    assert entries.get_many_aged(asked) == [Found(b"1", ALWAYS), None, None, Found(b"1", ALWAYS)]
    assert entries.get_many([b"hash"]) == [None]


def test_another_type_is_a_miss(entries: Entries, name: Name, redis_client: redis.Redis) -> None:
    """It is loaded over: the lease is won, the fill replaces it."""
    redis_client.rpush(name.key, "a", "b")

    assert entries.get(name.key) is None
    assert entries.get_aged(name.key) is None
    assert entries.acquire(name, ME, NEVER) is True
    assert entries.fill(name, ME, b"[1]", 60)
    assert redis_client.get(name.key) == b"[1]"


@pytest.mark.parametrize(
    ("read", "sent"),
    [
        (lambda entries, key: entries.get(key), ["GET"]),
        (lambda entries, key: entries.get_many([key]), ["GET"]),
        (lambda entries, key: entries.get_many([key, key]), ["MGET"]),
        (lambda entries, key: entries.get_aged(key), ["PTTL", "GET"]),
        (lambda entries, key: entries.get_many_aged([key, key]), ["PTTL", "GET", "PTTL", "GET"]),
    ],
    ids=["one", "many of one", "many", "aged", "many aged"],
)
def test_a_read_is_one_round_trip(
    read: Callable[[Entries, bytes], object], sent: list[str], redis_url: str, proxy_to: Callable[..., Proxy]
) -> None:
    """A hit is one command, unless it has to know its age: that is asked first, so as not to be too long."""
    proxy = proxy_to(redis_url)
    with closing(link(patient(proxy.url))) as made:
        entries = Entries(made, 10)
        read(entries, b"key")
        trips = proxy.round_trips
        with recorded(proxy) as seen:
            read(entries, b"key")

        assert commands(seen) == sent
        assert proxy.round_trips == trips + 1


# The lease


def test_a_cold_key_is_won_once(entries: Entries, name: Name, redis_client: redis.Redis) -> None:
    """The second to ask has lost, until the first is done."""
    assert entries.acquire(name, ME, NEVER) is True
    assert entries.acquire(name, OTHER, NEVER) is False
    assert redis_client.get(name.lease) == ME
    assert 9000 < redis_client.pttl(name.lease) <= 10_000


def test_a_command_sent_again_wins_again(entries: Entries, name: Name) -> None:
    """The reply to the first may have been lost: nobody waits for itself."""
    assert [entries.acquire(name, ME, NEVER) for _ in range(3)] == [True] * 3


def test_who_fills_ends_the_lease(entries: Entries, name: Name, redis_client: redis.Redis) -> None:
    """The entry is there for its lifetime, and the next to ask for the lease gets it."""
    entries.acquire(name, ME, NEVER)
    assert entries.fill(name, ME, b"[1]", 60) is True

    assert redis_client.get(name.key) == b"[1]"
    assert 59 <= redis_client.ttl(name.key) <= 60
    assert not redis_client.exists(name.lease)
    found = entries.acquire(name, OTHER, NEVER)
    assert isinstance(found, Found)
    assert found.payload == b"[1]"
    assert 59 <= found.left <= 60


def test_a_fill_sent_again_changes_nothing(entries: Entries, name: Name, redis_client: redis.Redis) -> None:
    """It is refused, also if the entry has been dropped meanwhile."""
    entries.acquire(name, ME, NEVER)
    assert [entries.fill(name, ME, b"[1]", 60), entries.fill(name, ME, b"[1]", 60)] == [True, False]
    redis_client.delete(name.key)
    assert entries.fill(name, ME, b"[1]", 60) is False
    assert not redis_client.exists(name.key)


@pytest.mark.parametrize("lease", [None, OTHER], ids=["revoked", "another's"])
def test_without_the_lease_nothing_is_filled(
    lease: bytes | None, entries: Entries, name: Name, redis_client: redis.Redis
) -> None:
    """A drop has revoked it, or it ran out and somebody else loads; theirs is left alone."""
    entries.acquire(name, ME, NEVER)
    redis_client.delete(name.lease)
    if lease is not None:
        entries.acquire(name, lease, NEVER)

    assert entries.fill(name, ME, b"[1]", 60) is False
    assert not redis_client.exists(name.key)
    assert redis_client.get(name.lease) == lease


def test_a_lease_runs_out(redis_url: str, redis_client: redis.Redis) -> None:
    """A loader that was killed costs the others no more than its lease."""
    with closing(link(patient(redis_url))) as made:
        entries = Entries(made, lease_seconds=0.05)
        name = named(entries)
        entries.acquire(name, ME, NEVER)
        began = time.monotonic()
        while entries.acquire(name, OTHER, NEVER) is not True:
            assert time.monotonic() - began < 5
        assert time.monotonic() - began >= 0.03

        assert entries.fill(name, ME, b"[1]", 60) is False
        assert entries.renew(name, ME) is False


def test_a_lease_is_given_back_by_its_holder_only(
    entries: Entries, name: Name, redis_client: redis.Redis
) -> None:
    """Once; and after that the key is cold again."""
    entries.acquire(name, ME, NEVER)
    entries.release(name, OTHER)
    assert redis_client.get(name.lease) == ME
    entries.release(name, ME)
    entries.release(name, ME)

    assert not redis_client.exists(name.lease)
    assert entries.acquire(name, OTHER, NEVER) is True


def test_a_lease_is_renewed_by_its_holder_only(
    entries: Entries, name: Name, redis_client: redis.Redis
) -> None:
    """To its full life; nobody prolongs another's, and nobody brings back a revoked one."""
    entries.acquire(name, ME, NEVER)
    redis_client.pexpire(name.lease, 500)
    assert entries.renew(name, OTHER) is False
    assert redis_client.pttl(name.lease) <= 500
    assert [entries.renew(name, ME), entries.renew(name, ME)] == [True, True]
    assert redis_client.pttl(name.lease) > 9000
    redis_client.delete(name.lease)

    assert entries.renew(name, ME) is False
    assert not redis_client.exists(name.lease)


@pytest.mark.parametrize(
    ("left_ms", "newer_than", "found"),
    [
        pytest.param(5000, NEVER, True, id="any will do"),
        pytest.param(5000, 4.0, True, id="newer than that"),
        pytest.param(5000, 6.0, False, id="older than that"),
        pytest.param(5000, ALWAYS, False, id="load whatever is there"),
        pytest.param(None, 1e9, True, id="without an end, newer than any time"),
        pytest.param(None, ALWAYS, False, id="without an end, load whatever is there"),
    ],
)
def test_an_entry_that_is_new_enough_is_taken(
    left_ms: int | None,
    newer_than: float,
    found: bool,
    entries: Entries,
    name: Name,
    redis_client: redis.Redis,
) -> None:
    """A refresh that somebody else has done meanwhile is not done again."""
    redis_client.set(name.key, b"[1]", px=left_ms)
    claim = entries.acquire(name, ME, newer_than)

    assert isinstance(claim, Found) is found
    assert claim is True or isinstance(claim, Found)
    assert redis_client.get(name.lease) == (None if found else ME)


def test_the_entry_seen_is_not_newer_than_itself(
    entries: Entries, name: Name, redis_client: redis.Redis
) -> None:
    """Who saw it with so much left wins the lease to refresh it, unless it was refreshed since."""
    redis_client.set(name.key, b"old", px=5000)
    seen = entries.get_aged(name.key)
    assert seen is not None
    assert entries.acquire(name, ME, seen.left) is True
    entries.fill(name, ME, b"new", 60)

    claim = entries.acquire(name, OTHER, seen.left)
    assert isinstance(claim, Found)
    assert claim.payload == b"new"


def test_what_lies_under_the_leases_name_and_is_none_goes(
    entries: Entries, name: Name, redis_client: redis.Redis
) -> None:
    """A key of another type would otherwise have every reader wait for ever."""
    redis_client.rpush(name.lease, "x")
    assert entries.fill(name, ME, b"[1]", 60) is False
    entries.release(name, ME)
    assert entries.renew(name, ME) is False

    assert entries.acquire(name, ME, NEVER) is True
    assert entries.fill(name, ME, b"[1]", 60) is True


def test_many_leases_are_taken_in_one_round_trip(
    redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy]
) -> None:
    """Each is won, lost or answered by itself; the same key twice is won twice."""
    proxy = proxy_to(redis_url)
    with closing(link(patient(proxy.url))) as made:
        entries = Entries(made, 10)
        cold, held, warm = (named(entries, user) for user in (1, 2, 3))
        entries.acquire(held, OTHER, NEVER)
        redis_client.set(warm.key, b"[3]", ex=60)
        trips = proxy.round_trips
        claims = entries.acquire_many([(name, ME, NEVER) for name in (cold, held, warm, cold)])

        assert proxy.round_trips == trips + 1
    assert [claims[0], claims[1], claims[3]] == [True, False, True]
    assert isinstance(claims[2], Found)


def test_a_refused_lease_does_not_spoil_the_others(entries: Entries, redis_client: redis.Redis) -> None:
    """Those won in the same round trip are held, so whoever asked must hear of them."""
    first, refused, last = (named(entries, user) for user in (1, 2, 3))
    refused = refused._replace(tracks=(b"mrc:idx", b"mrc:idx:pairs", b"mrc:idx:no set"))
    redis_client.set(
        b"mrc:idx:no set", b""
    )  # of another type than a set, which is refused like a full server
    claims = entries.acquire_many([(name, ME, NEVER) for name in (first, refused, last)])

    assert [claims[0], claims[2]] == [True, True]
    assert isinstance(claims[1], Refused)


def test_many_fills_are_one_round_trip(
    redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy]
) -> None:
    """Each is accepted or refused by itself."""
    proxy = proxy_to(redis_url)
    with closing(link(patient(proxy.url))) as made:
        entries = Entries(made, 10)
        mine, lost = (named(entries, user) for user in (1, 2))
        for name in (mine, lost):
            entries.acquire(name, ME, NEVER)
        redis_client.delete(lost.lease)
        entries.fill(named(entries, 4), ME, b"[]", 60)  # so that the server knows the script
        trips = proxy.round_trips
        accepted = entries.fill_many([(name, ME, b"[1]", 60) for name in (mine, lost)])

        assert proxy.round_trips == trips + 1
    assert accepted == [True, False]
    assert redis_client.mget(mine.key, lost.key) == [b"[1]", None]


def test_many_leases_are_given_back_in_one_round_trip(
    redis_url: str, redis_client: redis.Redis, proxy_to: Callable[..., Proxy]
) -> None:
    """Those that are still held; nobody else's."""
    proxy = proxy_to(redis_url)
    with closing(link(patient(proxy.url))) as made:
        entries = Entries(made, 10)
        mine, others, gone = (named(entries, user) for user in (1, 2, 3))
        entries.acquire(mine, ME, NEVER)
        entries.acquire(others, OTHER, NEVER)
        entries.release(gone, ME)  # so that the server knows the script
        trips = proxy.round_trips
        entries.end_many([(name, ME, False) for name in (mine, others, gone)])

        assert proxy.round_trips == trips + 1
    assert [redis_client.exists(name.lease) for name in (mine, others, gone)] == [0, 1, 0]


def test_put_stores_and_revokes(entries: Entries, name: Name, redis_client: redis.Redis) -> None:
    """What the user says counts: a load that began before must not overwrite it."""
    entries.acquire(name, ME, NEVER)
    entries.put(name, b"[2]", 60)
    entries.put(name, b"[2]", 60)

    assert entries.fill(name, ME, b"[1]", 60) is False
    assert redis_client.get(name.key) == b"[2]"
    assert not redis_client.exists(name.lease)


def test_discard_deletes_the_entry(entries: Entries, name: Name, redis_client: redis.Redis) -> None:
    """Whoever holds the lease, which ends only for its holder."""
    redis_client.set(name.key, b"[1]")
    entries.acquire(name, ME, ALWAYS)
    assert entries.discard(name, OTHER) is False
    assert not redis_client.exists(name.key)
    assert redis_client.get(name.lease) == ME
    redis_client.set(name.key, b"[1]")

    assert [entries.discard(name, ME), entries.discard(name, ME)] == [True, False]
    assert not redis_client.exists(name.key, name.lease)


@pytest.mark.parametrize(
    "step",
    [
        lambda entries, name: entries.acquire(name, ME, NEVER),
        lambda entries, name: entries.fill(name, ME, b"[1]", 60),
        lambda entries, name: entries.release(name, ME),
        lambda entries, name: entries.renew(name, ME),
        lambda entries, name: entries.put(name, b"[1]", 60),
    ],
    ids=["acquire", "fill", "release", "renew", "put"],
)
def test_every_step_is_one_round_trip(
    step: Callable[[Entries, Name], object], redis_url: str, proxy_to: Callable[..., Proxy]
) -> None:
    """One script, known to the server by its hash."""
    proxy = proxy_to(redis_url)
    with closing(link(patient(proxy.url))) as made:
        entries = Entries(made, 10)
        name = named(entries, indexed=True)
        step(entries, name)
        trips = proxy.round_trips
        with recorded(proxy) as seen:
            step(entries, name)

        assert commands(seen) == ["EVALSHA"]
        assert proxy.round_trips == trips + 1


def test_a_full_server_keeps_no_lease_whose_fill_it_refused(
    private_redis: Callable[..., PrivateRedis],
) -> None:
    """Others need not wait for an entry that will not come."""
    server = private_redis("--maxmemory", "100mb", "--maxmemory-policy", "noeviction")
    with closing(link(patient(server.url))) as made:
        entries = Entries(made, 10)
        name = named(entries)
        assert entries.acquire(name, ME, NEVER) is True
        made.call(b"CONFIG", b"SET", b"maxmemory", b"1")
        with pytest.raises(Refused, match="maxmemory"):
            entries.fill(name, ME, b"[1]", 60)
        assert made.call(b"EXISTS", name.lease) == 0

        for step in (entries.acquire, lambda name, token, _: entries.put(name, token, 60)):
            with pytest.raises(Refused, match="maxmemory"):
                step(name, ME, NEVER)
        entries.release(name, ME)
        assert entries.get(name.key) is None


# Names


@pytest.mark.parametrize(
    ("key", "lease"),
    [
        (b"UserId=1_62bd", b"{UserId=1_62bd}:lease"),
        (b"Name={a}_62bd", b"Name={a}_62bd:lease"),
        (b"Name=a}b_62bd", b"{Name=a}b_62bd}:lease"),
    ],
    ids=["plain", "its own tag", "a brace"],
)
def test_a_lease_holds_the_keys_name(key: bytes, lease: bytes, entries: Entries) -> None:
    """So npm's drops, which match substrings, revoke it too."""
    name = entries.name(key.decode(), (), "", 60, indexed=False)

    assert name == Name(key, lease, (), name.life if name else 0)


def test_names_in_other_scripts(entries: Entries, redis_client: redis.Redis) -> None:
    """UTF-8, as Node writes them, and a lone surrogate where a param held one."""
    for value in ("é", "e\u0301", "日本", "😀", "\ud800"):
        name = entries.name(
            keys.make_key(QUERY, [value], ["Name"]), keys.pair_texts([value], ["Name"]), "", 60, indexed=True
        )
        assert name is not None
        assert entries.acquire(name, ME, NEVER) is True
        assert entries.fill(name, ME, b"[1]", 60) is True
    assert redis_client.dbsize() == 5 + 5 + 2
