"""Drops wait for strict near caches of other processes: no longer than they must, and long enough."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from mysql_redis_cache import DropTimeout, Near
from mysql_redis_cache.drops.budget import Budget
from mysql_redis_cache.drops.rollcall import RollCall
from mysql_redis_cache.near import ROLL, Sign
from mysql_redis_cache.store import link
from tests.support.keeping import KEY, keep, served, want
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mysql_redis_cache.near import NearCache
    from tests.support.proxy import Proxy
    from tools.private_servers import PrivateRedis

pytestmark = pytest.mark.real

ROOT = Path(__file__).resolve().parents[2]
STRICT = Near(ttl=60, heartbeat=1, strict=True)
PATIENCE = 5.0
PATIENT = Near(ttl=60, heartbeat=PATIENCE, strict=True)


@pytest.fixture
def calling(redis_url: str) -> Iterator[RollCall]:
    """The end of a drop in another process: of its own it empties nothing here."""
    with closing(link(redis_url)) as way:
        yield RollCall(way)


@pytest.fixture
def held(redis_client: redis.Redis, proxy_to: Callable[..., Proxy], redis_url: str) -> Proxy:
    """The listener's way to Redis."""
    redis_client.set(KEY, b"[1]")
    return proxy_to(redis_url)


def roll(client: redis.Redis) -> dict[bytes, Sign]:
    signs = {name: Sign.of(text) for name, text in client.hgetall(ROLL).items()}
    return {name: sign for name, sign in signs.items() if sign is not None}


def heard(calling: RollCall, budget: float = 20) -> threading.Event:
    """Wait for all in a thread; return what is set when that is over."""
    is_over = threading.Event()

    def hear() -> None:
        calling.hear(Budget(budget))
        is_over.set()

    threading.Thread(target=hear, daemon=True).start()
    return is_over


def test_a_drop_elsewhere_waits_for_the_push(
    cache_of: Callable[..., NearCache], calling: RollCall, redis_client: redis.Redis, held: Proxy
) -> None:
    """When it has returned nothing older is served, however slow the way."""
    cache = cache_of(held.url, PATIENT)
    for number in range(20):
        redis_client.set(KEY, b"[%d]" % number)
        keep(cache)
        held.delay(0.01, "replies")
        redis_client.unlink(KEY)
        calling.hear(Budget(20))
        assert served(cache) is None
        held.delay(0, "replies")


def test_a_drop_elsewhere_goes_on_when_the_answers_come(
    cache_of: Callable[..., NearCache], calling: RollCall, redis_client: redis.Redis, held: Proxy
) -> None:
    """Not before, though the listener goes on asking; long before its heartbeat is over."""
    cache = cache_of(held.url, PATIENT)
    keep(cache)
    (before,) = roll(redis_client).values()
    held.pause("replies")
    redis_client.unlink(KEY)
    is_over = heard(calling)
    assert wait_until(lambda: next(iter(roll(redis_client).values())).beats > before.beats)
    assert not is_over.is_set()
    assert served(cache) is not None
    held.resume("replies")

    assert is_over.wait(PATIENCE / 2)
    assert served(cache) is None


@pytest.mark.parametrize("how", ["frozen", "killed"])
def test_a_listener_that_does_not_answer_is_waited_for_as_long_as_it_serves(
    cache_of: Callable[..., NearCache], calling: RollCall, redis_client: redis.Redis, held: Proxy, how: str
) -> None:
    """Then it is off the roll, so that the next drop does not wait; back, it signs before it serves."""
    cache = cache_of(held.url, STRICT)
    keep(cache)
    (gone,) = roll(redis_client)
    held.pause()
    if how == "killed":  # Redis knows of its end, but it does not
        here = str(redis_client.client_info()["db"])
        listeners = [each for each in redis_client.client_list() if "t" in each["flags"]]
        (mine,) = [each for each in listeners if str(each["db"]) == here]
        redis_client.client_kill_filter(_id=mine["id"])
    redis_client.set(KEY, b"[2]")
    calling.hear(Budget(20))
    assert served(cache) is None
    assert gone not in roll(redis_client)

    held.resume()
    assert keep(cache).payload == b"[2]"
    assert roll(redis_client)


def test_who_ends_leaves_the_roll(
    cache_of: Callable[..., NearCache], redis_client: redis.Redis, held: Proxy
) -> None:
    """At once; and who was cut off leaves it by the next name."""
    cache = cache_of(held.url, PATIENT)
    keep(cache)
    before = set(roll(redis_client))
    held.cut()
    assert wait_until(lambda: served(cache) is None)
    keep(cache)
    after = set(roll(redis_client))
    assert len(after) == 1
    assert before != after

    cache.drain()
    assert wait_until(lambda: roll(redis_client) == {})


ENDS = """
import sys
from mysql_redis_cache import Near
from mysql_redis_cache.near import join
from tests.support.keeping import User, keep

user = User()
keep(join(sys.argv[1], Near(ttl=60, heartbeat=5, strict=True), user))
"""


