"""What MySQL does to a statement or to its server's role: a read is sent once more at most, a write never."""

from __future__ import annotations

import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from mysql_redis_cache import DatabaseUnavailable, MRCClient
from tests.support.replies import error_payload
from tests.support.tormented import administrator, furnish, statements
from tests.support.waiting import wait_until
from tools.private_servers import PrivateMySQL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymysql.connections import Connection

    from tests.support.proxy import Proxy

READ = "SELECT name FROM users WHERE id = 1"
WRITE = "INSERT INTO writes VALUES ()"
WHO = "SELECT name FROM server"
WRITES = "SELECT COUNT(*) FROM writes"


@pytest.fixture
def admin(mysql_to_torment: PrivateMySQL) -> Iterator[Connection]:
    """A connection behind the library's back."""
    with closing(administrator(mysql_to_torment)) as connection:
        yield connection


@pytest.fixture(scope="module")
def successor() -> Iterator[PrivateMySQL]:
    """The server that takes over."""
    with PrivateMySQL() as server:
        furnish(server, "second")
        yield server


def waiting(admin: Connection) -> set[int]:
    """The sessions in which a statement waits for the lock."""
    listed = "SELECT id FROM information_schema.processlist WHERE info IN (%s, %s)"
    with admin.cursor() as cursor:
        cursor.execute(listed, (READ, WRITE))
        return {number for (number,) in cursor.fetchall()}


def struck(admin: Connection, blow: str, statement: Callable[[], Any], blows: int) -> tuple[Any, int]:
    """Strike *statement* that often as it waits for a lock, then free that.

    Returns:
        Its outcome, and in how many sessions it was seen.
    """
    seen: set[int] = set()

    def comes() -> set[int]:
        return waiting(admin) - seen

    with ThreadPoolExecutor(1) as threads:
        statements(admin, "LOCK TABLES users WRITE, writes WRITE")
        try:
            outcome = threads.submit(statement)
            for _ in range(blows):
                assert wait_until(comes)
                (number,) = comes()
                seen.add(number)
                statements(admin, f"{blow} {number}")
            assert wait_until(lambda: comes() or outcome.done())
            seen |= comes()
        finally:
            statements(admin, "UNLOCK TABLES")
        return outcome.exception(10) or outcome.result(), len(seen)


@pytest.mark.parametrize(
    ("blow", "blows", "sent"),
    [
        pytest.param("KILL", 1, 2, id="connection killed: sent again"),
        pytest.param("KILL", 2, 2, id="killed twice: given up"),
        pytest.param("KILL QUERY", 1, 1, id="statement killed: an answer"),
    ],
)
def test_a_read_killed_while_it_runs(
    mysql_to_torment: PrivateMySQL, admin: Connection, blow: str, blows: int, sent: int
) -> None:
    """It is sent once more if its connection is gone; that it was interrupted is an answer like another."""
    with MRCClient(mysql_to_torment.url + "torment?maxsize=2") as client:
        outcome, times = struck(admin, blow, lambda: client.query(READ), blows)
        assert times == sent
        if blow == "KILL QUERY":
            assert isinstance(outcome, pymysql.Error)
            assert outcome.args[0] == 1317
        elif blows == 1:
            assert outcome == [{"name": "ann"}]
        else:
            assert isinstance(outcome, DatabaseUnavailable)
            assert isinstance(outcome.__cause__, pymysql.Error)
        assert client.query("SELECT 7 AS n") == [{"n": 7}]
        assert client.get_mysql_pool().in_use == 0


@pytest.mark.parametrize("blow", ["KILL", "KILL QUERY"])
def test_a_write_killed_while_it_runs(mysql_to_torment: PrivateMySQL, admin: Connection, blow: str) -> None:
    """Nobody sends it again."""
    before = statements(admin, WRITES)
    with MRCClient(mysql_to_torment.url + "torment") as client:
        outcome, times = struck(admin, blow, lambda: client.execute(WRITE), 1)
    assert times == 1
    assert isinstance(outcome, DatabaseUnavailable if blow == "KILL" else pymysql.Error)
    assert statements(admin, WRITES) == before


@pytest.mark.parametrize(
    ("errno", "is_outage", "connections"),
    [
        pytest.param(1053, True, 1, id="shutdown in progress"),
        pytest.param(1927, True, 1, id="connection was killed"),
        pytest.param(4031, True, 1, id="idle for too long"),
        pytest.param(1205, False, 0, id="lock wait timeout"),
        pytest.param(1213, False, 0, id="deadlock"),
        pytest.param(1317, False, 0, id="interrupted"),
        pytest.param(1969, False, 0, id="max_statement_time"),
        pytest.param(3024, False, 0, id="MAX_EXECUTION_TIME"),
        pytest.param(1290, False, 1, id="read_only"),
    ],
)
def test_an_error_is_an_answer_or_an_outage(
    mysql_to_torment: PrivateMySQL,
    proxy_to: Callable[..., Proxy],
    errno: int,
    is_outage: bool,
    connections: int,
) -> None:
    """An answer is the driver's error and leaves the connection; an outage has that as its cause; none is
    tried again."""
    packet = error_payload(errno)
    proxy = proxy_to(mysql_to_torment.url)
    with MRCClient(proxy.url + "torment?ssl_disabled=true") as client:
        client.query(WHO)
        proxy.corrupt(lambda _: struct.pack("<I", len(packet) | 1 << 24) + packet)
        before, sent = proxy.connections, proxy.round_trips
        with pytest.raises(DatabaseUnavailable if is_outage else pymysql.Error) as raised:
            client.query(WHO)
        assert proxy.round_trips == sent + 1
        proxy.corrupt(None)
        assert client.query(WHO) == [{"name": "first"}]
        assert proxy.connections == before + connections
    cause = raised.value.__cause__ if is_outage else raised.value
    assert isinstance(cause, pymysql.Error)
    assert cause.args[0] == errno


