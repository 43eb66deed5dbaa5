"""A write tells by which GTID the server's log has it."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import MRCClient
from mysql_redis_cache.gtids import covers
from tests.support.binlogs import LoggedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.real

STATEMENTS = (
    "INSERT INTO t VALUES (1, 0), (2, 0)",
    "UPDATE t SET v = 1 WHERE id = 1",
    "REPLACE INTO t VALUES (2, 5)",
    "ALTER TABLE t ADD COLUMN w INT",
    "DELETE FROM t WHERE id = 2",
    "CALL two()",
    "TRUNCATE TABLE t",
)


@pytest.fixture
def server(logged_url: str) -> Iterator[LoggedServer]:
    """A table and a procedure that writes twice."""
    server = LoggedServer(logged_url)
    server.run(
        "CREATE TABLE t (id INT PRIMARY KEY, v INT)",
        "CREATE PROCEDURE two() BEGIN UPDATE t SET v = 7; INSERT INTO t (id) VALUES (9); END",
    )
    yield server
    server.run("DROP TABLE t", "DROP PROCEDURE two")
    server.close()


@pytest.fixture
def client(server: LoggedServer) -> Iterator[MRCClient]:
    """A client without a cache: it is about writes."""
    with MRCClient(server.url) as client:
        yield client


def logged(server: LoggedServer) -> str:
    """The GTIDs of all that the server has logged."""
    (row,) = server.ask(f"SELECT @@global.gtid_{'binlog_pos' if server.is_mariadb else 'executed'} AS gtids")
    return str(row["gtids"])


def check(server: LoggedServer, before: str, gtid: Any) -> None:
    """The GTID is that of the one transaction, or those of the several, since."""
    assert isinstance(gtid, str)
    assert not covers(before, gtid)
    assert covers(logged(server), gtid)
    if not server.is_mariadb:  # there the last of several stands for all
        assert covers(f"{before},{gtid}", logged(server))


def test_every_write_tells(server: LoggedServer, client: MRCClient) -> None:
    """Of one statement, whatever it is."""
    for statement in STATEMENTS:
        before = logged(server)
        result = client.execute(statement)
        check(server, before, result.gtid)
    if server.is_mariadb:
        before = logged(server)
        result = client.execute("INSERT INTO t (id) VALUES (5) RETURNING id")
        check(server, before, result.gtid)


def test_what_changes_nothing_has_none(server: LoggedServer, client: MRCClient) -> None:
    """Nor has it that of the write before it on the same connection."""
    assert client.execute("INSERT INTO t VALUES (1, 0)").gtid
    assert client.execute("UPDATE t SET v = 0 WHERE id = 1").gtid is None
    assert client.execute("DO 1").gtid is None


def test_a_transaction_tells_after_its_block(server: LoggedServer, client: MRCClient) -> None:
    """Its statements have none, since they are not committed, nor has one that comes to nothing."""
    before = logged(server)
    with client.transaction() as tx:
        assert tx.execute("INSERT INTO t VALUES (1, 0)").gtid is None
        assert client.execute("UPDATE t SET v = 2").gtid is None
        with client.transaction() as inner:
            inner.execute("INSERT INTO t VALUES (2, 0)")
        assert tx.gtid is None
    check(server, before, tx.gtid)
    assert inner.gtid == tx.gtid

    with suppress(KeyError), client.transaction() as tx:
        tx.execute("UPDATE t SET v = 3")
        raise KeyError
    assert tx.gtid is None
    with client.transaction() as tx:
        tx.query("SELECT * FROM t")
    assert tx.gtid is None


def test_a_server_without_a_log_tells_nothing(mysql_server_url: str, server_flavour: str) -> None:
    """There is nothing to tell, and writes work as ever."""
    with MRCClient(mysql_server_url) as client:
        has_log = client.query("SELECT @@log_bin AS n")[0]["n"]
        schema = f"mrc_test_{uuid.uuid4().hex[:12]}"
        assert bool(client.execute(f"CREATE DATABASE {schema}").gtid) is bool(has_log)
        client.execute(f"DROP DATABASE {schema}")
