"""A transaction that the server has ended is over: nothing runs alone behind it, and its outcome is said."""

from __future__ import annotations

import threading
from contextlib import closing, nullcontext, suppress
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from mysql_redis_cache import DatabaseUnavailable, MRCClient, QueryTimeout, TransactionEnded
from mysql_redis_cache.database import session
from tests.support.sending import send
from tests.support.urls import mysql_arguments
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymysql.connections import Connection

    from mysql_redis_cache.calls import Transaction
    from tests.support.proxy import Proxy
    from tools.private_servers import PrivateMySQL

pytestmark = pytest.mark.real

SET = "UPDATE accounts SET v = ? WHERE id = ?"
READ = "SELECT v FROM accounts WHERE id = ?"


class OnPurpose(Exception):
    """What the user's code raises."""


def run(connection: Connection[Any], *statements: str) -> Any:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall()


def furnish(admin: Connection[Any]) -> None:
    """Six accounts of nothing, and procedures that commit."""
    run(
        admin,
        "DROP TABLE IF EXISTS accounts, made",
        "DROP PROCEDURE IF EXISTS commits",
        "DROP PROCEDURE IF EXISTS commits_and_begins",
        "DROP PROCEDURE IF EXISTS rolls_back",
        "DROP PROCEDURE IF EXISTS shows_one",
        "CREATE TABLE accounts (id INT PRIMARY KEY, v INT) ENGINE = InnoDB",
        "INSERT INTO accounts VALUES (1, 0), (2, 0), (3, 0), (10, 0), (11, 0), (12, 0)",
        "CREATE PROCEDURE commits() COMMIT",
        "CREATE PROCEDURE commits_and_begins() BEGIN COMMIT; START TRANSACTION; END",
        "CREATE PROCEDURE rolls_back() ROLLBACK",
        "CREATE PROCEDURE shows_one() BEGIN SELECT v FROM accounts WHERE id = 1; END",
    )


@pytest.fixture(name="admin")
def _admin(mysql_admin: Connection[Any]) -> Connection[Any]:
    furnish(mysql_admin)
    return mysql_admin


@pytest.fixture(name="client")
def _client(admin: Connection[Any], mysql_url: str, redis_url: str) -> Iterator[MRCClient]:
    with MRCClient(f"{mysql_url}?maxsize=2", redis_url) as client:
        yield client


def accounts(admin: Connection[Any]) -> dict[int, int]:
    return dict(run(admin, "SELECT id, v FROM accounts WHERE id < 10"))


def be_victim(client: MRCClient, tx: Transaction) -> None:
    """Let *tx* lose a deadlock against somebody who has changed more rows."""
    config = client._core.database._config.arguments
    keys = ("host", "port", "user", "password", "database")
    with closing(pymysql.connect(**{key: config[key] for key in keys if key in config})) as other:
        cursor = other.cursor()
        for number in (2, 10, 11, 12):
            cursor.execute("UPDATE accounts SET v = v + 1 WHERE id = %s", (number,))
        tx.execute(SET, [5, 1])
        waits = threading.Thread(target=lambda: cursor.execute("UPDATE accounts SET v = v + 1 WHERE id = 1"))
        waits.start()
        assert wait_until(lambda: client.query(WAITING, ["UPDATE accounts SET v = v + 1 WHERE id = 1"]))
        with pytest.raises(pymysql.OperationalError) as caught:
            tx.execute(SET, [5, 2])
        waits.join()
        other.rollback()
    assert caught.value.args[0] == 1213


WAITING = "SELECT 1 FROM information_schema.processlist WHERE info = ?"


def ends(name: str) -> Callable[[MRCClient, Transaction], object]:
    """What ends a transaction on the server."""

    def called(client: MRCClient, tx: Transaction) -> object:
        return tx.query(f"CALL {name}()")

    return called


def creates(client: MRCClient, tx: Transaction) -> object:
    return tx.execute("CREATE TABLE made (a INT)")


def fails_to_create(client: MRCClient, tx: Transaction) -> object:
    with pytest.raises(pymysql.Error, match="exists"):
        tx.execute("CREATE TABLE accounts (a INT)")
    return None


