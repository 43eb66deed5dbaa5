"""A change by anybody, and the entries that it outdates are gone; the others stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import MRCClient
from tests.support.binlogs import LoggedServer
from tests.support.following import Cached, following, rules_for, wait_followed
from tests.support.urls import with_database
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.private_servers import PrivateMySQL

pytestmark = pytest.mark.real

ORDERS = "CREATE TABLE orders (id INT PRIMARY KEY, user_id INT, store_id INT, note VARCHAR(20))"
ROWS = "INSERT INTO orders VALUES (1, 1, 10, 'a'), (2, 2, 10, 'b'), (3, 3, 30, 'c')"
RULES: dict[str, Any] = {
    "user_id": "user_id",
    "store_id": "store_id",
    "user_id store_id": ["user_id", "store_id"],
}


@pytest.mark.parametrize("index", [False, True])
def test_old_and_new_values_are_dropped(server: LoggedServer, redis_url: str, index: bool) -> None:
    """An update outdates what the row was and what it is; entries of other rows stay."""
    server.run(ORDERS, ROWS)
    rules = rules_for(server.schema, {"orders": {"user_id": "user_id"}})
    with (
        MRCClient(server.url, redis_url, index=index) as client,
        following(server.url, redis_url, rules, index=index),
    ):
        cached = Cached(server, client)
        for user in (1, 2, 3):
            cached.read("orders", user_id=user)
        server.run("UPDATE orders SET user_id = 2 WHERE id = 1")
        cached.wait_gone("orders", user_id=1)
        cached.wait_gone("orders", user_id=2)

        assert cached.is_cached("orders", user_id=3)
        assert [row["id"] for row in cached.read("orders", user_id=2)] == [1, 2]
        server.run("DELETE FROM orders WHERE id = 2", "INSERT INTO orders VALUES (4, 3, 10, 'd')")
        cached.wait_gone("orders", user_id=2)
        cached.wait_gone("orders", user_id=3)


def test_a_combination_outdates_what_carries_all_of_it(cached: Cached, redis_url: str) -> None:
    """A rule of several names drops the entries of exactly these values."""
    cached.server.run(ORDERS, ROWS)
    rules = rules_for(cached.server.schema, {"orders": {"user_id store_id": ["user_id", "store_id"]}})
    with following(cached.server.url, redis_url, rules):
        cached.read("orders", user_id=1, store_id=10)
        cached.read("orders", user_id=2, store_id=10)
        cached.read("orders", user_id=1)
        cached.server.run("UPDATE orders SET note = 'z' WHERE id = 1")
        cached.wait_gone("orders", user_id=1, store_id=10)

        assert cached.is_cached("orders", user_id=2, store_id=10)
        assert cached.is_cached("orders", user_id=1)


def test_a_table_may_drop_names(cached: Cached, redis_url: str) -> None:
    """``drop`` takes all entries of a name with any change of the table."""
    cached.server.run(ORDERS, ROWS)
    rules = rules_for(cached.server.schema, {"orders": {"drop": ["store_id"]}})
    with following(cached.server.url, redis_url, rules) as follower:
        cached.read("orders", store_id=30)
        cached.read("orders", user_id=3)
        cached.server.run("DELETE FROM orders WHERE id = 1")
        cached.wait_gone("orders", store_id=30)

        assert cached.is_cached("orders", user_id=3)
        assert follower.stats()["wide"] == 0  # as the rule says, so it is not told as something odd


def test_a_tag_of_the_table_needs_no_rule(cached: Cached, redis_url: str) -> None:
    """With table_tags, a change of a table drops the entries that carry its name."""
    cached.server.run(ORDERS, ROWS)
    sql, missing = "SELECT COUNT(*) AS n FROM orders WHERE id > ?", object()

    def is_cached(table: str) -> bool:
        found = cached.client.read_from_cache(sql, [0], default=missing, tags={"Table": table})
        return found is not missing

    with following(cached.server.url, redis_url, {"table_tags": True}):
        for table in ("orders", "others"):
            cached.client.query_with_cache(sql, [0], tags={"Table": table})
        cached.server.run("DELETE FROM orders WHERE id = 1")
        assert wait_until(lambda: not is_cached("orders"))
        assert is_cached("others")


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE TABLE orders",
        "DROP TABLE orders",
        "ALTER TABLE orders DROP COLUMN note",
        "RENAME TABLE orders TO gone",
        "ALTER TABLE orders ADD COLUMN first_ INT FIRST",
    ],
)
def test_a_definition_drops_the_names_of_its_table(cached: Cached, redis_url: str, statement: str) -> None:
    """TRUNCATE and DDL cannot be told row by row: all entries of the names go, and that is said."""
    cached.server.run(ORDERS, ROWS)
    rules = rules_for(cached.server.schema, {"orders": RULES})
    with following(cached.server.url, redis_url, rules) as follower:
        cached.read("orders", user_id=3)
        cached.server.run(statement)
        cached.wait_gone("orders", user_id=3)
        assert follower.stats()["wide"] == 2


def test_a_table_that_changed_its_shape_is_followed_on(cached: Cached, redis_url: str) -> None:
    """After a column was put in before the others, values come from where the column is now."""
    cached.server.run(ORDERS, ROWS)
    rules = rules_for(cached.server.schema, {"orders": {"user_id": "user_id"}})
    with following(cached.server.url, redis_url, rules) as follower:
        cached.server.run("ALTER TABLE orders ADD COLUMN first_ INT FIRST")
        cached.server.run("ALTER TABLE orders MODIFY user_id BIGINT")
        cached.server.run("INSERT INTO orders VALUES (77, 5, 3, 10, 'x')")
        wait_followed(follower, cached.server)
        for user in (3, 5, 77):
            cached.read("orders", user_id=user)
        cached.server.run("UPDATE orders SET note = 'y' WHERE id = 5")
        cached.wait_gone("orders", user_id=3)
        assert cached.is_cached("orders", user_id=5)
        assert cached.is_cached("orders", user_id=77)


def test_a_statement_in_place_of_rows_drops_everything(cached: Cached, redis_url: str) -> None:
    """A session that logs statements tells no rows: everything of the rules goes, and it is said."""
    cached.server.run(ORDERS, ROWS)
    rules = rules_for(cached.server.schema, {"orders": RULES})
    with following(cached.server.url, redis_url, rules) as follower:
        cached.read("orders", user_id=3)
        cached.server.run(
            "SET SESSION binlog_format = STATEMENT", "UPDATE orders SET note = 'q' WHERE id = 1"
        )
        cached.server.run("SET SESSION binlog_format = ROW")
        cached.wait_gone("orders", user_id=3)
        assert follower.stats()["wide"] >= 2


@pytest.mark.parametrize(
    "action", ["DELETE FROM parent WHERE id = 1", "UPDATE parent SET id = 9 WHERE id = 1"]
)
@pytest.mark.parametrize("behaviour", ["CASCADE", "SET NULL"])
def test_children_change_with_their_parents(
    cached: Cached, redis_url: str, action: str, behaviour: str
) -> None:
    """What the engine does to children is in no log of MariaDB's, and found by the foreign key."""
    cached.server.run(
        "CREATE TABLE parent (id INT PRIMARY KEY, v INT)",
        "CREATE TABLE child (id INT PRIMARY KEY, parent_id INT, other INT, "
        f"FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE {behaviour} ON UPDATE {behaviour})",
        "INSERT INTO parent VALUES (1, 0), (2, 0)",
        "INSERT INTO child VALUES (1, 1, 100), (2, 2, 200)",
    )
    rules = rules_for(cached.server.schema, {"child": {"parent_id": "parent_id"}})
    with following(cached.server.url, redis_url, rules):
        for parent in (1, 2, 9, None):
            cached.read("child", parent_id=parent)
        if action.startswith("UPDATE"):
            cached.server.run("UPDATE parent SET v = 1 WHERE id = 2")
        cached.server.run(action)
        cached.wait_gone("child", parent_id=1)
        now = 9 if action.startswith("UPDATE") and behaviour == "CASCADE" else None
        if now or behaviour == "SET NULL":
            cached.wait_gone("child", parent_id=now)
        assert cached.is_cached("child", parent_id=2)


