"""The pool on a real server: bounded, one execution per statement, no reply ever given to another."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

import pymysql
import pytest
from pymysql.cursors import DictCursor, SSCursor

from mysql_redis_cache.database import Database
from mysql_redis_cache.database import pool as pool_module
from mysql_redis_cache.errors import ClosedError, DatabaseUnavailable, PoolTimeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymysql.connections import Connection

    from tests.support.proxy import Proxy

pytestmark = pytest.mark.real

DEAD = "mysql://app:secret@127.0.0.1:1/shop"


@pytest.fixture(name="open_database")
def _open_database(mysql_url: str) -> Iterator[Callable[..., Database]]:
    """Open databases that are closed after the test: ``open_database(maxsize=2)``."""
    opened: list[Database] = []

    def open_one(url: str = mysql_url, **options: object) -> Database:
        query = "&".join(f"{name}={value}" for name, value in options.items())
        opened.append(Database(f"{url}?{query}"))
        return opened[-1]

    yield open_one
    for database in opened:
        database.close()


@pytest.fixture(name="database")
def _database(open_database: Callable[..., Database]) -> Database:
    return open_database()


@pytest.fixture(name="table")
def _table(mysql_admin: Connection[Any]) -> Iterator[str]:
    """A table ``items (id, name)``, empty."""
    run(mysql_admin, "DROP TABLE IF EXISTS items")
    run(mysql_admin, "CREATE TABLE items (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50))")
    yield "items"
    run(mysql_admin, "DROP TABLE IF EXISTS items")


def run(connection: Connection[Any], statement: str, args: object = None) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, args)
        return cursor.fetchall()


def connection_id(database: Database) -> int:
    identity: int = database.query("SELECT CONNECTION_ID() AS id")[0]["id"]
    return identity


# --- statements --------------------------------------------------------------------------------------------


def test_a_write_is_committed_and_says_what_it_did(
    database: Database, mysql_admin: Connection[Any], table: str
) -> None:
    """Other connections see it at once."""
    result = database.execute("INSERT INTO items (name) VALUES (?), (?)", ["a", "b"])

    assert (result.affected_rows, result.insert_id) == (2, 1)
    assert run(mysql_admin, "SELECT name FROM items ORDER BY id") == (("a",), ("b",))
    assert database.execute("UPDATE items SET name = 'c'")[:2] == (2, 0)


def test_reads_are_of_now(database: Database, mysql_admin: Connection[Any], table: str) -> None:
    """No connection keeps an old snapshot."""
    for number in range(1, 4):
        run(mysql_admin, "INSERT INTO items (name) VALUES ('x')")
        assert database.query("SELECT COUNT(*) AS n FROM items") == [{"n": number}]


def test_run_is_query_or_execute(database: Database, table: str) -> None:
    """Whichever the statement is."""
    assert database.run("INSERT INTO items (name) VALUES (?)", ["a"])[:2] == (1, 1)
    assert database.run("SELECT id, name FROM items") == [{"id": 1, "name": "a"}]
    assert database.run("SELECT id FROM items WHERE id = 7") == []


def test_a_statement_without_rows_has_none(database: Database, table: str) -> None:
    """As a query it gives an empty list."""
    assert database.query("INSERT INTO items (name) VALUES ('a')") == []


def test_a_call_gives_what_it_gives_with_npm(database: Database, mysql_admin: Connection[Any]) -> None:
    """Result sets and header in one list, or the header alone."""
    run(mysql_admin, "DROP PROCEDURE IF EXISTS two")
    run(mysql_admin, "CREATE PROCEDURE two() BEGIN SELECT 1 AS a; SELECT 2 AS b; END")
    run(mysql_admin, "DROP PROCEDURE IF EXISTS none")
    run(mysql_admin, "CREATE PROCEDURE none() DO 1")

    first, second, header = database.query("CALL two()")
    alone = database.query("/* nothing */ CALL none()")

    assert (first, second) == ([{"a": 1}], [{"b": 2}])
    assert header == alone
    assert alone["affectedRows"] == 0  # type: ignore[call-overload]  # npm's shape
    assert database.run("CALL two()") == [first, second, header]


@pytest.mark.parametrize(
    "mode", ["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES"]
)
def test_params_follow_the_sql_mode_of_the_session(mode: str, open_database: Callable[..., Database]) -> None:
    """Whatever is in them, it is a value."""
    database = open_database(sql_mode=mode)
    value = "\\' OR 1=1 -- \"`?"

    assert database.query("SELECT ? AS v, '\"' AS w", [value]) == [{"v": value, "w": '"'}]


def test_ansi_quotes_are_asked_for_where_they_matter(open_database: Callable[..., Database]) -> None:
    """A backslash ends a quoted name in one mode and not in the other."""
    database = open_database(sql_mode="ANSI_QUOTES")

    assert database.query('SELECT ? AS "a\\", ? AS b', [1, 2]) == [{"a\\": 1, "b": 2}]


def test_bad_input_fails_before_anything_is_sent() -> None:
    """Not even a connection is opened: there is no server here."""
    database = Database(DEAD)

    with pytest.raises(ValueError, match="empty"):
        database.query("  ")
    with pytest.raises(TypeError, match="must be a str"):
        database.query(7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="placeholders"):
        database.query("SELECT ?", [1, 2])
    with pytest.raises((TypeError, ValueError)):
        database.execute("SELECT ?", [object()])


def test_an_error_of_the_server_passes_unchanged(database: Database) -> None:
    """And the connection is kept: it was an answer."""
    before = connection_id(database)

    with pytest.raises(pymysql.ProgrammingError) as caught:
        database.query("SELECT * FROM no_such_table")

    assert caught.value.args[0] == 1146
    assert connection_id(database) == before


def test_a_statement_is_executed_once(database: Database, mysql_admin: Connection[Any], table: str) -> None:
    """Left to itself DBUtils runs a failing one three times."""
    run(mysql_admin, "DROP PROCEDURE IF EXISTS insert_and_fail")
    run(
        mysql_admin,
        "CREATE PROCEDURE insert_and_fail() BEGIN INSERT INTO items (name) VALUES ('x'); "
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'; END",
    )

    with pytest.raises(pymysql.OperationalError, match="no"):
        database.query("CALL insert_and_fail()")

    assert run(mysql_admin, "SELECT COUNT(*) FROM items") == ((1,),)


def test_direct_use_is_plain_pymysql(database: Database) -> None:
    """Tuples and PyMySQL's own conversions, whatever the library's own reader does."""
    with database.pool.connection() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1.50, %s, X'00ff'", (datetime(2025, 1, 2),))
        rows = cursor.fetchall()
    with database.pool.connection() as connection, connection.cursor(DictCursor) as cursor:
        cursor.execute("SELECT TIMESTAMP'2025-01-02 03:04:05' AS t")
        row = cursor.fetchone()

    assert rows == ((Decimal("1.50"), "2025-01-02 00:00:00", b"\x00\xff"),)
    assert row == {"t": datetime(2025, 1, 2, 3, 4, 5)}


# --- what comes back to the pool ---------------------------------------------------------------------------


def test_a_connection_is_reused(database: Database) -> None:
    """The last used first."""
    assert len({connection_id(database) for _ in range(5)}) == 1


class Interrupted(BaseException):
    """What a signal handler raises."""


@pytest.mark.parametrize("error", [ValueError, Interrupted, pymysql.OperationalError(2013, "lost")])
def test_an_exception_that_is_no_answer_ends_the_connection(
    error: type[BaseException] | BaseException, database: Database
) -> None:
    """Part of a reply may still be on its way."""
    before = connection_id(database)

    with suppress(BaseException), database.pool.connection():
        raise error

    assert connection_id(database) != before
    assert database.pool.in_use == 0


UNFIT: dict[str, Callable[[Any], object]] = {
    "open transaction": lambda connection: connection.begin(),
    "autocommit off": lambda connection: connection.autocommit(False),
    "unread result set": lambda connection: connection.query("CALL unread()"),
    "closed": lambda connection: connection.close(),
}


@pytest.mark.parametrize("use", UNFIT.values(), ids=UNFIT)
def test_what_is_not_at_rest_is_closed(
    use: Callable[[Any], object], database: Database, mysql_admin: Connection[Any]
) -> None:
    """The next user gets a connection as new."""
    run(mysql_admin, "DROP PROCEDURE IF EXISTS unread")
    run(mysql_admin, "CREATE PROCEDURE unread() BEGIN SELECT 1; SELECT 2; END")
    before = connection_id(database)

    with database.pool.connection() as connection:
        use(connection)

    assert connection_id(database) != before
    assert database.query("SELECT 7 AS n") == [{"n": 7}]


def test_unread_rows_end_the_connection(database: Database) -> None:
    """They would be the next user's."""
    before = connection_id(database)

    with database.pool.connection() as connection:
        cursor = connection.cursor(SSCursor)
        cursor.execute("SELECT 1 UNION SELECT 2")

    assert connection_id(database) != before
    cursor.close()


