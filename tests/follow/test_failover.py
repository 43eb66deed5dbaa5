"""A server that gives its place to another: the next of the list is followed, by GTID."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import MRCClient
from tests.support.binlogs import LOGGING, LoggedServer
from tests.support.following import Cached, following, wait_followed
from tests.support.urls import mysql_arguments, with_database
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tools.private_servers import PrivateMySQL

RULES: dict[str, Any] = {"own.t": {"k": "k"}}


class Pair:
    """A MariaDB, and another that replicates it and takes no writes."""

    def __init__(self, private_mysql: Callable[..., PrivateMySQL]) -> None:
        self.first = private_mysql(*LOGGING)
        self.second = private_mysql(*LOGGING, "--server-id=2", "--log-slave-updates", "--read-only")
        base = LoggedServer(with_database(self.first.url, "mysql"))
        base.run(
            "RESET MASTER",  # what made the account is in the log of each
            "CREATE DATABASE own CHARACTER SET utf8mb4",
            "CREATE TABLE own.t (id INT PRIMARY KEY, k INT, v INT)",
            "INSERT INTO own.t VALUES (1, 1, 0), (2, 2, 0)",
        )
        account = mysql_arguments(self.first.url)
        self.replica = LoggedServer(with_database(self.second.url, "mysql"))
        self.replica.run(
            "RESET MASTER",
            f"CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {account['port']}, MASTER_USER = "
            f"'{account['user']}', MASTER_PASSWORD = '{account['password']}', MASTER_USE_GTID = slave_pos",
            "START SLAVE",
        )
        self.urls = [with_database(self.first.url, "own"), with_database(self.second.url, "own")]
        self.catch_up(base)
        base.close()

    def catch_up(self, server: LoggedServer) -> None:
        """Wait until the replica has what a server has."""
        (row,) = server.ask("SELECT @@gtid_binlog_pos AS gtids")
        waited = self.replica.ask(f"SELECT MASTER_GTID_WAIT('{row['gtids']}', 20) AS late")
        assert waited[0]["late"] == 0

    def promote(self) -> LoggedServer:
        """Have the replica be the one that takes writes."""
        self.replica.run("STOP SLAVE", "SET GLOBAL read_only = OFF")
        return LoggedServer(self.urls[1])


@pytest.fixture
def pair(private_mysql: Callable[..., PrivateMySQL]) -> Iterator[Pair]:
    pair = Pair(private_mysql)
    yield pair
    pair.replica.close()


def test_the_next_server_is_followed_where_the_first_takes_no_more_writes(
    pair: Pair, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the order of the list: one that takes no writes is passed over. No gap, and no wide drop."""
    server = LoggedServer(pair.urls[0])
    with (
        MRCClient(pair.urls[1], redis_url) as client,
        following(pair.urls[::-1], redis_url, RULES) as follower,
    ):
        cached = Cached(server, client)
        server.run("UPDATE t SET v = 1 WHERE id = 1")
        wait_followed(follower, server)
        pair.catch_up(server)
        cached.read("t", k=1)
        cached.read("t", k=2)
        server.run("SET GLOBAL read_only = ON")
        promoted = pair.promote()
        cut_off(server)
        assert wait_until(lambda: "another server is followed by GTID from now on" in caplog.text, 20)
        promoted.run("UPDATE t SET v = 2 WHERE id = 1")
        cached.wait_gone("t", k=1, seconds=20)
        assert cached.is_cached("t", k=2)
        assert follower.stats()["afresh"] == 1
        promoted.close()
    server.close()


def cut_off(server: LoggedServer) -> None:
    """End the connections of those who follow its log."""
    for row in server.ask("SHOW PROCESSLIST"):
        if row["Command"] == "Binlog Dump":
            server.run(f"KILL {row['Id']}")


def test_a_server_that_cannot_be_asked_any_more_leaves_everything_in_doubt(
    pair: Pair, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What it had committed last may have been read and cached, and neither followed nor replicated."""
    server = LoggedServer(pair.urls[0])
    pair.catch_up(server)
    with (
        MRCClient(pair.urls[1], redis_url) as client,
        following(pair.urls, redis_url, RULES) as follower,
    ):
        cached = Cached(server, client)
        wait_followed(follower, server)
        cached.read("t", k=2)
        pair.first.kill()
        server.connection.close()
        promoted = pair.promote()
        cached.wait_gone("t", k=2, seconds=20)
        cached.read("t", k=1)
        promoted.run("UPDATE t SET v = 2 WHERE id = 1")
        cached.wait_gone("t", k=1, seconds=20)
        assert follower.stats()["afresh"] == 2
        promoted.close()
    assert "another server is followed, which may lack what the last one had" in caplog.text


def test_a_server_that_lacks_what_was_followed_drops_everything(
    pair: Pair, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Transactions that were lost in the failover: what was read of them may be cached."""
    server = LoggedServer(pair.urls[0])
    pair.catch_up(server)
    pair.replica.run("STOP SLAVE")
    with following(pair.urls, redis_url, RULES) as follower:
        server.run("UPDATE t SET v = 1 WHERE id = 1")
        wait_followed(follower, server)
        with MRCClient(pair.urls[0], redis_url) as client:
            cached = Cached(server, client)
            cached.read("t", k=1)
            pair.first.kill()
            server.connection.close()
            promoted = pair.promote()
            cached.wait_gone("t", k=1, seconds=20)
        assert follower.stats()["afresh"] == 2
        promoted.close()
    assert "the server lacks transactions that were followed before" in caplog.text