def is_killed(client: MRCClient, tx: Transaction) -> object:
    number = tx.query("SELECT CONNECTION_ID() AS i")[0]["i"]
    killer = threading.Thread(target=client.execute, args=("KILL ?", [number]))  # here it would be part of it
    killer.start()
    killer.join(20)
    with pytest.raises(DatabaseUnavailable):
        tx.query("SELECT 1")
    return None


def times_out(client: MRCClient, tx: Transaction) -> object:
    client._core.database.pool._config.__dict__["query_timeout"] = 0.2
    with pytest.raises(QueryTimeout):
        tx.query("SELECT SLEEP(5)")
    return None


def is_not_served(client: MRCClient, tx: Transaction) -> object:
    with pytest.raises(DatabaseUnavailable, match="not now"):
        tx.query("SELECT refuse() AS r")
    return None


ENDS: dict[str, tuple[Callable[[MRCClient, Transaction], object], bool | None]] = {
    "deadlock": (be_victim, False),
    "DDL": (creates, True),
    "DDL that fails": (fails_to_create, None),
    "a procedure commits": (ends("commits"), None),
    "a procedure commits and begins": (ends("commits_and_begins"), None),
    "a procedure rolls back": (ends("rolls_back"), None),
    "KILL": (is_killed, False),
    "query_timeout": (times_out, False),
    "the server serves nobody": (is_not_served, False),
}
IS_COMMITTED = {"DDL", "DDL that fails", "a procedure commits", "a procedure commits and begins"}


@pytest.fixture(autouse=True)
def _refusing(admin: Connection[Any]) -> None:
    run(
        admin,
        "DROP FUNCTION IF EXISTS refuse",
        "CREATE FUNCTION refuse() RETURNS INT NO SQL BEGIN "
        "SIGNAL SQLSTATE '08S01' SET MYSQL_ERRNO = 1047, MESSAGE_TEXT = 'not now'; RETURN 1; END",
    )


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("how", ["goes on", "ends well", "raises"])
def test_a_transaction_that_the_server_has_ended_is_over(
    client: MRCClient, admin: Connection[Any], name: str, how: str
) -> None:
    """No later statement of the block runs, the block cannot end well, and no outdated row is cached."""
    end, committed = ENDS[name]
    for number in (1, 2, 3):
        client.query_with_cache(READ, [number], ["Id"])

    with (  # noqa: PT012 - the block's end
        pytest.raises((TransactionEnded, DatabaseUnavailable, OnPurpose)) as caught,
        client.transaction() as tx,
    ):
        tx.drop_outdated_cache(["Id"], [1])
        tx.drop_outdated_cache(["Id"], [3])
        tx.execute(SET, [1, 3])
        end(client, tx)
        if how == "goes on":
            tx.execute(SET, [7, 2])
        if how == "raises":
            raise OnPurpose

    is_committed = name in IS_COMMITTED
    assert wait_until(lambda: accounts(admin) == {1: 0, 2: 0, 3: 1 if is_committed else 0})
    for number in (1, 2, 3):
        assert client.query_with_cache(READ, [number], ["Id"]) == [{"v": accounts(admin)[number]}]
    if isinstance(caught.value, TransactionEnded):
        assert caught.value.committed is committed
    assert isinstance(caught.value, OnPurpose) == (how == "raises")
    assert client.get_mysql_pool().in_use == 0
    assert client.execute(SET, [9, 2]).affected_rows == 1
    assert accounts(admin)[2] == 9


def test_the_error_says_what_has_become_of_it(client: MRCClient) -> None:
    """And its cause is the server's answer."""
    wanted = r"ended the transaction; .* rolled back"
    with pytest.raises(TransactionEnded, match=wanted) as caught, client.transaction() as tx:  # noqa: PT012
        be_victim(client, tx)
        tx.query("SELECT 1")

    assert type(caught.value.__cause__) is pymysql.OperationalError
    assert isinstance(caught.value, RuntimeError)


