"""Followers that come and go, servers that restart, logs that are gone: no outdated entry stays."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from mysql_redis_cache import CacheUnavailable, MRCClient
from mysql_redis_cache.follow import CannotFollow, Follower
from mysql_redis_cache.store import link
from mysql_redis_cache.store.ledger import Deposed, Ledger, WentBack
from tests.support.binlogs import LOGGING, LoggedServer
from tests.support.following import Cached, following, rules_for, wait_followed
from tests.support.urls import with_database
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from tests.support.proxy import Proxy
    from tools.private_servers import PrivateMySQL, PrivateRedis

TABLE = ("CREATE TABLE t (id INT PRIMARY KEY, k INT, v INT)", "INSERT INTO t VALUES (1, 1, 0), (2, 2, 0)")


def rules(schema: str) -> dict[str, Any]:
    return rules_for(schema, {"t": {"k": "k"}})


@pytest.fixture
def followed(server: LoggedServer) -> LoggedServer:
    """A server with a table that has rules."""
    server.run(*TABLE)
    return server


@pytest.fixture
def private(private_mysql: Callable[..., PrivateMySQL]) -> Iterator[tuple[PrivateMySQL, LoggedServer]]:
    """A MariaDB of the test's own, which can be restarted."""
    own = private_mysql(*LOGGING)
    LoggedServer(with_database(own.url, "mysql")).run("CREATE DATABASE own CHARACTER SET utf8mb4")
    server = LoggedServer(with_database(own.url, "own"))
    server.run(*TABLE)
    yield own, server
    server.close()


# --- what was changed while nobody followed ----------------------------------------------------------------


@pytest.mark.real
def test_what_changed_meanwhile_is_dropped_exactly(
    followed: LoggedServer, cached: Cached, redis_url: str
) -> None:
    """A follower goes on where the one before it ended, and nothing else is dropped."""
    with following(followed.url, redis_url, rules(followed.schema)):
        pass
    cached.read("t", k=1)
    cached.read("t", k=2)
    followed.run("UPDATE t SET v = 1 WHERE id = 1", "FLUSH BINARY LOGS")
    with following(followed.url, redis_url, rules(followed.schema)) as follower:
        assert not cached.is_cached("t", k=1)
        assert cached.is_cached("t", k=2)
        assert follower.stats()["afresh"] == 0


