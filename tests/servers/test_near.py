"""The listener of a near cache, against a server that is slow, cut off, frozen, flushed, demoted."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis

from mysql_redis_cache import Near
from mysql_redis_cache.near.feed import Feed
from tests.support.certificates import Authority
from tests.support.keeping import KEY, keep, served, want
from tests.support.waiting import wait_until
from tools.private_servers import PrivateRedis, free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mysql_redis_cache.near import NearCache
    from tests.support.proxy import Proxy


def tracked(client: redis.Redis) -> int:
    return int(client.info("stats")["tracking_total_keys"])


@pytest.fixture
def held(redis_client: redis.Redis, proxy_to: Callable[..., Proxy], redis_url: str) -> Any:
    """A way to Redis on which the listener is connected, and which can be held.

    All that the listener says reaches the server; what comes back can be kept from it.
    """
    redis_client.set(KEY, b"[1]")
    redis_client.set(b"first", b"[1]")
    return proxy_to(redis_url)


@pytest.mark.real
def test_a_push_that_is_there_before_the_reply_makes_it_void(
    cache_of: Callable[..., NearCache], redis_client: redis.Redis, held: Proxy
) -> None:
    """Reply and push arrive together, the value is that of before."""
    cache = cache_of(held.url)
    keep(cache, b"first")
    before = tracked(redis_client)
    held.pause("replies")
    want(cache)
    assert wait_until(lambda: tracked(redis_client) > before)
    redis_client.set(KEY, b"[2]")
    held.resume("replies")

    assert wait_until(lambda: cache.figures()["near_invalidations"] >= 1)
    assert served(cache) is None
    assert keep(cache).payload == b"[2]"


@pytest.mark.real
def test_a_push_after_the_reply_takes_the_entry_away(
    cache_of: Callable[..., NearCache], redis_client: redis.Redis, held: Proxy
) -> None:
    """The usual case; other entries stay."""
    cache = cache_of(held.url)
    keep(cache, b"first")
    keep(cache)
    redis_client.unlink(KEY)

    assert wait_until(lambda: served(cache) is None)
    assert served(cache, b"first")


@pytest.mark.real
def test_what_was_on_its_way_at_a_write_here_is_not_kept(
    cache_of: Callable[..., NearCache], redis_client: redis.Redis, held: Proxy
) -> None:
    """The reply holds what was there before, and the push comes behind it."""
    cache = cache_of(held.url)
    keep(cache, b"first")
    cache.settle()  # nothing else is on its way
    before, fills = tracked(redis_client), cache.figures()["near_fills"]
    held.pause("replies")
    want(cache)
    assert wait_until(lambda: tracked(redis_client) > before)
    redis_client.set(KEY, b"[2]")
    cache.forget(KEY)
    held.resume("replies")
    cache.settle()

    assert served(cache) is None
    assert cache.figures()["near_fills"] == fills


@pytest.mark.real
def test_a_drop_here_waits_for_the_push(
    cache_of: Callable[..., NearCache], redis_client: redis.Redis, held: Proxy
) -> None:
    """Even where the way back is slow."""
    cache = cache_of(held.url)
    for number in range(20):
        redis_client.set(KEY, b"[%d]" % number)
        assert keep(cache).payload == b"[%d]" % number
        held.delay(0.02, "replies")
        redis_client.unlink(KEY)
        cache.settle()
        assert served(cache) is None
        held.delay(0, "replies")
        assert cache.figures()["near_losses"] == 0


@pytest.mark.real
def test_a_lost_push_is_outlived_by_the_ttl(
    cache_of: Callable[..., NearCache], redis_client: redis.Redis, held: Proxy
) -> None:
    """Something in between swallows it and lets everything else pass."""
    cache = cache_of(held.url, Near(ttl=0.5, heartbeat=30))
    keep(cache, b"first")
    swallowed: list[bytes] = []

    def swallow(data: bytes) -> bytes:
        if not data.startswith(b">2\r\n$10\r\ninvalidate"):
            return data
        swallowed.append(data)
        return b""

    held.corrupt(swallow)
    kept = keep(cache)
    redis_client.set(KEY, b"[2]")
    assert wait_until(lambda: swallowed)
    assert kept.until <= time.monotonic() + 0.5
    assert wait_until(lambda: served(cache) is None)
    assert keep(cache).payload == b"[2]"


@pytest.mark.real
def test_a_frozen_connection_serves_nothing_past_its_heartbeat(
    cache_of: Callable[..., NearCache], redis_client: redis.Redis, held: Proxy
) -> None:
    """Half open: nothing is refused and nothing comes. It is closed, and another opened."""
    cache = cache_of(held.url, Near(ttl=60, heartbeat=0.5))
    kept = keep(cache)
    held.pause()
    redis_client.set(KEY, b"[2]")
    assert kept.voucher.until <= time.monotonic() + 0.5
    assert wait_until(lambda: served(cache) is None)
    assert wait_until(lambda: cache.figures()["near_losses"] >= 1)
    assert len(cache._shelf) == 0
    held.resume()

    assert keep(cache).payload == b"[2]"


@pytest.mark.real
def test_a_drop_here_does_not_wait_for_a_frozen_connection(
    cache_of: Callable[..., NearCache], redis_client: redis.Redis, held: Proxy
) -> None:
    """After the timeout of a read nothing that came over it is served any more."""
    cache = cache_of(held.url)
    keep(cache)
    held.pause("replies")
    redis_client.unlink(KEY)
    cache.settle()

    assert served(cache) is None
    assert wait_until(lambda: cache.figures()["near_entries"] == 0)


@pytest.mark.real
@pytest.mark.parametrize("how", ["cut", "kill"])
def test_a_lost_connection_empties_the_cache(
    cache_of: Callable[..., NearCache],
    redis_client: redis.Redis,
    held: Proxy,
    how: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What changed meanwhile nobody told; it is on again soon, and both are logged once."""
    caplog.set_level(logging.WARNING)
    cache = cache_of(held.url)
    keep(cache)
    if how == "cut":
        held.cut()
    else:
        (mine,) = [client for client in redis_client.client_list() if "t" in client["flags"]]
        redis_client.client_kill_filter(_id=mine["id"])

    assert wait_until(lambda: served(cache) is None)
    redis_client.set(KEY, b"[2]")
    assert keep(cache).payload == b"[2]"
    assert wait_until(lambda: len(caplog.messages) == 2)
    assert caplog.messages[0].startswith("the near cache is off until its connection to Redis is back")
    assert caplog.messages[1] == "the near cache is on again"