def test_every_later_statement_says_so(client: MRCClient) -> None:
    """Reads through the cache too: they would go past the transaction that they belong to."""
    with pytest.raises(TransactionEnded), client.transaction() as tx:  # noqa: PT012 - the block's end
        creates(client, tx)
        for statement in ("SELECT 1", SET.replace("?", "1")):
            with pytest.raises(TransactionEnded):
                send(tx, statement)
        with pytest.raises(TransactionEnded):
            client.query_with_cache(READ, [1], ["Id"])


GOES_ON = {
    "a syntax error": "SELEC 1",
    "a duplicate": "INSERT INTO accounts VALUES (1, 1)",
    "a missing table": "DELETE FROM no_such_table",
    "a procedure that reads": "CALL shows_one()",
    "a procedure that fails": "CALL no_such_procedure()",
    "a temporary table": "CREATE TEMPORARY TABLE mine (a INT)",
    "a savepoint": "SAVEPOINT here",
    "a setting": "SET @a = 1",
    "a lock": "SELECT v FROM accounts WHERE id = 1 FOR UPDATE",
}


@pytest.mark.parametrize("statement", GOES_ON.values(), ids=GOES_ON)
def test_what_does_not_end_it_does_not_end_it(
    client: MRCClient, admin: Connection[Any], statement: str
) -> None:
    """An error of the server's undoes one statement, and the block may go on."""
    with client.transaction() as tx:
        tx.execute(SET, [1, 1])
        with suppress(pymysql.Error):
            send(tx, statement)
        assert accounts(admin)[1] == 0
        tx.execute(SET, [1, 2])

    assert accounts(admin) == {1: 1, 2: 1, 3: 0}


@pytest.mark.parametrize("statement", GOES_ON.values(), ids=GOES_ON)
def test_nor_is_anything_committed_by_it(client: MRCClient, admin: Connection[Any], statement: str) -> None:
    """So the drops need not run."""
    client.query_with_cache(READ, [1], ["Id"])
    with suppress(OnPurpose), client.transaction() as tx:
        tx.execute(SET, [1, 1])
        tx.drop_outdated_cache(["Id"], [1])
        with suppress(pymysql.Error):
            send(tx, statement)
        raise OnPurpose

    assert accounts(admin)[1] == 0
    assert client.read_from_cache(READ, [1], ["Id"]) == [{"v": 0}]


def test_savepoints_are_the_user_s(client: MRCClient, admin: Connection[Any]) -> None:
    """Around calls of procedures too, which are watched by a savepoint of our own."""
    with client.transaction() as tx:
        tx.execute(SET, [1, 1])
        tx.execute("SAVEPOINT before_all")
        tx.query("CALL shows_one()")
        tx.execute(SET, [1, 2])
        tx.execute("ROLLBACK TO SAVEPOINT before_all")
        tx.execute(SET, [1, 3])
        tx.query("CALL shows_one()")
        tx.execute("RELEASE SAVEPOINT before_all")

    assert accounts(admin) == {1: 1, 2: 0, 3: 1}


@pytest.mark.parametrize(
    "statement",
    [
        "COMMIT",
        "ROLLBACK",
        "ROLLBACK WORK",
        "/* x */ BEGIN",
        "START TRANSACTION",
        "XA START 'x'",
        "SET autocommit = 1",
        "SET SESSION autocommit = 0",
        "LOCK TABLES accounts WRITE",
        "UNLOCK TABLES",
    ],
)
def test_what_would_end_it_is_refused(client: MRCClient, admin: Connection[Any], statement: str) -> None:
    """Before it is sent, so that the block goes on."""
    with client.transaction() as tx:
        tx.execute(SET, [1, 1])
        with pytest.raises(ValueError, match="the statement is refused: it "):
            tx.execute(statement)
        with pytest.raises(ValueError, match=r"this statement has none|is refused: "):
            tx.query(statement)
        assert accounts(admin)[1] == 0
        tx.execute(SET, [1, 2])

    assert accounts(admin) == {1: 1, 2: 1, 3: 0}