def test_an_answer_that_is_an_error_keeps_the_connection(database: Database, table: str) -> None:
    """In direct use as well."""
    before = connection_id(database)

    with (
        suppress(pymysql.IntegrityError),
        database.pool.connection() as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("INSERT INTO items (id) VALUES (1), (1)")

    assert connection_id(database) == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets dropped unclosed
def test_interrupts_at_any_moment_do_no_harm(open_database: Callable[..., Database]) -> None:
    """No reply goes to another call, no place is lost, whenever a signal handler raises."""
    database = open_database(maxsize=2)
    database.query("SELECT 1")  # makes the TLS context, which takes longer than the times below

    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    done = interrupted = number = 0
    deadline = time.monotonic() + 5
    try:
        while time.monotonic() < deadline:
            number += 1
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0002 * 1.05 ** (number % 97))
                rows = database.query("SELECT ? AS n", [number])
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Interrupted:
                interrupted += 1
                continue
            assert rows == [{"n": number}]
            done += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert interrupted > 20
    assert done > 20
    assert database.pool.in_use == 0
    with ThreadPoolExecutor(2) as threads:  # no lock is left behind that others would wait for
        assert list(threads.map(lambda n: database.query("SELECT ? AS n", [n]), range(50))) == [
            [{"n": n}] for n in range(50)
        ]


