"""Accounts that may do little: what is documented is enough, and nothing else is touched."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import redis

from mysql_redis_cache import MRCClient, MRCServer
from mysql_redis_cache.store import link
from tests.support.counted import counted
from tests.support.urls import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tools.private_servers import PrivateRedis

READS = ["get", "mget", "set", "del", "unlink", "pttl", "pexpire", "scan", "eval", "evalsha", "time"]
MARKS = ["zadd", "zscore"]
INDEX = ["info", "zrange", "zrem", "zmscore", "zinter", "persist"]
OTHERS = [*MARKS, "select", "wait"]


@pytest.fixture
def limited(private_redis: Callable[..., PrivateRedis]) -> Iterator[Callable[..., str]]:
    """Make an account, and give a URL for it."""
    server = private_redis()
    with redis.Redis.from_url(server.url) as admin:

        def make(commands: list[str], keys: list[str], **options: Any) -> str:
            admin.acl_setuser(
                "cache",
                enabled=True,
                passwords=["+x"],
                keys=keys,
                commands=[f"+{command}" for command in commands],
                **options,
            )
            return server.url.replace("redis://", "redis://cache:x@")

        yield make
        log = admin.acl_log()
        assert [each for each in log if each["reason"] == "key"] == []


@pytest.mark.parametrize("namespace", ["shop", None])
@pytest.mark.parametrize("index", [False, True])
def test_what_is_documented_is_enough(
    namespace: str | None, index: bool, limited: Callable[..., str], mysql_url: str
) -> None:
    """With a namespace: its keys, their leases, and what begins with ``mrc:``."""
    keys = ["*"] if namespace is None else ["shop:*", "{shop:*", "mrc:*"]
    url = limited([*READS, *OTHERS, *(INDEX if index else [])], keys)
    with MRCClient(
        mysql_url, url, namespace=namespace, index=index, stale_while_revalidate=5, max_entry_bytes=1000
    ) as client:
        for user in ("1", "{a}", "x" * 200):
            client.with_cache(lambda: 1, "q", [user, [1, 2, 3]], ["A", "B"])
            client.with_cache(lambda: 1, "q", [user, [1, 2, 3]], ["A", "B"])
        client.write_to_cache("q", 1, [list(range(1000))], ["B"])
        client.write_to_cache("q", "x" * 2000, [4], ["B"])
        client.with_cache(lambda: "x" * 2000, "q", [5], ["B"], refresh=True)

        assert counted(client.stats()) == {"misses": 3, "hits": 3, "fills": 3, "oversized_entries": 2}
        assert client.drop_outdated_cache(["A", "B"], ["1", 2]) == 1
        assert client.drop_query("q", ["{a}", [1, 2, 3]], ["A", "B"])
        with MRCServer(url, namespace=namespace, index=index) as server:
            assert server.drop_outdated_cache(["B"], [3], dry_run=True) == 2
            assert server.drop_outdated_cache(["B"] * 2, [3, 77], False) == 2


def test_no_key_of_another_namespace_is_touched(limited: Callable[..., str], mysql_url: str) -> None:
    """Whatever drops look for: what they may not delete is not theirs (the fixture looks into the log)."""
    url = limited([*READS, *OTHERS, *INDEX], ["shop:*", "{shop:*", "mrc:*"])
    with redis.Redis.from_url(url.replace("cache:x@", "")) as admin:
        for prefix in ("", "blog:", "shop2:", "sho", "ashop:"):
            admin.set(f"{prefix}A=1_B=2_{'0' * 40}", "x")
            admin.set(f"{{{prefix}A=1_B=2_{'0' * 40}}}:lease", "x")
        before = admin.dbsize()
        with MRCServer(url, namespace="shop") as server:
            assert server.drop_outdated_cache(["A"], [1]) == 0
            assert server.drop_outdated_cache(["B"], [2]) == 0
        assert admin.dbsize() == before


@pytest.mark.parametrize("form", ["URL", "client"])
def test_a_client_name_that_is_refused_is_no_reason_to_do_without(
    form: str, limited: Callable[..., str], mysql_url: str
) -> None:
    """The account may not name its connections: they go without a name."""
    url = f"{limited([*READS, *OTHERS], ['*'])}?client_name=web"
    config = redis.Redis.from_url(url) if form == "client" else url
    with MRCClient(mysql_url, config) as client:
        for _ in range(2):
            assert client.with_cache(lambda: 1, "q") == 1
        assert counted(client.stats()) == {"misses": 1, "fills": 1, "hits": 1}


def test_a_client_name_is_told_to_the_server(redis_url: str) -> None:
    """Where it may be."""
    with closing(link(patient(redis_url) + "&client_name=web")) as made:
        assert made.call(b"CLIENT", b"GETNAME") == b"web"


def test_an_account_that_may_not_ask_for_info(limited: Callable[..., str], mysql_url: str) -> None:
    """The index is used as on a server that may have evicted something; what is dropped is the same."""
    url = limited([*READS, *OTHERS, *[each for each in INDEX if each != "info"]], ["*"])
    with redis.Redis.from_url(url.replace("cache:x@", "")) as admin:
        admin.set(f"A=1_{'0' * 40}", "[]")  # from before the index
    with MRCClient(mysql_url, url, index=True) as client:
        for user in (1, "x" * 200):
            client.with_cache(lambda: 1, "q", [user], ["A"])
        assert client.drop_many("A", [1, "x" * 200]) == 3
        client.with_cache(lambda: 1, "q", [1], ["A"])
        assert client.drop_outdated_cache(["A"], [1]) == 1


def test_an_account_that_may_not_look_things_up_has_drops_walk(
    limited: Callable[..., str], mysql_url: str
) -> None:
    """Entries are registered all the same, for others."""
    url = limited([*READS, *OTHERS, "zrange", "zrem"], ["*"])
    with MRCClient(mysql_url, url, index=True) as client:
        client.with_cache(lambda: 1, "q", [1], ["A"])
        assert client.drop_outdated_cache(["A"], [1]) == 1
        assert counted(client.stats()) == {"misses": 1, "fills": 1}