def test_innodb_rollback_on_timeout(private_mysql: Callable[..., PrivateMySQL]) -> None:
    """A lock that is not had in time undoes the whole transaction there, and one statement elsewhere."""
    for option, is_over in (("ON", True), ("OFF", False)):
        server = private_mysql(f"--innodb-rollback-on-timeout={option}", "--innodb-lock-wait-timeout=1")
        with closing(pymysql.connect(**mysql_arguments(server.url), autocommit=True)) as admin:
            run(admin, "CREATE DATABASE timed", "USE timed")
            furnish(admin)
            with MRCClient(f"{server.url}timed") as client:
                admin.begin()
                run(admin, "UPDATE accounts SET v = 5 WHERE id = 2")
                with pytest.raises(TransactionEnded) if is_over else nullcontext() as caught:  # noqa: SIM117
                    with client.transaction() as tx:
                        tx.execute(SET, [1, 1])
                        with pytest.raises(pymysql.OperationalError, match="1205"):
                            tx.execute(SET, [1, 2])
                        tx.execute(SET, [1, 3])
                assert caught is None or caught.value.committed is False
                admin.rollback()
                assert accounts(admin) == ({1: 0, 2: 0, 3: 0} if is_over else {1: 1, 2: 0, 3: 1})


def test_a_connection_lost_in_the_middle_is_a_rollback(
    admin: Connection[Any], mysql_url: str, redis_url: str, proxy_to: Callable[..., Proxy]
) -> None:
    """Unless what was being run may have committed: then it is unknown, and the drops run."""
    proxy = proxy_to(mysql_url)
    with MRCClient(f"{proxy.url}?maxsize=2", redis_url) as client:
        for statement, is_certain in ((SET.replace("?", "1"), True), ("CREATE TABLE made (a INT)", False)):
            client.query_with_cache(READ, [1], ["Id"])
            with pytest.raises(DatabaseUnavailable), client.transaction() as tx:  # noqa: PT012 - the block's end
                tx.drop_outdated_cache(["Id"], [1])
                tx.execute("UPDATE accounts SET v = 1 WHERE id = 2")
                proxy.cut()
                with suppress(DatabaseUnavailable):
                    tx.execute(statement)
            cached = client.read_from_cache(READ, [1], ["Id"])
            assert cached == ([{"v": 0}] if is_certain else None)


class Struck(BaseException):
    """What a signal handler raises."""


def test_what_strikes_right_after_the_answer_hides_nothing(
    client: MRCClient, admin: Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal between the reply and whoever looks at it: the transaction is over all the same."""
    real = session.ask

    def struck(*args: Any, **kwargs: Any) -> Any:
        reply = real(*args, **kwargs)
        if "CREATE" in args[2].text:
            raise Struck
        return reply

    monkeypatch.setattr(session, "ask", struck)
    client.query_with_cache(READ, [1], ["Id"])
    with suppress(TransactionEnded), client.transaction() as tx:
        tx.drop_outdated_cache(["Id"], [1])
        tx.execute(SET, [1, 1])
        with pytest.raises(Struck):
            tx.execute("CREATE TABLE made (a INT)")
        tx.execute(SET, [7, 2])

    assert accounts(admin) == {1: 1, 2: 0, 3: 0}
    assert client.query_with_cache(READ, [1], ["Id"]) == [{"v": 1}]


def test_without_a_transaction_flag_the_verbs_decide(
    client: MRCClient, admin: Connection[Any], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not tell whether a transaction is open: what may have committed has its drops."""
    state = type(client._core.database.pool).__module__.replace("pool", "state")
    monkeypatch.setattr(f"{state}.SessionState.in_transaction", property(lambda _: False))
    for statement, is_certain in (("SELECT 1", True), ("CREATE TABLE made (a INT)", False)):
        client.query_with_cache(READ, [1], ["Id"])
        with suppress(OnPurpose), client.transaction() as tx:
            tx.drop_outdated_cache(["Id"], [1])
            send(tx, statement)
            raise OnPurpose
        assert client.read_from_cache(READ, [1], ["Id"]) == ([{"v": 0}] if is_certain else None)