@pytest.mark.real
def test_a_flush_empties_the_cache(
    cache_of: Callable[..., NearCache], redis_client: redis.Redis, held: Proxy
) -> None:
    """Redis names no keys then; what is on its way is void as well."""
    cache = cache_of(held.url)
    keep(cache)
    redis_client.flushdb()

    assert wait_until(lambda: cache.figures()["near_entries"] == 0)


def test_expiry_and_eviction_are_pushed(
    cache_of: Callable[..., NearCache], private_redis: Callable[..., PrivateRedis]
) -> None:
    """Also of keys that nobody asks for any more."""
    server = private_redis("--maxmemory-policy", "allkeys-lru")
    with redis.Redis.from_url(server.url) as client:
        client.set(KEY, b"[1]", px=300)
        client.set(b"evicted", b"[1]")
        cache = cache_of(server.url)
        keep(cache)
        keep(cache, b"evicted")
        assert wait_until(lambda: KEY not in cache._shelf._kept)  # without being looked at
        client.config_set("maxmemory", 1)

        assert wait_until(lambda: cache.figures()["near_entries"] == 0)


def test_a_restarted_server_is_found_again(
    cache_of: Callable[..., NearCache], private_redis: Callable[..., PrivateRedis]
) -> None:
    """Down or up, nothing older is served."""
    server = private_redis()
    with redis.Redis.from_url(server.url) as client:
        client.set(KEY, b"[1]")
        cache = cache_of(server.url)
        keep(cache)
        server.stop()
        assert wait_until(lambda: served(cache) is None)
        server.start()
        client.set(KEY, b"[2]")
        assert keep(cache).payload == b"[2]"


