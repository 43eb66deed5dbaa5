"""Ways to change rows that a log tells in its own manner: whatever it is, nothing outdated stays cached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.following import Cached, following, rules_for, wait_followed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.binlogs import LoggedServer

pytestmark = pytest.mark.real

COLUMNS = "id INT PRIMARY KEY, user_id INT, note VARCHAR(20)"
USERS = range(1, 7)
ROWS = ", ".join([f"({user}, {user}, 'first')" for user in USERS])
TABLES = {
    "orders": f"({COLUMNS})",
    "others": f"({COLUMNS})",
    "stubborn": f"({COLUMNS}) ENGINE = MyISAM",
    "parts": f"({COLUMNS}) PARTITION BY RANGE (id) (PARTITION low VALUES LESS THAN (4),"
    " PARTITION high VALUES LESS THAN MAXVALUE)",
}

SCENARIOS: dict[str, Sequence[str]] = {
    "a row that takes another's place": ["REPLACE INTO orders VALUES (1, 2, 'new')"],
    "an insert that updates": [
        "INSERT INTO orders VALUES (1, 5, 'x'), (9, 6, 'y') ON DUPLICATE KEY UPDATE user_id = 4, note = 'z'"
    ],
    "an insert that is ignored": ["INSERT IGNORE INTO orders VALUES (1, 5, 'x'), (9, 6, 'y')"],
    "rows of a query": ["INSERT INTO orders SELECT id + 10, user_id, 'more' FROM others WHERE user_id < 3"],
    "an update of two tables": [
        "UPDATE orders JOIN others USING (id) SET orders.note = 'one', others.note = 'two' WHERE id < 3"
    ],
    "a deletion from two tables": [
        "DELETE orders, others FROM orders JOIN others USING (id) WHERE orders.id > 4"
    ],
    "a view": [
        "CREATE VIEW seen AS SELECT * FROM orders",
        "UPDATE seen SET note = 'seen' WHERE user_id = 3",
        "DROP VIEW seen",
    ],
    "images of changed columns": [
        "SET SESSION binlog_row_image = MINIMAL",
        "UPDATE orders SET note = 'short' WHERE id = 2",
        "DELETE FROM orders WHERE id = 3",
    ],
    "a table put in another's place": [
        "CREATE TABLE fresh LIKE orders",
        "INSERT INTO fresh SELECT id, user_id, 'fresh' FROM orders",
        "RENAME TABLE orders TO gone, fresh TO orders",
    ],
    "a column in front": [
        "ALTER TABLE orders ADD COLUMN number INT DEFAULT 7 FIRST",
        "UPDATE orders SET note = 'moved' WHERE user_id = 4",
    ],
    "a column of another type": [
        "ALTER TABLE orders MODIFY user_id BIGINT UNSIGNED",
        "UPDATE orders SET note = 'wide' WHERE user_id = 4",
    ],
    "a table that is copied": ["CREATE TABLE copied AS SELECT * FROM orders", "DELETE FROM copied"],
    "a table without transactions": ["UPDATE stubborn SET note = 'stays' WHERE id = 1"],
    "a transaction that is rolled back": [
        *("BEGIN", "UPDATE orders SET note = 'never' WHERE id = 1", "ROLLBACK"),
        "UPDATE others SET note = 'after' WHERE id = 1",
    ],
    "a partition that is emptied": ["ALTER TABLE parts TRUNCATE PARTITION low"],
    "a partition that is dropped": ["ALTER TABLE parts DROP PARTITION high"],
    "a partition that is exchanged": [
        f"CREATE TABLE outside ({COLUMNS})",
        "INSERT INTO outside VALUES (2, 2, 'outside')",
        "ALTER TABLE parts EXCHANGE PARTITION low WITH TABLE outside",
    ],
    "many statements in one": [
        "BEGIN",
        *[f"UPDATE orders SET user_id = user_id % 6 + 1 WHERE id = {user}" for user in USERS],
        "DELETE FROM others WHERE id = 6",
        "COMMIT",
    ],
    "a row that comes and goes": [
        "BEGIN",
        "INSERT INTO orders VALUES (9, 1, 'short-lived')",
        "DELETE FROM orders WHERE id = 9",
        "COMMIT",
    ],
    "no row at all": ["UPDATE orders SET user_id = NULL WHERE id = 1", "DELETE FROM orders WHERE id = 99"],
}


@pytest.fixture
def shop(server: LoggedServer) -> LoggedServer:
    """The server, with tables and rows."""
    for table, definition in TABLES.items():
        server.run(f"CREATE TABLE {table} {definition}", f"INSERT INTO {table} VALUES {ROWS}")
    return server


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_outdated_stays(name: str, shop: LoggedServer, cached: Cached, redis_url: str) -> None:
    """What MySQL says otherwise by now is not cached any more."""
    with following(shop.url, redis_url, rules_for(shop.schema, rules())) as follower:
        before = {each: cached.read(each[0], user_id=each[1]) for each in entries()}
        shop.run(*SCENARIOS[name])
        wait_followed(follower, shop)

        after = {each: shop.ask(f"SELECT * FROM {each[0]} WHERE user_id = {each[1]}") for each in entries()}
        outdated = {each for each in entries() if before[each] != after[each]}
        assert outdated or name in {"a table that is copied", "a row that comes and goes"}
        assert [each for each in sorted(outdated) if cached.is_cached(each[0], user_id=each[1])] == []


def entries() -> list[tuple[str, int]]:
    return [(table, user) for table in TABLES for user in USERS]


def rules() -> dict[str, Any]:
    return {table: {"user_id": "user_id"} for table in TABLES}