def test_triggers_and_savepoints_and_rollbacks(cached: Cached, redis_url: str) -> None:
    """What a trigger writes is in the log; what was rolled back is not, and drops nothing."""
    cached.server.run(
        ORDERS,
        ROWS,
        "CREATE TABLE log_ (id INT AUTO_INCREMENT PRIMARY KEY, user_id INT)",
        "CREATE TRIGGER t AFTER UPDATE ON orders FOR EACH ROW INSERT INTO log_ SET user_id = NEW.user_id",
    )
    rules = rules_for(cached.server.schema, {"log_": {"user_id": "user_id"}})
    with following(cached.server.url, redis_url, rules):
        for user in (1, 2, 3):
            cached.read("log_", user_id=user)
        cached.server.run(
            "BEGIN",
            "UPDATE orders SET note = 'a1' WHERE id = 1",
            "SAVEPOINT s",
            "UPDATE orders SET note = 'b1' WHERE id = 2",
            "ROLLBACK TO s",
            "COMMIT",
            "BEGIN",
            "UPDATE orders SET note = 'c1' WHERE id = 3",
            "ROLLBACK",
        )
        cached.wait_gone("log_", user_id=1)
        assert cached.is_cached("log_", user_id=2)
        assert cached.is_cached("log_", user_id=3)