@pytest.mark.real
def test_without_a_position_everything_is_dropped_once(
    followed: LoggedServer, cached: Cached, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What was changed before a follower ran may be outdated: all entries of its names go, and it says so."""
    cached.read("t", k=1)
    cached.read("t", v=0)
    with following(followed.url, redis_url, rules(followed.schema)) as follower:
        assert not cached.is_cached("t", k=1)
        assert cached.is_cached("t", v=0)
        assert follower.stats()["afresh"] == 1
    assert "no position is known: all entries of k are dropped" in caplog.text


@pytest.mark.real
def test_a_redis_that_lost_the_position_is_emptied(
    followed: LoggedServer, cached: Cached, redis_url: str, redis_client: redis.Redis
) -> None:
    """A Redis that was emptied, or holds nonsense, has the follower start afresh while it runs."""
    with following(followed.url, redis_url, rules(followed.schema)) as follower:
        for number, spoil in enumerate(
            [redis_client.flushdb, lambda: redis_client.set("{mrc:follow:default}", "x")]
        ):
            redis_client.delete("{mrc:follow:default}")
            spoil()
            cached.read("t", k=2)
            followed.run(f"UPDATE t SET v = v + 1 WHERE id = {1 + number % 2}")
            cached.wait_gone("t", k=2)
        assert wait_until(lambda: follower.stats()["afresh"] >= 2)


def test_an_older_redis_is_healed_by_its_older_position(
    private_redis: Callable[..., PrivateRedis], followed: LoggedServer
) -> None:
    """An older Redis brings back entries, and the position of that time: they are dropped again."""
    own = private_redis()
    with (
        MRCClient(followed.url, own.url) as client,
        following(followed.url, own.url, rules(followed.schema)) as follower,
    ):
        cached = Cached(followed, client)
        raw = link(own.url)
        cached.read("t", k=1)
        key = client.get_key_from_query("SELECT * FROM t WHERE k <=> ?", [1], ["k"]).encode()
        state = b"{mrc:follow:default}"
        dumps = {name: raw.call(b"DUMP", name) for name in (key, state)}
        followed.run("UPDATE t SET v = 5 WHERE id = 1")
        cached.wait_gone("t", k=1)
        wait_followed(follower, followed)
        for name, dump in dumps.items():
            raw.call(b"RESTORE", name, 0, dump, b"REPLACE")
        assert cached.is_cached("t", k=1)
        cached.wait_gone("t", k=1)  # though nothing is written
        assert follower.stats()["afresh"] == 1
        raw.close()


# --- several followers -------------------------------------------------------------------------------------


@pytest.mark.real
def test_one_leads_and_another_takes_over(followed: LoggedServer, cached: Cached, redis_url: str) -> None:
    """Of two, one drops; when it ends the other goes on at once, without a gap."""
    arguments = (followed.url, redis_url, rules(followed.schema))
    with following(*arguments, level=False) as first:
        assert wait_until(lambda: first.stats()["leader"])
        with following(*arguments, level=False) as second:
            time.sleep(0.5)
            assert not second.stats()["leader"]
            assert second.stats()["lag"] is None
            first.stop()
            cached.read("t", k=1)
            followed.run("UPDATE t SET v = 9 WHERE id = 1")
            cached.wait_gone("t", k=1)
            assert second.stats()["leader"]
            assert second.stats()["afresh"] == 0


@pytest.mark.real
def test_a_killed_follower_is_followed_by_another(
    followed: LoggedServer, cached: Cached, redis_url: str
) -> None:
    """A killed follower leaves its lease to end: the next takes over within seconds, without a gap."""
    code = (
        "from mysql_redis_cache.follow import Follower\n"
        f"Follower({followed.url!r}, {redis_url!r}, {rules(followed.schema)!r}, lease=1.0).run()"
    )
    killed = subprocess.Popen([sys.executable, "-c", code])
    try:
        watcher = Ledger(link(redis_url), "default", 1.0)
        assert wait_until(watcher.peek, 20)
    finally:
        killed.kill()
        killed.wait()
    cached.read("t", k=1)
    followed.run("UPDATE t SET v = 11 WHERE id = 1")
    with following(followed.url, redis_url, rules(followed.schema)) as follower:
        cached.wait_gone("t", k=1)
        assert follower.stats()["afresh"] == 0


@pytest.mark.real
def test_only_the_leader_writes_the_position(redis_url: str) -> None:
    """Who was deposed, or does not know what is there, writes nothing."""
    first, second = [Ledger(link(redis_url), "x", 0.2) for _ in range(2)]
    assert first.lead() == 0
    assert second.lead() is None
    assert first.load() is None
    first.save({"a": 1})
    with pytest.raises(Deposed):
        second.save({"a": 2})
    assert wait_until(lambda: second.lead() is not None)
    with pytest.raises(Deposed):
        first.save({"a": 3})
    with pytest.raises(WentBack):
        second.save({"a": 4})
    assert second.load() == {"a": 1}
    second.save({"a": 5})
    assert second.peek() == {"a": 5}
    second.resign()
    assert first.lead() is not None


@pytest.mark.real
def test_who_takes_over_is_as_far_behind_as_the_one_before(redis_url: str) -> None:
    """By what that one told last, and the time since then."""
    first, second = [Ledger(link(redis_url), "x", 0.2) for _ in range(2)]
    assert first.lead(lag=3600) == 0
    assert first.lead(lag=60) >= 3600  # type: ignore[operator]  # it leads
    time.sleep(0.05)
    first.resign()

    assert 60.05 <= (second.lead() or 0) < 120


def test_a_redis_that_was_started_anew_is_not_trusted(private_redis: Callable[..., PrivateRedis]) -> None:
    """It has the very position that it had, and maybe entries that were dropped since."""
    own = private_redis()
    ledger, raw = Ledger(link(own.url), "x", 60.0), link(own.url)
    ledger.load()
    ledger.save({"a": 1})
    ledger.confirm()
    raw.call(b"SAVE")
    own.kill()
    own.start()
    assert ledger.peek() == {"a": 1}
    with pytest.raises(WentBack):
        ledger.confirm()
    with pytest.raises(WentBack):
        ledger.save({"a": 2})
    assert ledger.load() == {"a": 1}
    ledger.save({"a": 2})
    ledger.confirm()


# --- servers that go away ----------------------------------------------------------------------------------


def test_redis_away_is_waited_for(
    proxy_to: Callable[..., Proxy],
    followed: LoggedServer,
    cached: Cached,
    redis_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While Redis is away nothing is lost: what changed is dropped when it is back; the lag is said."""
    caplog.set_level(logging.INFO)
    proxy = proxy_to(redis_url)
    with following(followed.url, proxy.url, rules(followed.schema), max_lag=0.5) as follower:
        for number, (away, back) in enumerate([(proxy.pause, proxy.resume), (proxy.stop, proxy.start)]):
            cached.read("t", k=1)
            away()
            followed.run(f"UPDATE t SET v = {number} + 1 WHERE id = 1")
            assert wait_until(lambda: follower.stats()["problem"] and "s behind" in caplog.text, 15)
            assert cached.is_cached("t", k=1)
            back()
            cached.wait_gone("t", k=1, seconds=20)
        assert follower.stats()["afresh"] == 1
        assert wait_until(lambda: "the follower has caught up" in caplog.text)


def test_a_restart_of_mysql_is_survived(
    private: tuple[PrivateMySQL, LoggedServer], redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A server stopped in order is followed on; after a crash that may have lost commits, all goes."""
    own, server = private
    with (
        MRCClient(server.url, redis_url) as client,
        following(server.url, redis_url, rules("own")) as follower,
    ):
        for stop, wide in ((own.stop, 0), (own.kill, 1)):
            cached = Cached(server, client)
            cached.read("t", k=2)
            stop()
            own.start()
            again = LoggedServer(server.url)
            again.run("UPDATE t SET v = v + 1 WHERE id = 1")
            cached.read("t", k=1)
            again.run("UPDATE t SET v = v + 1 WHERE id = 1")
            cached.wait_gone("t", k=1, seconds=20)
            wait_followed(follower, again)
            again.close()
            assert follower.stats()["wide"] == wide
            assert cached.is_cached("t", k=2) is (not wide)
        assert follower.stats()["afresh"] == 1
    assert "the server crashed and may have lost what its log has" in caplog.text


def test_a_log_that_was_reset_is_noticed(private: tuple[PrivateMySQL, LoggedServer], redis_url: str) -> None:
    """A log of the same name that was born again is another: everything is dropped once."""
    _, server = private
    with following(server.url, redis_url, rules("own")):
        server.run("UPDATE t SET v = 1 WHERE id = 1")
    with MRCClient(server.url, redis_url) as client:
        cached = Cached(server, client)
        cached.read("t", k=1)
        server.run("UPDATE t SET v = 2 WHERE id = 1")
        time.sleep(1.1)  # files are told apart by the second of their birth
        server.reset_log()
        for number in range(40):
            server.run(f"UPDATE t SET v = {number} WHERE id = 2")
        with following(server.url, redis_url, rules("own")) as follower:
            cached.wait_gone("t", k=1)
            assert wait_until(lambda: follower.stats()["afresh"] == 1)
            cached.read("t", k=2)
            server.run("UPDATE t SET v = 100 WHERE id = 2")
            cached.wait_gone("t", k=2)


@pytest.mark.parametrize("after", [1, 100], ids=["few", "more"])
def test_a_log_that_is_reset_beneath_a_follower_is_noticed(
    private: tuple[PrivateMySQL, LoggedServer], redis_url: str, after: int
) -> None:
    """The server goes on to send heartbeats, from the file that is gone: it would never say another word.

    Also where more transactions have come since than there were before, under the very names of those.
    """
    _, server = private
    with (
        following(server.url, redis_url, rules("own")) as follower,
        MRCClient(server.url, redis_url) as client,
    ):
        # Of few bytes that come after a reset the server does not see that they are in another file.
        server.run("CREATE TABLE large (b LONGBLOB)", "INSERT INTO large VALUES (REPEAT('x', 1000000))")
        wait_followed(follower, server)
        cached = Cached(server, client)
        cached.read("t", k=1)
        before = follower.stats()["afresh"]
        updates = [f"UPDATE t SET v = {100 + number} WHERE id = 1" for number in range(after)]
        server.reset_log()
        server.run(*updates)
        cached.wait_gone("t", k=1)
        assert wait_until(lambda: follower.stats()["afresh"] == before + 1)
        cached.read("t", k=2)
        server.run("UPDATE t SET v = 100 WHERE id = 2")
        cached.wait_gone("t", k=2)


def test_a_purged_log_is_noticed(private: tuple[PrivateMySQL, LoggedServer], redis_url: str) -> None:
    """A position whose file is gone cannot be gone on from: everything is dropped once."""
    _, server = private
    with following(server.url, redis_url, rules("own")):
        pass
    with MRCClient(server.url, redis_url) as client:
        cached = Cached(server, client)
        cached.read("t", k=1)
        server.run("UPDATE t SET v = 2 WHERE id = 1", "FLUSH BINARY LOGS", "FLUSH BINARY LOGS")
        file = server.position().file

        def is_purged() -> bool:
            server.run(f"PURGE BINARY LOGS TO '{file}'")
            return len(server.ask("SHOW BINARY LOGS")) == 1

        assert wait_until(is_purged)  # as soon as the follower's connection is gone on that side too
        with following(server.url, redis_url, rules("own")) as follower:
            cached.wait_gone("t", k=1)
            assert follower.stats()["afresh"] == 1


def test_a_frozen_network_is_noticed(
    private: tuple[PrivateMySQL, LoggedServer], redis_url: str, proxy_to: Callable[..., Proxy]
) -> None:
    """A connection on which nothing comes any more, not even heartbeats, is given up and opened again."""
    _, server = private
    proxy = proxy_to(server.url)
    url = with_database(proxy.url, "own")
    with MRCClient(server.url, redis_url) as client, following(url, redis_url, rules("own")) as follower:
        cached = Cached(server, client)
        cached.read("t", k=1)
        proxy.pause()
        server.run("UPDATE t SET v = 2 WHERE id = 1")
        assert wait_until(lambda: follower.stats()["reconnects"], 20)
        proxy.resume()
        cached.wait_gone("t", k=1, seconds=20)
        assert follower.stats()["afresh"] == 1


# --- visibility --------------------------------------------------------------------------------------------


def test_a_drop_waits_until_the_change_is_visible(
    private_mysql: Callable[..., PrivateMySQL], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log runs ahead of the engine: under semi-sync a load after the event still reads the old row."""
    own = private_mysql(
        *LOGGING,
        "--rpl-semi-sync-master-enabled=ON",
        "--rpl-semi-sync-master-timeout=1500",
        "--rpl-semi-sync-master-wait-point=AFTER_SYNC",
        "--rpl-semi-sync-master-wait-no-slave=ON",
    )
    LoggedServer(with_database(own.url, "mysql")).run("CREATE DATABASE own CHARACTER SET utf8mb4")
    server = LoggedServer(with_database(own.url, "own"))
    server.run(*TABLE)
    with (
        MRCClient(server.url, redis_url) as client,
        following(server.url, redis_url, rules("own")) as follower,
    ):
        cached = Cached(server, client)
        server.run(
            "SET GLOBAL rpl_semi_sync_master_enabled = OFF", "SET GLOBAL rpl_semi_sync_master_enabled = ON"
        )
        counted = follower.stats()["transactions"]
        writer = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"import pymysql; from tests.support.urls import mysql_arguments as a; "
                f"pymysql.connect(**a({server.url!r}), autocommit=True)"
                ".cursor().execute('UPDATE t SET v = 7 WHERE id = 1')",
            ]
        )
        assert wait_until(lambda: follower.stats()["transactions"] > counted, 10)
        stale = cached.read("t", k=1)[0]["v"]
        writer.wait(20)
        cached.wait_gone("t", k=1)
        assert (stale, cached.read("t", k=1)[0]["v"]) == (0, 7)
    server.close()