NOT_NOW = [1037, 1047, 1105, 1135, 3032, 3100, 3168, 9001, 9002, 9003, 9005]


@pytest.mark.parametrize("errno", NOT_NOW)
def test_who_serves_nobody_is_left(
    mysql_to_torment: PrivateMySQL, proxy_to: Callable[..., Proxy], errno: int
) -> None:
    """Galera's, offline mode's and proxies' "not now": a read is asked once elsewhere, a write is not."""
    packet = error_payload(errno)
    proxy = proxy_to(mysql_to_torment.url)
    refusal = struct.pack("<I", len(packet) | 1 << 24) + packet
    with MRCClient(proxy.url + "torment?ssl_disabled=true&maxsize=1") as client:
        client.query(WHO)
        proxy.corrupt(lambda _: proxy.corrupt(None) or refusal)
        assert client.query(WHO) == [{"name": "first"}]  # asked again, over a new connection
        assert proxy.connections == 2

        proxy.corrupt(lambda _: proxy.corrupt(None) or refusal)
        with pytest.raises(DatabaseUnavailable, match=f"error {errno}") as raised:
            client.execute(WRITE)
        assert type(raised.value.__cause__).__module__ == "pymysql.err"
        assert client.query(WHO) == [{"name": "first"}]
        assert proxy.connections == 3

        with client.get_mysql_pool().connection() as connection, connection.cursor() as cursor:
            proxy.corrupt(lambda _: proxy.corrupt(None) or refusal)
            with pytest.raises(pymysql.Error):
                cursor.execute(WHO)
        client.query(WHO)


def test_who_serves_nobody_anywhere_is_an_outage(mysql_to_torment: PrivateMySQL, admin: Connection) -> None:
    """The second answer is the last; both connections are closed."""
    statements(
        admin,
        "CREATE OR REPLACE FUNCTION refuse() RETURNS INT NO SQL BEGIN "
        "SIGNAL SQLSTATE '08S01' SET MYSQL_ERRNO = 1047, MESSAGE_TEXT = 'no'; RETURN 1; END",
    )
    with MRCClient(mysql_to_torment.url + "torment?maxsize=1") as client:
        before = client.query("SELECT CONNECTION_ID() AS i")[0]["i"]
        with pytest.raises(DatabaseUnavailable, match="error 1047: no"):
            client.query("SELECT refuse() AS r")
        assert client.query("SELECT CONNECTION_ID() AS i")[0]["i"] == before + 2


def test_what_is_wrong_with_an_xpath_is_no_outage(mysql_to_torment: PrivateMySQL) -> None:
    """MySQL says so by the number that proxies use for everything."""
    with MRCClient(mysql_to_torment.url + "torment?maxsize=1") as client:
        before = client.query("SELECT CONNECTION_ID() AS i")
        with pytest.raises(pymysql.Error) as raised:
            client.query("SELECT EXTRACTVALUE('<a/>', '/a[') AS v")
        assert raised.value.args[0] == 1105
        assert client.query("SELECT CONNECTION_ID() AS i") == before


def open_connections(client: MRCClient, count: int) -> None:
    """Have that many idle connections in the pool."""
    with ExitStack() as leases:
        for _ in range(count):
            leases.enter_context(client.get_mysql_pool().connection())


def test_twenty_readers_notice_no_failover(
    mysql_to_torment: PrivateMySQL, successor: PrivateMySQL, proxy_to: Callable[..., Proxy]
) -> None:
    """The name leads to another server and the first one dies: each read is answered, by one or the other."""
    proxy = proxy_to(mysql_to_torment.url)
    over, answers = threading.Event(), []

    def read(client: MRCClient) -> None:
        while not over.wait(0.005):
            answers.append(client.query(WHO)[0]["name"])

    with MRCClient(proxy.url + "torment?maxsize=5") as client, ThreadPoolExecutor(20) as threads:
        open_connections(client, 5)  # one that is lost while it is opened is not tried again
        readers = [threads.submit(read, client) for _ in range(20)]
        try:
            assert wait_until(lambda: len(answers) > 100)
            proxy.lead_to(successor.url)
            mysql_to_torment.kill()
            assert wait_until(lambda: answers[-100:] == ["second"] * 100)
        finally:
            over.set()
            mysql_to_torment.start()
        assert [reader.exception(10) for reader in readers] == [None] * 20
    assert set(answers) == {"first", "second"}
    assert answers[0] == "first"


def test_a_demoted_server_is_left(
    mysql_to_torment: PrivateMySQL,
    successor: PrivateMySQL,
    admin: Connection,
    proxy_to: Callable[..., Proxy],
) -> None:
    """A write that a read-only server refuses fails as it is; the next one goes where the name leads now."""
    proxy = proxy_to(mysql_to_torment.url)
    url = proxy.url.replace("mrc:mrc@", "app:app@") + "torment"
    with MRCClient(url) as client, closing(administrator(successor)) as heir:
        open_connections(client, 2)
        statements(admin, "SET GLOBAL read_only = 1")
        try:
            proxy.lead_to(successor.url)
            with pytest.raises(pymysql.Error, match="read-only"):
                client.execute("INSERT INTO writes VALUES ()")
            before = statements(heir, WRITES)
            assert client.execute("INSERT INTO writes VALUES ()").affected_rows == 1
        finally:
            statements(admin, "SET GLOBAL read_only = 0")
        assert statements(heir, WRITES)[0][0] == before[0][0] + 1
        assert client.query(WHO) == [{"name": "second"}]