# --- the bound ---------------------------------------------------------------------------------------------


def test_no_socket_is_opened_at_construction() -> None:
    """There is no server here."""
    database = Database(DEAD)

    assert database.pool.in_use == 0
    database.close()


def test_waiting_for_a_connection_has_an_end(open_database: Callable[..., Database]) -> None:
    """With an error that says how long and of how many."""
    database = open_database(maxsize=1, pool_timeout=0.05)
    with database.pool.connection():
        with pytest.raises(PoolTimeout, match=r"within 0\.05 s \(all 1 are in use\)") as caught:
            database.query("SELECT 1")
        with pytest.raises(PoolTimeout), database.pool.connection(timeout=0):
            pass

    assert isinstance(caught.value, TimeoutError)
    assert (caught.value.seconds, caught.value.size) == (0.05, 1)
    assert database.query("SELECT 1 AS n") == [{"n": 1}]


def test_many_threads_share_few_connections(
    open_database: Callable[..., Database], proxy_to: Callable[..., Proxy], mysql_url: str
) -> None:
    """Each gets its own rows, and there are never more connections than allowed."""
    proxy = proxy_to(mysql_url)
    database = open_database(proxy.url, maxsize=3, pool_timeout=60)

    with ThreadPoolExecutor(100) as threads:
        results = list(threads.map(lambda n: database.query("SELECT ? AS n", [n]), range(500)))

    assert results == [[{"n": n}] for n in range(500)]
    assert proxy.connections <= 3
    assert database.pool.in_use == 0


def test_connections_are_opened_side_by_side(
    open_database: Callable[..., Database], proxy_to: Callable[..., Proxy], mysql_url: str
) -> None:
    """Not one after the other under a lock."""
    proxy = proxy_to(mysql_url, delay=0.05)
    database = open_database(proxy.url, maxsize=8)
    began = time.monotonic()
    connection_id(database)
    one = time.monotonic() - began
    gate = threading.Barrier(8)

    def hold(_: int) -> None:
        with database.pool.connection():
            gate.wait(30)

    began = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(hold, range(8)))

    assert time.monotonic() - began < 4 * one