# --- what would go wrong -----------------------------------------------------------------------------------


def test_what_would_go_wrong_is_said_before_anything_runs(
    private_mysql: Callable[..., PrivateMySQL], redis_url: str
) -> None:
    """A check names each problem with what to do, and a follower with problems does not start."""
    own = private_mysql(
        *("--log-bin=bin", "--binlog-format=STATEMENT", "--binlog-row-image=MINIMAL"),
        *("--binlog-ignore-db=own", "--skip-log-slave-updates", "--read-only"),
    )
    base = LoggedServer(with_database(own.url, "mysql"))
    base.run(
        "CREATE DATABASE own CHARACTER SET utf8mb4",
        "CREATE TABLE own.t (id INT PRIMARY KEY, Name VARCHAR(9) COLLATE utf8mb4_general_ci, place POINT)",
        "CREATE VIEW own.v AS SELECT id FROM own.t",
        "CREATE USER weak@'%' IDENTIFIED BY 'pw'",
        "GRANT SELECT ON own.* TO weak@'%'",
    )
    bad = {
        "own.t": {"Id": "idd", "Name": "Name", "Place": "place"},
        "own.T": {"drop": ["X"]},
        "own.v": {"A": "id"},
    }
    with_rights = Follower(own.url, redis_url, bad)
    report = with_rights.check()
    text = "; ".join(report.problems)
    for expected in (
        "set binlog_format=ROW",
        "binlog_row_image=FULL",
        "own.t.idd; did you mean id?",
        "own.t.place is point",
        "it is called own.t",
        "own.v is a view",
        "changes of own are in no log",
        "set log_slave_updates=ON",
    ):
        assert expected in text
    assert "own.t.Name has the collation utf8mb4_general_ci" in "; ".join(report.notes)
    with pytest.raises(CannotFollow, match="set binlog_format=ROW"):
        with_rights.run()
    with_rights.close()

    account = {**base.config.arguments, "user": "weak", "password": "pw", "database": "own"}
    weak = Follower(account, redis_url, {"own.t": {"Id": "id"}, "mysql.user": {"drop": ["X"]}})
    problems = "; ".join(weak.check().problems)
    assert "GRANT REPLICATION SLAVE" in problems
    assert "no table mysql.user, or the account must not see it" in problems
    with pytest.raises((pymysql.Error, CannotFollow)):
        weak.run()
    weak.close()
    base.close()


@pytest.mark.real
def test_the_position_moves_after_the_drop(
    followed: LoggedServer, cached: Cached, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever ends before its drop is done leaves it to the next: the position has not moved."""

    def fail(*_: object) -> int:
        raise CacheUnavailable("the drop cannot be done")

    with following(followed.url, redis_url, rules(followed.schema)):
        pass
    ledger = Ledger(link(redis_url), "default", 1.0)
    position = ledger.peek()
    monkeypatch.setattr(Follower, "_drop", fail)
    with following(followed.url, redis_url, rules(followed.schema), level=False) as first:
        cached.read("t", k=1)
        followed.run("UPDATE t SET v = 1 WHERE id = 1")
        assert wait_until(lambda: first.stats()["retries"])
    assert cached.is_cached("t", k=1)
    assert ledger.peek() == position

    monkeypatch.undo()
    with following(followed.url, redis_url, rules(followed.schema)) as second:
        cached.wait_gone("t", k=1)
        assert second.stats()["afresh"] == 0
