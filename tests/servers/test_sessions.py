"""Sessions go back to the pool as they came, and what a session is the server says."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
from pymysql.cursors import SSCursor

from mysql_redis_cache import MRCClient, TransactionEnded
from tests.support.sending import send
from tests.support.urls import mysql_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymysql.connections import Connection

    from tests.support.proxy import Proxy
    from tools.private_servers import PrivateMySQL

pytestmark = pytest.mark.real

HOSTILE = ["' OR 1=1 -- ", "\\' OR 1=1 -- ", "中' OR 1=1 -- ", '" OR 1=1 -- ', "\\\\' OR 1=1 -- "]


@pytest.fixture(name="client")
def _client(mysql_url: str) -> Iterator[MRCClient]:
    """A client with one connection, so that whoever comes next has the same."""
    with MRCClient(f"{mysql_url}?maxsize=1&pool_timeout=2") as client:
        yield client


@pytest.fixture(autouse=True)
def _furniture(mysql_admin: Connection[Any]) -> None:
    run(mysql_admin, "DROP TABLE IF EXISTS who, numbered")
    run(mysql_admin, "CREATE TABLE who (n VARCHAR(40))")
    run(mysql_admin, "INSERT INTO who VALUES ('secret')")
    run(mysql_admin, "CREATE TABLE numbered (id INT PRIMARY KEY AUTO_INCREMENT, v INT)")


def run(connection: Connection[Any], *statements: str) -> Any:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall()


def identity(client: MRCClient) -> int:
    return int(client.query("SELECT CONNECTION_ID() AS id")[0]["id"])


# How anybody can run a statement over the pool.


def by_itself(client: MRCClient, statement: str) -> None:
    send(client, statement)


def by_either(client: MRCClient, statement: str) -> None:
    client.query_to_promise(statement)


def in_transaction(client: MRCClient, statement: str) -> None:
    with client.transaction() as tx:
        send(tx, statement)


def by_cursor(client: MRCClient, statement: str) -> None:
    with client.get_mysql_pool().connection() as connection, connection.cursor() as cursor:
        cursor.execute(statement)


def by_unbuffered_cursor(client: MRCClient, statement: str) -> None:
    with client.get_mysql_pool().connection() as connection, connection.cursor(SSCursor) as cursor:
        cursor.execute(statement)
        cursor.fetchall()


WAYS = [by_itself, by_either, in_transaction, by_cursor, by_unbuffered_cursor]

# What a session may be left as, and what anybody would see of it.
SETTINGS: dict[str, tuple[str, str]] = {
    "another schema": ("USE information_schema", "SELECT DATABASE() AS v"),
    "SET": ("SET time_zone = '+09:00'", "SELECT @@time_zone AS v"),
    "SET SESSION": ("SET SESSION time_zone = '+09:00'", "SELECT FROM_UNIXTIME(0) AS v"),
    "SET LOCAL": ("SET LOCAL time_zone = '+09:00'", "SELECT @@time_zone AS v"),
    "SET @@": ("SET @@time_zone := '+09:00'", "SELECT @@time_zone AS v"),
    "SET @@session.": ("/* x */ set @@session.time_zone = '+09:00'", "SELECT @@time_zone AS v"),
    "SET @@local.": ("SET @@local.time_zone='+09:00'", "SELECT @@time_zone AS v"),
    "commented": ("/*!50000 SET time_zone = '+09:00' */", "SELECT @@time_zone AS v"),
    "sql_mode": ("SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'", "SELECT @@sql_mode AS v"),
    "NAMES": ("SET NAMES latin1", "SELECT @@character_set_client AS v"),
    "results": ("SET character_set_results = NULL", "SELECT @@character_set_results AS v"),
    "collation": ("SET collation_connection = utf8mb4_bin", "SELECT @@collation_connection AS v"),
    "lc_time_names": ("SET lc_time_names = 'de_DE'", "SELECT DATE_FORMAT('2026-01-05', '%W') AS v"),
    "group_concat_max_len": ("SET group_concat_max_len = 10", "SELECT GROUP_CONCAT(REPEAT('x', 99)) AS v"),
    "div_precision_increment": ("SET div_precision_increment = 9", "SELECT CAST(1 / 3 AS CHAR) AS v"),
    "default_week_format": ("SET default_week_format = 3", "SELECT WEEK('2026-01-01') AS v"),
    "foreign_key_checks": ("SET foreign_key_checks = 0", "SELECT @@foreign_key_checks AS v"),
    "unique_checks": ("SET unique_checks = 0", "SELECT @@unique_checks AS v"),
    "sql_select_limit": (
        "SET sql_select_limit = 1",
        "SELECT COUNT(*) AS v FROM (SELECT 1 UNION SELECT 2) AS t",
    ),
    "timestamp": ("SET timestamp = 1", "SELECT YEAR(NOW()) > 2000 AS v"),
    "insert_id": ("SET insert_id = 777", "SELECT @@insert_id AS v"),
    "isolation": (
        "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SHOW VARIABLES LIKE 'tx_isolation'",
    ),
    "profiling": ("SET profiling = 1", "SELECT @@profiling AS v"),
    "wait_timeout": ("SET wait_timeout = 77", "SELECT @@wait_timeout AS v"),
    "user variable": ("SET @who = 'me'", "SELECT @who AS v"),
    "user variable by SELECT": ("SELECT @who := 'me'", "SELECT @who AS v"),
    "user variable by INTO": ("SELECT 'me' INTO @who", "SELECT @who AS v"),
    "temporary table": ("CREATE TEMPORARY TABLE who (n INT)", "SELECT n AS v FROM who WHERE n <> 0"),
    "PREPARE": ("PREPARE made FROM 'SELECT 1'", "SHOW SESSION STATUS LIKE 'Com_nothing'"),
}


@pytest.mark.parametrize(("statement", "look"), SETTINGS.values(), ids=SETTINGS)
def test_what_a_statement_sets_ends_with_its_use(client: MRCClient, statement: str, look: str) -> None:
    """The next user of the connection sees a session as new; a value of theirs is a value."""
    as_new = client.query(look)

    for way in WAYS:
        way(client, statement)

        assert client.query(look) == as_new
        for value in HOSTILE:
            assert client.query("SELECT n FROM who WHERE n = ?", [value]) == []
            assert client.query("SELECT ? AS v", [f"{value}日😀"]) == [{"v": f"{value}日😀"}]


@pytest.mark.parametrize("way", WAYS)
def test_a_harmless_statement_costs_nothing_more(
    mysql_url: str, proxy_to: Callable[..., Proxy], way: Callable[[MRCClient, str], None]
) -> None:
    """One round trip for each, and the session is not reset."""
    proxy = proxy_to(mysql_url)
    with MRCClient(f"{proxy.url}?maxsize=1") as client:
        client.query("SELECT 1")
        before = proxy.round_trips
        for statement in (
            "SELECT COUNT(*), MAX(n), CONCAT(n, '(') FROM who GROUP BY n",
            "INSERT INTO numbered (v) VALUES (1)",
            "INSERT INTO `numbered` (`v`) SELECT ABS(1) FROM (SELECT 1) AS t",
            "WITH few (n) AS (SELECT 1) SELECT n FROM few WHERE n IN (1, 2)",
            "UPDATE numbered SET v = IF(v > (1), 2, 3)",
        ):
            way(client, statement)
        assert proxy.round_trips - before == 5 * (3 if way is in_transaction else 1)


def test_a_reset_is_one_round_trip(mysql_url: str, proxy_to: Callable[..., Proxy]) -> None:
    """Over the same connection; so is the set-up of a new one, beside greeting and login."""
    proxy = proxy_to(mysql_url)
    with MRCClient(f"{proxy.url}?maxsize=1&ssl_disabled=true") as client:
        client.query("SELECT 1")
        connecting = proxy.round_trips
        mine = identity(client)
        before = proxy.round_trips
        client.execute("SET time_zone = '+09:00'")
        assert proxy.round_trips == before + 2
        assert identity(client) == mine
    assert connecting <= 4  # login (two for a password that the server does not know by heart), set-up, query


def test_locks_end_with_their_use(client: MRCClient, mysql_url: str, mysql_admin: Connection[Any]) -> None:
    """No reply tells of a lock: it is known by the statement, or what cannot be known is taken for one."""
    run(mysql_admin, "DROP PROCEDURE IF EXISTS take", "DROP FUNCTION IF EXISTS taken")
    run(mysql_admin, "CREATE PROCEDURE take() SELECT GET_LOCK('job', 0)")
    run(mysql_admin, "CREATE FUNCTION taken() RETURNS INT NO SQL RETURN GET_LOCK('job', 0)")
    schema = client.query("SELECT DATABASE() AS d")[0]["d"]
    statements = [
        "SELECT GET_LOCK('job', 0)",
        "select /* quietly */ get_lock/**/('job', 0)",
        "SELECT\n`GET_LOCK` ('job', 0)",
        "/*!50000 SELECT GET_LOCK('job', 0) */",
        "DO GET_LOCK('job', 0)",
        "WITH t AS (SELECT GET_LOCK('job', 0) AS l) SELECT l FROM t",
        "INSERT INTO numbered (v) SELECT GET_LOCK('job', 0)",
        "UPDATE numbered SET v = (SELECT GET_LOCK('job', 0))",
        "SHOW VARIABLES WHERE GET_LOCK('job', 0) = 1 AND Variable_name = 'port'",
        "CALL take()",
        f"CALL {schema}.take()",
        "SELECT taken()",
        f"SELECT {schema}.taken() AS l",
        "SELECT `taken`() AS l",
        "SELECT 1, taken () AS l FROM who",
    ]
    if "MariaDB" in client.query("SELECT VERSION() AS v")[0]["v"]:
        statements.append("EXECUTE IMMEDIATE CONCAT('SELECT GET_', 'LOCK(\"job\", 0)')")
    for way in (by_itself, in_transaction, by_cursor):
        for statement in statements:
            way(client, statement)
            assert run(mysql_admin, "SELECT IS_FREE_LOCK('job')") == ((1,),), (way, statement)


def test_prepared_locks_end_too(client: MRCClient, mysql_admin: Connection[Any]) -> None:
    """What a prepared statement does is not in the text that runs it."""
    with client.get_mysql_pool().connection() as connection, connection.cursor() as cursor:
        cursor.execute("SET @text = CONCAT('SELECT GET_', 'LOCK(\"job\", 0)')")
        cursor.execute("PREPARE made FROM @text")
        cursor.execute("EXECUTE made")

    assert run(mysql_admin, "SELECT IS_FREE_LOCK('job')") == ((1,),)


@pytest.mark.parametrize(
    "statement",
    [
        "LOCK TABLES who READ",
        "lock/**/tables who write",
        "LOCK TABLE numbered WRITE",
        "FLUSH TABLES who WITH READ LOCK",
        "FLUSH TABLES who FOR EXPORT",
        "HANDLER who OPEN",
    ],
)
def test_locked_tables_are_unlocked(client: MRCClient, mysql_admin: Connection[Any], statement: str) -> None:
    """Anybody may write again at once."""
    run(mysql_admin, "SET lock_wait_timeout = 1, innodb_lock_wait_timeout = 1")
    for way in (by_itself, by_cursor):
        way(client, statement)
        run(mysql_admin, "INSERT INTO who VALUES ('x')", "INSERT INTO numbered (v) VALUES (1)")
        assert client.query("SELECT COUNT(*) > 0 AS n FROM numbered") == [{"n": 1}]


def test_another_role_ends_with_its_use(
    client: MRCClient, mysql_admin: Connection[Any], mysql_url: str
) -> None:
    """A reset does not bring a role back, so the connection is replaced."""
    run(mysql_admin, "DROP ROLE IF EXISTS mrc_reader", "CREATE ROLE mrc_reader")
    account = run(mysql_admin, "SELECT CURRENT_USER()")[0][0].split("@")
    run(mysql_admin, f"GRANT mrc_reader TO '{account[0]}'@'{account[1]}'")
    try:
        as_new = client.query("SELECT CURRENT_ROLE() AS r")
        for way in (by_itself, by_cursor):
            way(client, "SET ROLE mrc_reader")
            assert client.query("SELECT CURRENT_ROLE() AS r") == as_new
    finally:
        run(mysql_admin, "DROP ROLE mrc_reader")


ROUTINES = {
    "mariadb": ["CALL mrc_become()", "EXECUTE IMMEDIATE CONCAT('SET RO', 'LE mrc_reader')"],
    "mysql": ["CALL mrc_become()"],
}


def test_a_role_that_a_routine_takes_ends_with_its_use(
    client: MRCClient, mysql_admin: Connection[Any], server_flavour: str
) -> None:
    """Its text does not show it: who the session is, is asked; and where that is the same, it goes on."""
    run(mysql_admin, "DROP PROCEDURE IF EXISTS mrc_become", "DROP PROCEDURE IF EXISTS mrc_nothing")
    run(mysql_admin, "DROP ROLE IF EXISTS mrc_reader", "CREATE ROLE mrc_reader")
    account = run(mysql_admin, "SELECT CURRENT_USER()")[0][0].split("@")
    run(mysql_admin, f"GRANT mrc_reader TO '{account[0]}'@'{account[1]}'")
    run(mysql_admin, "CREATE PROCEDURE mrc_become() SQL SECURITY INVOKER SET ROLE mrc_reader")
    run(mysql_admin, "CREATE PROCEDURE mrc_nothing() DO 1")
    try:
        as_new = client.query("SELECT CURRENT_ROLE() AS r")
        for way in (by_itself, in_transaction, by_cursor):
            for statement in ROUTINES[server_flavour]:
                way(client, statement)
                assert client.query("SELECT CURRENT_ROLE() AS r") == as_new
        mine = identity(client)
        for way in (by_itself, in_transaction, by_cursor):
            way(client, "CALL mrc_nothing()")
            assert identity(client) == mine
    finally:
        run(mysql_admin, "DROP ROLE mrc_reader")


def test_who_the_session_is_is_asked_once(
    mysql_url: str, proxy_to: Callable[..., Proxy], mysql_admin: Connection[Any]
) -> None:
    """A call of a procedure is two round trips, with the reset, but for the first."""
    run(mysql_admin, "DROP PROCEDURE IF EXISTS mrc_nothing", "CREATE PROCEDURE mrc_nothing() DO 1")
    proxy = proxy_to(mysql_url)
    with MRCClient(f"{proxy.url}?maxsize=1") as client:
        client.query("CALL mrc_nothing()")
        before = proxy.round_trips
        client.query("CALL mrc_nothing()")
        assert proxy.round_trips == before + 2


def test_one_transaction_s_isolation_is_not_the_next_ones(
    client: MRCClient, mysql_admin: Connection[Any]
) -> None:
    """``SET TRANSACTION`` counts for the next transaction of the session, whoever's that is."""
    client.execute("SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
    mysql_admin.begin()
    run(mysql_admin, "INSERT INTO numbered (v) VALUES (1)")

    with client.transaction() as tx:
        assert tx.query("SELECT COUNT(*) AS n FROM numbered") == [{"n": 0}]
    mysql_admin.rollback()


INSERT = "INSERT INTO numbered (v) VALUES (1)"


@pytest.mark.parametrize(
    "look",
    [
        "SELECT LAST_INSERT_ID() AS v",
        "SELECT LAST_INSERT_ID/* x */(/**/) AS v",
        "SELECT `LAST_INSERT_ID`() AS v",
        "SELECT last_made() AS v",
        "SELECT @@identity AS v",
        "SELECT @@session . `identity` AS v",
    ],
)
def test_the_last_insert_id_is_nobody_elses(
    client: MRCClient, mysql_admin: Connection[Any], look: str
) -> None:
    """Whoever asks for it asks for one's own, and has it until the end of the block."""
    run(mysql_admin, "DROP FUNCTION IF EXISTS last_made")
    run(mysql_admin, "CREATE FUNCTION last_made() RETURNS BIGINT NO SQL RETURN LAST_INSERT_ID()")
    for way in WAYS:
        way(client, "SELECT LAST_INSERT_ID(42)")
        assert client.query(look) == [{"v": 0}]
        way(client, INSERT)
        assert client.query(look) == [{"v": 0}]
        way(client, INSERT)
        with client.transaction() as tx:
            assert tx.query(look) == [{"v": 0}]
            made = tx.execute(INSERT).insert_id
            assert tx.query(look) == [{"v": made}]
            tx.query("SELECT 1")
            assert tx.query(look) == [{"v": made}]
        way(client, INSERT)
        with client.get_mysql_pool().connection() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.execute(look)
            assert cursor.fetchall() == ((0,),)
            cursor.execute(INSERT)
            cursor.execute(look)
            assert cursor.fetchall() == ((cursor.lastrowid or made + 2,),)


@pytest.mark.parametrize(
    ("before", "look", "others"),
    [
        ("SELECT 1 UNION SELECT 2 UNION SELECT 3", "SELECT FOUND_ROWS() AS v", 3),
        ("INSERT INTO numbered (v) VALUES (1), (2), (3)", "SELECT ROW_COUNT() AS v", 3),
    ],
)
def test_nor_is_what_ran_before(client: MRCClient, before: str, look: str, others: int) -> None:
    """How many rows somebody else's statement had."""
    for way in (by_itself, by_cursor):
        way(client, before)
        assert client.query(look)[0]["v"] != others


def test_nor_are_warnings(client: MRCClient) -> None:
    """They tell of other people's values."""
    client.query("SELECT CAST('secret' AS SIGNED) AS v")

    assert client.query("SHOW WARNINGS") == []


def test_within_a_lease_the_session_is_one_s_own(client: MRCClient) -> None:
    """What is set there stays set until the end."""
    with client.transaction() as tx:
        tx.execute("SET @mine = 5")
        tx.execute("CREATE TEMPORARY TABLE mine (n INT)")
        tx.execute("INSERT INTO numbered (v) VALUES (1)")
        assert tx.query("SELECT LAST_INSERT_ID() > 0 AS n, @mine AS m") == [{"n": 1, "m": 5}]
        assert tx.query("SELECT COUNT(*) AS n FROM mine") == [{"n": 0}]


# How values are written


@pytest.mark.parametrize("way", [by_itself, in_transaction, by_cursor])
def test_a_mode_of_one_statement_is_not_the_session_s(
    client: MRCClient, server_flavour: str, way: Callable[[MRCClient, str], None]
) -> None:
    """``SET STATEMENT`` and ``SET_VAR`` show up in the flags of their own reply."""
    statements = {
        "mariadb": [
            "SET STATEMENT sql_mode = 'NO_BACKSLASH_ESCAPES' FOR SELECT 1",
            "SET/**/STATEMENT sql_mode='NO_BACKSLASH_ESCAPES,ANSI_QUOTES' FOR INSERT INTO who VALUES ('x')",
            "EXECUTE IMMEDIATE \"SET STATEMENT sql_mode='NO_BACKSLASH_ESCAPES' FOR SELECT 1\"",
        ],
        "mysql": ["SELECT /*+ SET_VAR(sql_mode='NO_BACKSLASH_ESCAPES') */ 1 AS n"],
    }
    for statement in statements[server_flavour]:
        way(client, statement)
        for value in HOSTILE:
            assert client.query("SELECT n FROM who WHERE n = ?", [value]) == []


def test_a_mode_of_one_statement_is_not_the_next_one_s_in_the_same_session(
    client: MRCClient, server_flavour: str
) -> None:
    """Nor is it in a transaction, or on a connection of the pool with PyMySQL's own escaping."""
    statement = {
        "mariadb": "SET STATEMENT sql_mode = 'NO_BACKSLASH_ESCAPES' FOR SELECT 1",
        "mysql": "SELECT /*+ SET_VAR(sql_mode='NO_BACKSLASH_ESCAPES') */ 1 AS n",
    }[server_flavour]
    with client.transaction() as tx:
        for value in HOSTILE:
            send(tx, statement)
            assert tx.query("SELECT n FROM who WHERE n = ?", [value]) == []
    with client.get_mysql_pool().connection() as connection, connection.cursor() as cursor:
        for value in HOSTILE:
            cursor.execute(statement)
            cursor.fetchall()
            cursor.execute("SELECT n FROM who WHERE n = %s", (value,))
            assert cursor.fetchall() == ()


@pytest.mark.parametrize(
    "mode", ["NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES", ""]
)
def test_a_mode_set_in_a_session_counts_in_it(
    client: MRCClient, mysql_admin: Connection[Any], mode: str
) -> None:
    """By a statement or by a procedure, and whatever the flags of the reply say."""
    run(mysql_admin, "DROP PROCEDURE IF EXISTS change_mode")
    run(mysql_admin, f"CREATE PROCEDURE change_mode() SET SESSION sql_mode = '{mode}'")
    for statement in (f"SET sql_mode = '{mode}'", "CALL change_mode()"):
        with client.transaction() as tx:
            tx.execute(statement)
            for value in HOSTILE:
                assert tx.query("SELECT n FROM who WHERE n = ?", [value]) == []
                assert tx.query("SELECT ? AS v", [value]) == [{"v": value}]
            if "ANSI_QUOTES" in tx.query("SELECT @@sql_mode AS m")[0]["m"]:  # a routine's ends with it
                assert tx.query('SELECT ? AS "a\\", ? AS b', [1, 2]) == [{"a\\": 1, "b": 2}]
        with client.get_mysql_pool().connection() as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            for value in HOSTILE:
                cursor.execute("SELECT n FROM who WHERE n = %s", (value,))
                assert cursor.fetchall() == ()
                cursor.execute("SELECT %s", (value,))
                assert cursor.fetchall() == ((value,),)


@pytest.mark.parametrize(
    "statement",
    [
        "SET NAMES gbk",
        "SET/**/NAMES/**/latin1",
        "SET character_set_client = gbk",
        "SET character_set_results = utf8mb3",
        "SET collation_connection = latin1_swedish_ci",
        "SET CHARACTER SET latin1",
    ],
)
def test_no_value_is_sent_in_another_character_set(client: MRCClient, statement: str) -> None:
    """In others a backslash may be half a character, or the text is garbled in silence."""
    with client.transaction() as tx:
        tx.execute(statement)
        with pytest.raises(ValueError, match=r"has set (character_set|collation)_\w+=.* escaped for utf8mb4"):
            tx.query("SELECT ? AS v", ["中' OR 1=1 -- "])
        tx.execute("SET NAMES utf8mb4")
        assert tx.query("SELECT ? AS v", ["中'😀"]) == [{"v": "中'😀"}]
    assert client.query("SELECT ? AS v", ["中'😀"]) == [{"v": "中'😀"}]


@pytest.mark.parametrize("collation", [None, "utf8mb4_bin", "latin1_bin"])
def test_another_character_set_of_pymysql_ends_with_its_use(client: MRCClient, collation: str | None) -> None:
    """Also what PyMySQL itself knows of it, by which it encodes the next one's text, and connects anew."""

    def look() -> Any:
        with client.get_mysql_pool().connection() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT %s, @@collation_connection, DATABASE()", ("é日😀",))
            return cursor.fetchall()

    as_new = look()
    for is_lost in (False, True):
        with client.get_mysql_pool().connection() as connection:
            charset = collation.partition("_")[0] if collation else "latin1"
            connection.set_character_set(charset, collation)
            if is_lost:
                connection.select_db("information_schema")
                connection.close()
                connection.connect()
        assert look() == as_new


# What a connection begins with


INIT_COMMANDS = [
    "SET NAMES latin1",
    "SET NAMES/**/latin1",
    "SET character_set_connection=utf8, collation_connection=utf8_unicode_ci",
    "SET collation_connection=latin1_swedish_ci",
    "SET character_set_results=utf8mb3",
    "SET character_set_results=NULL",
    "SET character_set_client:=gbk",
    "/*!50000 SET character_set_client = sjis */",
    "SET CHARACTER SET latin1",
    "SET @@local.character_set_client=big5",
]


@pytest.mark.parametrize("command", INIT_COMMANDS)
def test_an_init_command_is_judged_by_what_the_session_is(mysql_url: str, command: str) -> None:
    """A character set that does not carry every text is refused, however it was chosen."""
    with (
        pytest.raises(ValueError, match=r"utf8mb4"),
        MRCClient(_with(mysql_url, init_command=command)) as client,
    ):
        client.query("SELECT ? AS v", ["日😀"])


@pytest.mark.parametrize("command", ["START TRANSACTION", "BEGIN"])
def test_an_init_command_leaves_no_transaction_open(mysql_url: str, command: str) -> None:
    """What is written would not be committed."""
    with (
        pytest.raises(ValueError, match="leaves a transaction open"),
        MRCClient(_with(mysql_url, init_command=command)) as client,
    ):
        client.query("SELECT 1")


def test_what_an_init_command_sets_is_set_again(mysql_url: str) -> None:
    """After a reset the session is as at its beginning."""
    command = "SET time_zone = '+05:00', sql_mode = 'NO_BACKSLASH_ESCAPES', lc_time_names = 'fr_FR'"
    options = {"init_command": command, "maxsize": 1, "collation": "utf8mb4_bin"}
    look = "SELECT @@time_zone AS z, @@sql_mode AS m, @@lc_time_names AS l, @@collation_connection AS c"
    with MRCClient(_with(mysql_url, **options)) as client:
        as_new, mine = client.query(look), identity(client)
        client.execute("SET time_zone = '+09:00', sql_mode = '', collation_connection = utf8mb4_general_ci")
        assert client.query(look) == as_new
        assert as_new == [{"z": "+05:00", "m": "NO_BACKSLASH_ESCAPES", "l": "fr_FR", "c": "utf8mb4_bin"}]
        for value in HOSTILE:
            assert client.query("SELECT ? AS v", [value]) == [{"v": value}]
        assert identity(client) == mine


def _with(url: str, **options: object) -> dict[str, Any]:
    return {**mysql_arguments(url), **options}


@pytest.fixture(scope="module")
def greeting_server() -> Iterator[PrivateMySQL]:
    """A server whose ``init_connect`` a test may set."""
    from tools.private_servers import PrivateMySQL

    with PrivateMySQL() as server:
        with closing(pymysql.connect(**mysql_arguments(server.url))) as admin:
            run(admin, "CREATE DATABASE greeted", "CREATE TABLE greeted.t (n VARCHAR(40))")
            run(admin, "CREATE USER limited IDENTIFIED BY 'pw'", "GRANT ALL ON greeted.* TO limited")
            run(admin, "INSERT INTO greeted.t VALUES ('secret')")
            admin.commit()
        yield server


@pytest.fixture(name="greeted")
def _greeted(greeting_server: PrivateMySQL) -> Iterator[Callable[[str], MRCClient]]:
    """Make a client of a server with an ``init_connect``, for an account that it counts for."""
    with ExitStack() as stack, closing(pymysql.connect(**mysql_arguments(greeting_server.url))) as admin:

        def make(command: str) -> MRCClient:
            with admin.cursor() as cursor:
                cursor.execute("SET GLOBAL init_connect = %s", (command,))
            config = {**mysql_arguments(greeting_server.url), "user": "limited", "password": "pw"}
            return stack.enter_context(MRCClient({**config, "database": "greeted", "maxsize": 1}))

        yield make
        run(admin, "SET GLOBAL init_connect = ''")


def test_init_connect_does_not_switch_autocommit_off(greeted: Callable[[str], MRCClient]) -> None:
    """A write is committed when execute returns."""
    client = greeted("SET autocommit = 0")

    assert client.execute("INSERT INTO t VALUES ('committed')").affected_rows == 1

    with greeted("") as other:
        assert other.query("SELECT COUNT(*) AS n FROM t WHERE n = 'committed'") == [{"n": 1}]


@pytest.mark.parametrize("mode", ["NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES"])
def test_the_first_statement_knows_the_mode_of_init_connect(
    greeted: Callable[[str], MRCClient], mode: str
) -> None:
    """Not only the second one."""
    for value in HOSTILE:
        assert greeted(f"SET sql_mode = '{mode}'").query("SELECT n FROM t WHERE n = ?", [value]) == []
    client = greeted(f"SET sql_mode = '{mode}'")
    if "ANSI_QUOTES" in mode:
        assert client.query('SELECT ? AS "a\\", ? AS b', [1, 2]) == [{"a\\": 1, "b": 2}]


def test_what_init_connect_sets_is_set_again(greeted: Callable[[str], MRCClient]) -> None:
    """A reset would not run it, so that the connection is replaced."""
    client = greeted("SET time_zone = '+03:00'")
    for way in (by_itself, by_cursor):
        way(client, "SET time_zone = '+09:00'")
        assert client.query("SELECT @@time_zone AS z") == [{"z": "+03:00"}]


def test_init_connect_cannot_choose_the_character_set(greeted: Callable[[str], MRCClient]) -> None:
    """The client's own comes after it."""
    client = greeted("SET NAMES gbk")

    assert client.query("SELECT ? AS v", ["中' OR 1=1 -- 😀"]) == [{"v": "中' OR 1=1 -- 😀"}]


# Statements that belong to transactions


REFUSED = [
    "START TRANSACTION",
    "start transaction read only",
    "BEGIN",
    "BEGIN WORK",
    "/* now */ COMMIT",
    "COMMIT AND CHAIN",
    "ROLLBACK",
    "ROLLBACK TO SAVEPOINT a",
    "SAVEPOINT a",
    "RELEASE SAVEPOINT a",
    "XA START 'a'",
    "XA COMMIT 'a'",
    "SET autocommit = 0",
    "SET @a = 1, autocommit = 0",
    "SET @@autocommit := 1",
    "SET SESSION autocommit = OFF",
    "set local autocommit=0",
    "SET @@session.autocommit = 0",
    "/*!50000 START TRANSACTION */",
    "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE who",
]


@pytest.mark.parametrize("statement", REFUSED)
def test_statements_of_transactions_are_refused_alone(statement: str) -> None:
    """Before anything is sent (there is no server here), with advice."""
    with MRCClient("mysql://app@127.0.0.1:1/shop") as client:
        for call in (client.execute, client.query_to_promise):
            with pytest.raises(ValueError, match=r"is refused: it .*(transaction\(\)|get_mysql_pool\(\))"):
                call(statement)
        with pytest.raises(
            ValueError, match=r"this statement has none .*; use (transaction|execute)\(\)|is refused: "
        ):
            client.query(statement)


NOT_REFUSED = [
    "CREATE OR REPLACE PROCEDURE p() BEGIN START TRANSACTION; COMMIT; END",
    "SELECT 'COMMIT', 'START TRANSACTION; COMMIT'",
    "SELECT n AS `commit` FROM who -- ; COMMIT",
    "SHOW VARIABLES LIKE 'autocommit'",
    "SELECT @@autocommit",
    "SELECT 'it\\'s; COMMIT'",
]


@pytest.mark.parametrize("statement", NOT_REFUSED)
def test_what_only_looks_like_them_is_not(client: MRCClient, statement: str, server_flavour: str) -> None:
    """Words in strings, names, comments and bodies of procedures."""
    if server_flavour == "mysql":
        client.execute("DROP PROCEDURE IF EXISTS p")
        statement = statement.replace("OR REPLACE ", "")
    send(client, statement)


def test_a_statement_that_leaves_a_transaction_open_is_no_success(
    client: MRCClient, mysql_admin: Connection[Any]
) -> None:
    """A write is committed when execute returns, or it raises."""
    run(mysql_admin, "DROP PROCEDURE IF EXISTS half")
    run(
        mysql_admin,
        "CREATE PROCEDURE half() BEGIN START TRANSACTION; INSERT INTO numbered (v) VALUES (1); END",
    )

    ways = [client.execute, client.query, client.query_to_promise, client.query_with_cache]
    for way in ways:
        with pytest.raises(TransactionEnded, match="left a transaction open"):
            way("CALL half()")

    assert client.query("SELECT COUNT(*) AS n FROM numbered") == [{"n": 0}]


# Servers that tell less


def _without(bits: int) -> Callable[[bytes], bytes]:
    """Change a stream of replies: the status flags *bits* are never set, session tracking is not offered."""
    rest, count = bytearray(), 0

    def change(data: bytes) -> bytes:
        nonlocal rest, count
        rest += data
        out = b""
        while len(rest) >= 4 and len(rest) >= 4 + (size := int.from_bytes(rest[:3], "little")):
            packet, rest = rest[: 4 + size], rest[4 + size :]
            out += bytes(_stripped(packet, bits, is_greeting=count == 0))
            count += 1
        return out

    return change


def _stripped(packet: bytearray, bits: int, *, is_greeting: bool) -> bytearray:
    if is_greeting and bits & 1 << 16:  # of the capabilities: SESSION_TRACK and DEPRECATE_EOF
        upper = packet.index(b"\0", 5) + 1 + 4 + 9 + 2 + 1 + 2
        packet[upper] &= ~0x80 & 0xFF
        packet[upper + 1] &= ~0x01 & 0xFF
    if not is_greeting and packet[4] in {0, 0xFE} and len(packet) >= 9:
        low = 7
        packet[low] &= ~bits & 0xFF
    return packet


@pytest.mark.parametrize("bits", [2, 1 << 16, 1 << 16 | 2], ids=["no autocommit", "no tracking", "neither"])
def test_a_server_that_tells_less_is_used_all_the_same(
    mysql_url: str, proxy_to: Callable[..., Proxy], caplog: pytest.LogCaptureFixture, bits: int
) -> None:
    """Its connections are pooled; that it does not tell of autocommit is said once."""
    proxy = proxy_to(mysql_url)
    proxy.corrupt(_without(bits))
    with (
        caplog.at_level(logging.WARNING, logger="mysql_redis_cache"),
        MRCClient(f"{proxy.url}?maxsize=1&ssl_disabled=true") as client,
    ):
        client.query("SELECT 1")
        before = proxy.connections
        for number in range(5):
            assert client.query("SELECT ? AS n", [number]) == [{"n": number}]
            with suppress(pymysql.Error):
                client.query("SELECT * FROM no_such_table")
        assert proxy.connections == before
        client.execute("SET time_zone = '+09:00'")
        assert client.query("SELECT @@time_zone AS z") != [{"z": "+09:00"}]
        with client.transaction() as tx:
            tx.execute("INSERT INTO numbered (v) VALUES (7)")
        assert client.query("SELECT v FROM numbered") == [{"v": 7}]
    said = [record for record in caplog.records if "autocommit" in record.message]
    assert len(said) == (1 if bits & 2 else 0)


def test_a_session_that_cannot_be_reset_is_dropped(mysql_url: str, proxy_to: Callable[..., Proxy]) -> None:
    """Without an answer to the reset nobody else gets the connection."""
    proxy = proxy_to(mysql_url)
    with MRCClient(f"{proxy.url}?maxsize=1") as client:
        mine = identity(client)
        with client.get_mysql_pool().connection() as connection, connection.cursor() as cursor:
            cursor.execute("SET @a = 1")
            proxy.cut()
        assert client.query("SELECT @a AS a") == [{"a": None}]
        assert identity(client) != mine


def test_a_frozen_reset_is_bounded(mysql_url: str, proxy_to: Callable[..., Proxy]) -> None:
    """It takes no longer than two seconds."""
    proxy = proxy_to(mysql_url)
    with MRCClient(f"{proxy.url}?maxsize=1") as client:
        client.query("SELECT 1")
        began = time.monotonic()
        with client.get_mysql_pool().connection() as connection, connection.cursor() as cursor:
            cursor.execute("SET @a = 1")
            proxy.pause()
        assert time.monotonic() - began < 5
        proxy.resume()
        assert client.query("SELECT @a AS a") == [{"a": None}]