def test_a_process_that_ends_leaves_the_roll(redis_url: str, redis_client: redis.Redis) -> None:
    """Though it has closed nothing."""
    redis_client.set(KEY, b"[1]")
    subprocess.run([sys.executable, "-c", ENDS, redis_url], cwd=ROOT, check=True, timeout=60)

    assert roll(redis_client) == {}
    assert redis_client.exists("mrc:near:call") == 0


def test_a_near_cache_that_is_not_strict_is_not_waited_for(
    cache_of: Callable[..., NearCache], calling: RollCall, redis_client: redis.Redis, held: Proxy
) -> None:
    """It is not on the roll."""
    keep(cache_of(held.url))
    assert roll(redis_client) == {}
    calling.hear(Budget(0.5))


def test_a_drop_with_less_time_says_so(
    cache_of: Callable[..., NearCache], calling: RollCall, redis_client: redis.Redis, held: Proxy
) -> None:
    """What is deleted is deleted, and others may still serve it."""
    keep(cache_of(held.url, PATIENT))
    held.pause()
    with pytest.raises(DropTimeout, match="waiting for the near caches of other processes"):
        calling.hear(Budget(0.2))


def test_an_account_that_may_not_read_the_roll_waits_for_nobody(
    private_redis: Callable[..., PrivateRedis], caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once."""
    caplog.set_level(logging.INFO)
    server = private_redis()
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", "app", "on", ">s3cret", "~shop:*", "+@all")
    with closing(link({"port": server.port, "username": "app", "password": "s3cret"})) as way:
        calling = RollCall(way)
        calling.hear(Budget(1))
        calling.hear(Budget(1))
    (said,) = [message for message in caplog.messages if "near caches" in message]
    assert said.startswith("drops do not wait for strict near caches of other processes: Redis refused")


@pytest.mark.parametrize("sign", [b"", b"x", b"1 2", b"a b c", b"\xff 1 1"])
def test_what_is_no_sign_is_not_waited_for(calling: RollCall, redis_client: redis.Redis, sign: bytes) -> None:
    """Somebody else has written there; drops go on."""
    redis_client.hset(ROLL, "somebody", sign)
    budget = Budget(PATIENCE)

    calling.hear(budget)

    assert budget.spent() < 1


def test_a_sign_of_a_later_version_may_say_more(calling: RollCall, redis_client: redis.Redis) -> None:
    """It is waited for as any other, until its heartbeat is over."""
    redis_client.hset(ROLL, "somebody", b"3 2 200 and more")
    budget = Budget(PATIENCE)

    calling.hear(budget)

    assert 0.2 <= budget.spent() < PATIENCE
    assert redis_client.hgetall(ROLL) == {}


def test_who_was_killed_is_struck_off_by_drops_that_have_little_time(
    calling: RollCall, redis_client: redis.Redis
) -> None:
    """None of them lasts as long as its heartbeat; all together do."""
    redis_client.hset(ROLL, "killed", b"3 2 400")
    tries = 0
    while redis_client.hgetall(ROLL):
        tries += 1
        assert tries < 50
        with suppress(DropTimeout):
            calling.hear(Budget(0.1))

    assert tries > 1


def test_where_the_roll_may_be_evicted_nothing_is_served(
    cache_of: Callable[..., NearCache],
    private_redis: Callable[..., PrivateRedis],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is said with what to do; when that is done, the near cache is on."""
    server = private_redis("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    with redis.Redis.from_url(server.url) as client:
        client.set(KEY, b"[1]")
        cache = cache_of(server.url, STRICT)
        want(cache)
        assert wait_until(lambda: cache.figures()["near_losses"] > 0)
        assert served(cache) is None
        assert wait_until(lambda: client.exists(ROLL) == 0)  # no drop waits for it
        (said,) = [each for each in caplog.messages if "near cache is off" in each]
        assert "set maxmemory-policy volatile-ttl, or leave strict=True out" in said

        client.config_set("maxmemory-policy", "volatile-ttl")
        keep(cache)
        assert roll(client)


def test_eviction_of_what_has_an_end_leaves_the_roll(
    cache_of: Callable[..., NearCache], private_redis: Callable[..., PrivateRedis]
) -> None:
    """Drops find it, and wait."""
    server = private_redis("--maxmemory", "8mb", "--maxmemory-policy", "volatile-ttl")
    with redis.Redis.from_url(server.url) as client:
        client.set(KEY, b"[1]")
        keep(cache_of(server.url, PATIENT))
        (before,) = roll(client)
        with client.pipeline(transaction=False) as pipe:
            for number in range(20_000):
                pipe.set(f"filler:{number}", b"x" * 1000, ex=3600)
            pipe.execute()

        assert client.info("stats")["evicted_keys"] > 0
        assert before in roll(client)