def test_a_prepared_transaction_is_dropped_when_it_is_committed(cached: Cached, redis_url: str) -> None:
    """XA: prepared today, committed after the follower was another one."""
    cached.server.run(ORDERS, ROWS)
    rules = rules_for(cached.server.schema, {"orders": {"user_id": "user_id"}})
    with following(cached.server.url, redis_url, rules):
        cached.server.run(
            "XA START 'follow'", "UPDATE orders SET note = 'xa' WHERE id = 1", "XA END 'follow'"
        )
        cached.server.run("XA PREPARE 'follow'")
    with following(cached.server.url, redis_url, rules) as follower:
        assert follower.stats()["prepared"] == 1
        cached.read("orders", user_id=1)
        cached.read("orders", user_id=2)
        cached.server.run("XA COMMIT 'follow'")
        cached.wait_gone("orders", user_id=1)
        assert cached.is_cached("orders", user_id=2)


def test_generated_and_invisible_columns(cached: Cached, redis_url: str) -> None:
    """A rule's column may be generated, virtual or stored, or one that ``SELECT *`` does not show."""
    cached.server.run(
        "CREATE TABLE g (id INT PRIMARY KEY, a INT, virtual_ INT GENERATED ALWAYS AS (a * 2) VIRTUAL, "
        "stored_ INT GENERATED ALWAYS AS (a * 3) STORED, hidden INT INVISIBLE DEFAULT 7)",
        "INSERT INTO g (id, a) VALUES (1, 5), (2, 6)",
    )
    columns = ("virtual_", "stored_", "hidden")
    rules = rules_for(cached.server.schema, {"g": {column: column for column in columns}})
    with following(cached.server.url, redis_url, rules):
        for values in ({"virtual_": 10}, {"virtual_": 12}, {"stored_": 15}, {"hidden": 7}, {"hidden": 8}):
            cached.read("g", **values)
        cached.server.run("UPDATE g SET a = 50 WHERE id = 1")
        for values in ({"virtual_": 10}, {"stored_": 15}, {"hidden": 7}):
            cached.wait_gone("g", **values)
        assert cached.is_cached("g", virtual_=12)
        assert cached.is_cached("g", hidden=8)


def test_names_of_columns_come_from_the_schema_where_the_log_has_none(
    private_mysql: Callable[..., PrivateMySQL], redis_url: str
) -> None:
    """As servers are by default, the log names no column: the schema does, and a column more is no matter."""
    own = private_mysql("--log-bin=bin", "--binlog-format=ROW", "--server-id=1")
    LoggedServer(with_database(own.url, "mysql")).run("CREATE DATABASE own CHARACTER SET utf8mb4")
    server = LoggedServer(with_database(own.url, "own"))
    server.run(ORDERS, ROWS)
    rules = rules_for("own", {"orders": {"user_id": "user_id", "note": "note"}})
    with MRCClient(server.url, redis_url) as client, following(server.url, redis_url, rules) as follower:
        cached = Cached(server, client)
        server.run("ALTER TABLE orders ADD COLUMN kind ENUM('x', 'y') FIRST")
        server.run("INSERT INTO orders VALUES ('y', 4, 4, 4, 'd')")
        wait_followed(follower, server)
        for number, note in ((1, "a"), (2, "b"), (4, "d")):
            cached.read("orders", user_id=number)
            cached.read("orders", note=note)
        wide = follower.stats()["wide"]
        server.run("UPDATE orders SET kind = 'x' WHERE id = 4")
        cached.wait_gone("orders", user_id=4)
        cached.wait_gone("orders", note="d")
        assert cached.is_cached("orders", user_id=1)
        assert cached.is_cached("orders", note="b")
        assert follower.stats()["wide"] == wide
    server.close()