def test_connections_beyond_minsize_are_not_kept_for_ever(
    open_database: Callable[..., Database],
    proxy_to: Callable[..., Proxy],
    mysql_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those unused for long are closed as others come back."""
    proxy = proxy_to(mysql_url)
    database = open_database(proxy.url, minsize=1, maxsize=4)
    gate = threading.Barrier(4)

    def hold(_: int) -> None:
        with database.pool.connection():
            gate.wait(30)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(hold, range(4)))
    monkeypatch.setattr(pool_module, "_KEEP_IDLE", 0.0)
    for _ in range(5):
        database.query("SELECT 1")

    assert eventually(lambda: proxy.open_connections == 1)


def eventually(is_so: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether *is_so* becomes true within *seconds*."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


# --- lost connections --------------------------------------------------------------------------------------


def test_a_connection_that_the_server_closed_is_replaced(
    database: Database, mysql_admin: Connection[Any], table: str
) -> None:
    """Nobody notices, not even a write: nothing was sent on it."""
    for _ in range(2):
        run(mysql_admin, "KILL %s", (connection_id(database),))
        assert database.query("SELECT 7 AS n") == [{"n": 7}]

    run(mysql_admin, "KILL %s", (connection_id(database),))
    assert eventually(lambda: not any(idle_sockets_are_silent(database)))
    assert database.execute("INSERT INTO items (name) VALUES ('a')")[:2] == (1, 1)


def idle_sockets_are_silent(database: Database) -> list[bool]:
    return [steady._con.is_silent for steady in database.pool._idle._idle_cache]


@pytest.fixture(name="proxied")
def _proxied(
    open_database: Callable[..., Database], proxy_to: Callable[..., Proxy], mysql_url: str
) -> tuple[Database, Proxy]:
    """A database behind a proxy, with one connection open."""
    proxy = proxy_to(mysql_url)
    timeouts = dict.fromkeys(["connect_timeout", "read_timeout", "write_timeout"], 0.3)
    database = open_database(proxy.url, maxsize=2, ssl_disabled="true", **timeouts)
    database.query("SELECT 1")
    return database, proxy


def test_a_read_is_repeated_if_nothing_came_back(proxied: tuple[Database, Proxy]) -> None:
    """Once, on a fresh connection."""
    database, proxy = proxied
    proxy.cut_after(0)

    assert database.query("SELECT 7 AS n") == [{"n": 7}]
    assert proxy.connections == 2


def test_a_read_is_not_repeated_twice(proxied: tuple[Database, Proxy]) -> None:
    """A server that hangs up each time is unavailable."""
    database, proxy = proxied
    proxy.corrupt(lambda data: data if b"SELECT 7" not in data else die(proxy), "requests")

    with pytest.raises(DatabaseUnavailable):
        database.query("SELECT 7 AS n")

    assert proxy.connections == 2
    assert database.pool.in_use == 0


def die(proxy: Proxy) -> bytes:
    """Cut the connection that is passing data now."""
    proxy.cut_after(0, "requests")
    return b""


def test_a_read_cut_in_the_middle_is_not_repeated(proxied: tuple[Database, Proxy]) -> None:
    """Something came back, so the server had run it."""
    database, proxy = proxied
    proxy.cut_after(30)

    with pytest.raises(DatabaseUnavailable, match="error 2013") as caught:
        database.query("SELECT 7 AS n")

    assert isinstance(caught.value.__cause__, pymysql.OperationalError)
    assert proxy.connections == 1


WRITES = {
    "insert": "INSERT INTO items (name) VALUES ('x')",
    "call": "CALL insert_one()",
    "call behind a comment": "/* x */ CALL insert_one()",
}


@pytest.mark.parametrize("statement", WRITES.values(), ids=WRITES)
def test_a_write_is_never_repeated(
    statement: str, proxied: tuple[Database, Proxy], mysql_admin: Connection[Any], table: str
) -> None:
    """It may have happened, and here it has."""
    run(mysql_admin, "DROP PROCEDURE IF EXISTS insert_one")
    run(mysql_admin, "CREATE PROCEDURE insert_one() INSERT INTO items (name) VALUES ('x')")
    database, proxy = proxied
    database.run(statement)  # what is asked before a first CALL is asked
    proxy.cut_after(0)

    with pytest.raises(DatabaseUnavailable):
        database.run(statement)

    assert eventually(lambda: run(mysql_admin, "SELECT COUNT(*) FROM items") == ((2,),))
    assert proxy.connections == 1


def test_a_frozen_server_costs_one_timeout(proxied: tuple[Database, Proxy]) -> None:
    """A read that was not answered in time is not sent again, and the connection is not used again."""
    database, proxy = proxied
    database.query("SELECT 6 AS n")
    before = proxy.connections
    proxy.pause("replies")
    began = time.monotonic()

    with pytest.raises(DatabaseUnavailable, match=r"no reply within read_timeout=0\.3 s"):
        database.query("SELECT 7 AS n")
    took = time.monotonic() - began
    proxy.resume()

    assert 0.3 <= took < 5
    assert proxy.connections == before
    assert database.query("SELECT 8 AS n") == [{"n": 8}]
    assert database.pool.in_use == 0


def test_a_silent_server_is_not_waited_for(proxied: tuple[Database, Proxy]) -> None:
    """The greeting is part of connecting, and of its timeout."""
    database, proxy = proxied
    proxy.cut()
    proxy.pause("replies")
    began = time.monotonic()

    with pytest.raises(DatabaseUnavailable):
        database.query("SELECT 1")

    assert time.monotonic() - began < 2


def test_a_connection_that_rested_is_asked_first(
    proxied: tuple[Database, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a write is not sent into the void; all that rested as long go with one timeout."""
    database, proxy = proxied
    monkeypatch.setattr(pool_module, "_CHECK_AFTER", 0.0)
    monkeypatch.setattr(pool_module, "_PING_TIMEOUT", 0.2)
    before = proxy.round_trips
    database.query("SELECT 1")
    asked = proxy.round_trips - before
    with database.pool.connection(), database.pool.connection():
        pass
    proxy.pause("replies")
    began = time.monotonic()
    threading.Timer(0.3, proxy.resume).start()

    assert database.query("SELECT 7 AS n") == [{"n": 7}]
    assert time.monotonic() - began < 5
    assert asked == 2
    assert proxy.connections == 3


def test_a_reply_out_of_step_is_refused(proxied: tuple[Database, Proxy]) -> None:
    """It may be the reply to another query."""
    database, proxy = proxied
    proxy.corrupt(lambda data: data[:3] + b"\x07" + data[4:])

    with pytest.raises(DatabaseUnavailable, match="packet number 7 where 1 was due"):
        database.query("SELECT 1")
    proxy.corrupt(None)

    assert database.query("SELECT 7 AS n") == [{"n": 7}]


def test_a_server_that_is_not_there() -> None:
    """The error names it and what the driver said, not the password."""
    with pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1:1 .*error 2003.*refused") as caught:
        Database(DEAD).query("SELECT 1")

    assert isinstance(caught.value, ConnectionError)
    assert isinstance(caught.value.__cause__, pymysql.OperationalError)
    assert "secret" not in f"{caught.value} {caught.value.__cause__}"


def test_a_server_that_hides_behind_its_listen_queue() -> None:
    """Accepting and saying nothing is no answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"mysql://app@127.0.0.1:{listener.getsockname()[1]}/?connect_timeout=0.2"
        with pytest.raises(DatabaseUnavailable):
            Database(url).query("SELECT 1")


REJECTIONS = {"password": ({"password": "wrong"}, 1045), "database": ({"database": "no_such_db"}, 1049)}


@pytest.mark.parametrize(("options", "errno"), REJECTIONS.values(), ids=REJECTIONS)
def test_wrong_credentials_are_no_way_in(
    options: dict[str, str], errno: int, open_database: Callable[..., Database]
) -> None:
    """Nobody can be served: ``DatabaseUnavailable``, with the server's answer in it and as its cause."""
    database = open_database()
    database._config.arguments.update(options)  # type: ignore[attr-defined]

    with pytest.raises(DatabaseUnavailable, match=f"lets nobody in .error {errno}") as caught:
        database.query("SELECT 1")

    assert type(caught.value.__cause__) is pymysql.OperationalError
    assert database.pool.in_use == 0


def test_too_many_connections_are_an_outage(
    open_database: Callable[..., Database], mysql_url: str, mysql_admin: Connection[Any]
) -> None:
    """The account may have one, and that is in use."""
    run(mysql_admin, "DROP USER IF EXISTS narrow")
    run(mysql_admin, "CREATE USER narrow IDENTIFIED BY 'pw' WITH MAX_USER_CONNECTIONS 1")
    server = mysql_url.rpartition("@")[2].partition("/")[0]
    database = open_database(f"mysql://narrow:pw@{server}/", maxsize=2)

    with (
        database.pool.connection(),
        pytest.raises(DatabaseUnavailable, match=r"error 12(03|26)"),
        database.pool.connection(),
    ):
        pass

    run(mysql_admin, "DROP USER narrow")


def test_a_password_may_have_any_characters(
    open_database: Callable[..., Database], mysql_url: str, mysql_admin: Connection[Any]
) -> None:
    """MySQL was given it in UTF-8."""
    run(mysql_admin, "DROP USER IF EXISTS accent")
    run(mysql_admin, "CREATE USER accent IDENTIFIED BY %s", ("pä€s:/@#",))
    server = mysql_url.rpartition("@")[2].partition("/")[0]
    database = open_database(f"mysql://accent:p%C3%A4%E2%82%ACs%3A%2F%40%23@{server}/")

    assert database.query("SELECT 1 AS n") == [{"n": 1}]
    run(mysql_admin, "DROP USER accent")


def test_a_restarted_server_is_found_again(
    private_mysql: Callable[..., Any], open_database: Callable[..., Database]
) -> None:
    """The pool needs no help."""
    server = private_mysql()
    database = open_database(server.url, connect_timeout=1)
    database.query("SELECT 1")
    server.kill()
    with pytest.raises(DatabaseUnavailable):
        database.query("SELECT 1")

    server.start()

    assert database.query("SELECT 7 AS n") == [{"n": 7}]


# --- TLS ---------------------------------------------------------------------------------------------------


def test_the_tls_context_is_made_once(
    open_database: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes far longer to make than a connection."""
    made = []
    make = ssl.create_default_context
    monkeypatch.setattr(
        ssl, "create_default_context", lambda *args, **kw: made.append(1) or make(*args, **kw)
    )
    database = open_database(maxsize=3)

    with database.pool.connection(), database.pool.connection(), database.pool.connection():
        pass

    assert made == [1]


def test_tls_is_used_where_the_server_has_it(
    open_database: Callable[..., Database], server_flavour: str
) -> None:
    """Preferred by default, off when disabled, refused when it cannot be verified."""
    if server_flavour == "mariadb":
        pytest.skip("MariaDB 10.11 has no certificate by itself")

    assert cipher(open_database())
    assert not cipher(open_database(ssl_disabled="true"))
    with pytest.raises(DatabaseUnavailable, match=r"(?i)certificate"):
        cipher(open_database(ssl_verify_cert="true"))


def cipher(database: Database) -> str:
    name: str = database.query("SHOW STATUS LIKE 'Ssl_cipher'")[0]["Value"]
    return name


# --- sessions ----------------------------------------------------------------------------------------------


def test_a_session_commits_and_rolls_back(
    database: Database, mysql_admin: Connection[Any], table: str
) -> None:
    """All statements are on one connection."""
    with database.session() as session:
        session.begin()
        assert session.execute("INSERT INTO items (name) VALUES (?)", ["a"])[:2] == (1, 1)
        assert session.query("SELECT name FROM items") == [{"name": "a"}]
        assert run(mysql_admin, "SELECT * FROM items") == ()
        session.commit()
        session.begin()
        session.execute("DELETE FROM items")
        session.rollback()

    assert run(mysql_admin, "SELECT name FROM items") == (("a",),)


def test_a_session_left_early_is_rolled_back(
    database: Database, mysql_admin: Connection[Any], table: str
) -> None:
    """And its connection closed, since a transaction was open."""
    before = connection_id(database)

    with database.session() as session:
        session.begin()
        session.execute("INSERT INTO items (name) VALUES ('a')")

    assert connection_id(database) != before
    assert eventually(lambda: run(mysql_admin, "SELECT COUNT(*) FROM items") == ((0,),))


def test_a_session_repeats_nothing(proxied: tuple[Database, Proxy]) -> None:
    """What went before is lost with the connection."""
    database, proxy = proxied
    with database.session() as session:
        session.begin()
        proxy.cut_after(0)
        with pytest.raises(DatabaseUnavailable):
            session.query("SELECT 1")

    assert proxy.connections == 1


def test_a_session_ends_with_its_block(database: Database) -> None:
    """Its connection is another's by then."""
    with database.session() as session:
        session.query("SELECT 1")

    with pytest.raises(RuntimeError, match="with block"):
        session.query("SELECT 1")


# --- the end -----------------------------------------------------------------------------------------------


def test_closing_is_final(database: Database) -> None:
    """And may be done again."""
    database.query("SELECT 1")

    database.close()
    database.close()

    with pytest.raises(ClosedError):
        database.query("SELECT 1")
    with pytest.raises(ClosedError), database.pool.connection():
        pass


def test_closing_lets_calls_finish(
    open_database: Callable[..., Database], proxy_to: Callable[..., Proxy], mysql_url: str
) -> None:
    """Their connections are closed when they come back; those who wait for one are told."""
    proxy = proxy_to(mysql_url)
    database = open_database(proxy.url, maxsize=1)
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            database.query("SELECT 1")
        except ClosedError as error:
            errors.append(error)

    with database.pool.connection() as connection:
        waiting = threading.Thread(target=wait)
        waiting.start()
        database.close()
        waiting.join(10)
        assert run(connection, "SELECT 7") == ((7,),)

    assert len(errors) == 1
    assert eventually(lambda: proxy.open_connections == 0)


def test_repr_never_shows_the_password(database: Database) -> None:
    """Both may end up in a log."""
    database = Database(DEAD)

    assert repr(database) == "<Database 127.0.0.1:1>"
    assert repr(database.pool) == "<Pool of 127.0.0.1:1: 0 of 10 in use>"


# --- forks -------------------------------------------------------------------------------------------------


class Child:
    """A forked process; *work* runs in it and says what it found."""

    def __init__(self, work: Callable[[], object], leave: Callable[[int], Any] = os._exit) -> None:
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.write(writer, repr(work()).encode())
            except BaseException as error:
                os.write(writer, repr(error).encode())
            finally:
                leave(0)
        os.close(writer)
        self._reader = reader

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def result(self) -> str:
        with os.fdopen(self._reader, "rb") as reader:
            return reader.read().decode()


@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_a_child_has_connections_of_its_own(database: Database) -> None:
    """And the parent's go on working when it ends."""
    before = connection_id(database)

    with Child(lambda: connection_id(database)) as child:
        in_child = child.result()

    assert in_child.isdecimal()
    assert int(in_child) != before
    assert connection_id(database) == before


@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_a_child_forked_inside_a_block_does_not_touch_the_parents_connection(database: Database) -> None:
    """It is closed there without a word."""
    with database.pool.connection() as connection:
        before = run(connection, "SELECT CONNECTION_ID()")

        def work() -> object:
            with suppress(pymysql.InterfaceError):
                return run(connection, "SELECT CONNECTION_ID()")
            connection.close()
            return "refused"

        with Child(work) as child:
            assert child.result() == "'refused'"
        assert run(connection, "SELECT CONNECTION_ID()") == before


@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_forks_under_busy_threads_harm_nobody(open_database: Callable[..., Database]) -> None:
    """Locks held at the fork by other threads do not stop the child, and no rows get mixed up."""
    database = open_database(maxsize=4)
    stop = threading.Event()
    wrong: list[object] = []

    def work(number: int) -> None:
        while not stop.is_set():
            rows = database.query("SELECT ? AS n", [number])
            if rows != [{"n": number}]:
                wrong.append(rows)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        for number in range(100, 115):
            with Child(
                lambda n=number: [database.query("SELECT ? AS n", [n])[0]["n"] for _ in range(5)]
            ) as child:
                assert child.result() == repr([number] * 5)
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)

    assert wrong == []
