"""``mrc stats`` and ``mrc top``: over the processes whose clients share their stats."""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from mysql_redis_cache import MRCClient
from mysql_redis_cache.cli import watching
from mysql_redis_cache.cli.gathering import Gathered
from mysql_redis_cache.readthrough import reports
from mysql_redis_cache.store import Noticeboard, link
from mysql_redis_cache.store.noticeboard import LIFE
from tests.cli.conftest import QUERY
from tests.support.terminals import in_pipe, in_terminal
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis
    from click.testing import Result

    from tests.support.proxy import Proxy

pytestmark = pytest.mark.real


@pytest.fixture
def shared(mysql_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[MRCClient]:
    """A client that has shared what it did: two reads of one query."""
    monkeypatch.setattr(reports, "POST_EVERY", 0.05)
    board = Noticeboard(link(redis_url), "")
    with MRCClient(mysql_url, redis_url, name="web", share_stats=True) as client:
        for _ in range(2):
            client.query_with_cache(QUERY, [1, 6], ["UserId", "StoreId"], label="user")
        assert wait_until(lambda: b'"hits":1' in b"".join(board.notices()))
        yield client


def test_sums_of_all_processes(run: Callable[..., Result], shared: MRCClient) -> None:
    """A name and a number a line, or one object with the queries."""
    lines = dict(line.split("\t") for line in run("stats").stdout.splitlines())
    told = json.loads(run("stats", "--json").stdout)

    assert (lines["clients"], lines["hits"], lines["hit ratio"]) == ("1", "1", "0.5000")
    assert (told["clients"], told["hit_ratio"]) == (1, 0.5)
    assert [query["query"] for query in told["queries"].values()] == ["user"]


def test_what_happens_each_second(run: Callable[..., Result], shared: MRCClient) -> None:
    """A line each interval; the heads are talk."""
    rolled = run("stats", "--interval", "1", "--count", "2")
    told = run("stats", "--interval", "1", "--count", "1", "--json")

    assert [line.split("\t")[0] for line in rolled.stdout.splitlines()] == ["1", "1"]
    assert rolled.stderr.startswith("clients\tratio\thits/s")
    assert json.loads(told.stdout)["clients"] == 1


def test_nobody_shares(run: Callable[..., Result]) -> None:
    """That is no empty table: it says what to do."""
    for command in ("stats", "top"):
        result = run(command)
        assert result.exit_code == 3
        assert "share_stats=True" in result.stderr


def test_top_in_a_pipe_is_one_line(env: dict[str, str], shared: MRCClient) -> None:
    """Of JSON; it ends."""
    result = in_pipe("top", env=env)

    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["clients"] == 1


def test_top_in_a_terminal(env: dict[str, str], shared: MRCClient) -> None:
    """It draws, takes keys, and leaves the terminal as it was."""
    answers = [
        ("1 clients", "p"),
        (f"web, {socket.gethostname()}:{os.getpid()}"[:30], "p"),
        ("sorted by reads", "w"),
        ("sorted by worst", "/no such"),
        ("/no such_", "\n"),
        ("'no such'", "q"),
    ]

    code, seen = in_terminal("top", "--interval", "0.3", env=env, answers=answers)

    assert code == 0
    assert "50.00 % hits of 2 reads" in seen
    assert "user" in seen
    assert "breakers closed" in seen
    assert "1 idle, of 10" in seen


def test_top_goes_on_while_redis_is_away(
    proxy_to: Callable[..., Proxy], env: dict[str, str], redis_url: str, shared: MRCClient
) -> None:
    """With what was told before, and says so."""
    proxy = proxy_to(redis_url)
    answers = [("hits of 2 reads", proxy.stop), ("no news: ", "q")]

    code, seen = in_terminal(
        "top", "--interval", "0.2", env={**env, "MRC_REDIS_URL": proxy.url}, answers=answers
    )

    assert code == 0
    assert "50.00 % hits of 2 reads" in seen


def test_each_process_and_the_memory_of_redis(run: Callable[..., Result], shared: MRCClient) -> None:
    """For programs."""
    told = json.loads(run("top", "--json").stdout)

    (process,) = told["processes"]
    assert (process["client"], process["pid"], process["redis_down"]) == ("web", os.getpid(), False)
    assert (process["pool_in_use"], process["pool_idle"], process["pool_size"]) == (0, 1, 10)
    assert told["redis"]["memory"] > 100_000
    assert "Redis memory" in run("stats").stdout


def test_an_account_that_may_not_ask_for_it(
    run: Callable[..., Result], shared: MRCClient, redis_client: redis.Redis, redis_url: str
) -> None:
    """Of the memory nothing is said then."""
    redis_client.execute_command("ACL", "SETUSER", "watcher", "on", ">pw", "~*", "+@all", "-info")
    try:
        url = redis_url.replace("redis://", "redis://watcher:pw@")
        told = run("top", "--json", "--redis", url)
        assert json.loads(told.stdout)["redis"] == {"memory": None, "max_memory": 0}
    finally:
        redis_client.execute_command("ACL", "DELUSER", "watcher")


def test_notices_end_by_themselves(shared: MRCClient, redis_client: redis.Redis, redis_url: str) -> None:
    """A process that is killed is gone after a moment, and takes its name off the list."""
    (name,) = redis_client.zrange("mrc:stats:-:list", 0, -1)
    assert 0 < redis_client.ttl(name) <= LIFE
    shared.close()
    redis_client.delete(name)
    board = Noticeboard(link(redis_url), "")
    assert board.notices() == []
    redis_client.zadd("mrc:stats:-:list", {"mrc:stats:-:gone": time.time() - 1})
    board.post("mine", b"{}")
    assert b"mrc:stats:-:gone" not in redis_client.zrange("mrc:stats:-:list", 0, -1)
    assert board.notices() == [b"{}"]


def test_namespaces_are_apart(redis_url: str) -> None:
    """And no namespace is a namespace of its own."""
    way = link(redis_url)
    Noticeboard(way, "shop:").post("a", b"1")
    Noticeboard(way, "").post("b", b"2")

    assert Noticeboard(way, "shop:").notices() == [b"1"]
    assert Noticeboard(way, "").notices() == [b"2"]


def test_no_redis_is_no_trouble_for_the_client(mysql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be posted is posted later."""
    monkeypatch.setattr(reports, "POST_EVERY", 0.01)
    with MRCClient(mysql_url, "redis://127.0.0.1:1", share_stats=True) as client:
        for number in range(20):
            assert client.query_with_cache("SELECT ? AS n", [number]) == [{"n": number}]
    with MRCClient(mysql_url, None, share_stats=True) as client:
        assert client.query_with_cache("SELECT 1 AS n") == [{"n": 1}]


def test_no_news_is_no_standstill(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients tell every few seconds; a line between two notices is as the one before."""
    told = [Gathered(clients=1, counts=Counter(hits=hits), at=at) for hits, at in [(0, 1), (9, 2), (9, 2)]]
    monkeypatch.setattr(watching.Watched, "look_again", lambda _: told.pop(0))

    lines = run("stats", "--interval", "1", "--count", "2", "--json").stdout.splitlines()

    first, second = [json.loads(line)["hits"] for line in lines]
    assert first == second > 0


def test_counts_are_whole(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """However large; and how many lines is asked of a list that rolls."""
    now = Gathered(clients=1, counts=Counter(hits=123_456_789))
    monkeypatch.setattr(watching.Watched, "look_again", lambda _: now)

    assert "hits\t123456789\n" in run("stats").stdout
    assert run("stats", "--count", "2").exit_code == 2