def test_a_master_that_becomes_a_replica_is_left(
    cache_of: Callable[..., NearCache], private_redis: Callable[..., PrivateRedis]
) -> None:
    """It lags behind, and pushes nothing in time."""
    master, other = private_redis(), private_redis()
    with redis.Redis.from_url(master.url) as client:
        client.set(KEY, b"[1]")
        cache = cache_of(master.url, Near(ttl=60, heartbeat=0.3))
        keep(cache)
        client.execute_command("REPLICAOF", "127.0.0.1", other.port)
        assert wait_until(lambda: cache.figures()["near_losses"] >= 1)
        for _ in range(10):
            want(cache)
            time.sleep(0.01)
        assert served(cache) is None
        client.execute_command("REPLICAOF", "NO", "ONE")
        client.set(KEY, b"[2]")
        assert keep(cache).payload == b"[2]"


def test_an_account_that_may_not_track_has_no_near_cache(
    cache_of: Callable[..., NearCache],
    private_redis: Callable[..., PrivateRedis],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is said once, however often it is tried; without a word of the account."""
    server = private_redis()
    with redis.Redis.from_url(server.url) as client:
        client.set(KEY, b"[1]")
        client.execute_command("ACL", "SETUSER", "app", "on", ">s3cret", "~*", "+@all", "-client|tracking")
        cache = cache_of({"port": server.port, "username": "app", "password": "s3cret"})
        want(cache)
        assert wait_until(lambda: cache.figures()["near_losses"] >= 2)

    assert served(cache) is None
    (said,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "CLIENT TRACKING was answered by NOPERM" in said
    assert "s3cret" not in said


def test_a_unix_socket(
    cache_of: Callable[..., NearCache], private_redis: Callable[..., PrivateRedis], tmp_path: Any
) -> None:
    """Where a hit of Redis is cheapest, a near hit still is cheaper."""
    path = str(tmp_path / "redis.sock")
    private_redis("--unixsocket", path)
    with redis.Redis(unix_socket_path=path) as client:
        client.set(KEY, b"[1]")
        cache = cache_of({"unix_socket_path": path})
        keep(cache)
        client.set(KEY, b"[2]")
        cache.settle()
        assert served(cache) is None


def test_tls(cache_of: Callable[..., NearCache], tmp_path: Path) -> None:
    """Large entries come in many records, and pushes between them."""
    authority, port = Authority(tmp_path), free_port()
    right = authority.issue("right")
    files = ("--tls-cert-file", right.certificate, "--tls-key-file", right.key)
    asked = ("--tls-ca-cert-file", authority.file, "--tls-auth-clients", "no")
    with (
        PrivateRedis(("--tls-port", str(port), *map(str, files + asked))) as server,
        redis.Redis.from_url(server.url) as client,
    ):
        cache = cache_of({"port": port, "ssl": True, "ssl_ca_certs": str(authority.file)})
        for turn in range(20):
            value = b'[%d, "%s"]' % (turn, b"x" * 500_000)
            client.set(KEY, value)
            cache.settle()
            kept = served(cache)  # it may have been asked for once more, and fetched anew by now
            assert kept is None or kept.payload == value
            assert keep(cache).payload == value
        assert cache.figures()["near_losses"] == 0


@pytest.mark.real
def test_many_changes_at_once_are_absorbed(
    cache_of: Callable[..., NearCache], redis_client: redis.Redis, held: Proxy
) -> None:
    """After each nothing older is served, whatever is still being fetched."""
    cache = cache_of(held.url, Near(ttl=60, heartbeat=30, max_entries=300))
    keys = [b"%d" % number for number in range(200)]
    redis_client.mset(dict.fromkeys(keys, b"[1]"))
    for key in keys:
        keep(cache, key)
    for turn in range(20):
        redis_client.mset(dict.fromkeys(keys, b"[%d]" % turn))
        for _ in range(2):
            cache.settle()
            found = {kept.payload for key in keys if (kept := served(cache, key))}
            assert found <= {b"[%d]" % turn}
            for key in keys:
                want(cache, key)


def test_however_many_keys_are_read_and_changed(
    cache_of: Callable[..., NearCache], private_redis: Callable[..., PrivateRedis]
) -> None:
    """A million with ``MRC_CHAOS_KEYS=1000000``: the bounds hold, nothing older is served after a change."""
    number, bound, some = int(os.environ.get("MRC_CHAOS_KEYS", "5000")), 2000, 200
    server = private_redis()
    cache = cache_of(server.url, Near(ttl=600, heartbeat=60, max_entries=bound))
    with redis.Redis.from_url(server.url) as client:
        for first in range(0, number, some):
            keys = [b"%d" % key for key in range(first, first + some)]
            client.mset(dict.fromkeys(keys, b"[1]"))
            before = cache.figures()["near_fills"]
            for key in keys:
                want(cache, key)
            assert wait_until(lambda before=before: cache.figures()["near_fills"] >= before + some)  # type: ignore[misc]
            assert cache.figures()["near_entries"] <= bound
            assert cache.figures()["near_bytes"] <= Near().max_bytes
        assert {kept.payload for key in keys if (kept := served(cache, key))} == {b"[1]"}

        for first in range(0, number, some):
            client.mset(dict.fromkeys([b"%d" % key for key in range(first, first + some)], b"[2]"))
        cache.settle()
        assert not any(served(cache, b"%d" % key) for key in range(number))
        assert cache.figures()["near_entries"] == 0
        assert cache.figures()["near_losses"] == 0


def test_a_key_that_the_server_tracks_no_more_is_kept_no_more(
    cache_of: Callable[..., NearCache], private_redis: Callable[..., PrivateRedis]
) -> None:
    """Its table is bounded; what falls out of it is pushed as if it had changed."""
    server = private_redis("--tracking-table-max-keys", "50")
    cache = cache_of(server.url)
    keys = [b"%d" % number for number in range(100)]
    with redis.Redis.from_url(server.url) as client:
        client.mset(dict.fromkeys(keys, b"[1]"))
        for key in keys:
            want(cache, key)
        assert wait_until(lambda: cache.figures()["near_invalidations"] > 0)
        assert wait_until(lambda: cache.figures()["near_entries"] <= 50)
        client.mset(dict.fromkeys(keys, b"[2]"))
        cache.settle()
        assert not any(served(cache, key) for key in keys)


@pytest.mark.real
def test_two_with_the_same_way_to_redis_share(
    cache_of: Callable[..., NearCache], redis_url: str, redis_client: redis.Redis
) -> None:
    """However it was said; another database, account or bound is another near cache."""
    first = cache_of(redis_url)
    assert cache_of(redis_url) is first
    assert cache_of(redis_url, Near(ttl=59)) is not first
    with redis.Redis.from_url(redis_url) as one, redis.Redis.from_url(redis_url) as other:
        assert cache_of(one) is cache_of(other)
    place = {"host": "127.0.0.1", "port": 6379}
    assert cache_of(place) is cache_of({**place, "port": "6379"})
    assert cache_of(place) is not cache_of({**place, "db": 7})
    assert cache_of(place) is not cache_of({**place, "password": "other"})


@pytest.mark.real
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [RuntimeError("a mistake"), MemoryError(), SystemExit(1)])
def test_a_thread_that_dies_serves_nothing_and_is_begun_anew(
    cache_of: Callable[..., NearCache],
    redis_client: redis.Redis,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    """Whatever it died of: what it kept goes with it, at once and not by its heartbeat."""
    redis_client.set(KEY, b"[1]")
    cache = cache_of(redis_url)
    keep(cache)

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Feed, "pushed", fail)
        redis_client.set(KEY, b"[2]")
        assert wait_until(lambda: served(cache) is None)

    assert keep(cache).payload == b"[2]"
