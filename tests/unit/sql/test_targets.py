"""Which tables statements write: Django's own, and others."""

from __future__ import annotations

import pytest

from mysql_redis_cache.sql import written_tables


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("INSERT INTO `shop_order` (`id`) VALUES (%s)", "shop_order"),
        ("INSERT IGNORE INTO `shop_order` (`id`) VALUES (%s), (%s)", "shop_order"),
        ("INSERT INTO `shop`.`orders` SELECT * FROM other", "orders"),
        ("insert low_priority into orders set a = 1 on duplicate key update a = 2", "orders"),
        ("REPLACE INTO orders VALUES (1)", "orders"),
        ("REPLACE orders (a) VALUES (1)", "orders"),
        ("UPDATE `shop_order` SET `state` = %s WHERE `shop_order`.`id` = %s", "shop_order"),
        ("UPDATE orders o SET o.a = (SELECT 1 FROM users)", "orders"),
        ("UPDATE orders AS o JOIN `users` u ON o.u = u.id SET o.a = 1", "orders users"),
        ("UPDATE orders, shop.users SET a = 1", "orders users"),
        ("UPDATE (orders JOIN users USING (id)) SET a = 1", "orders users"),
        ("UPDATE LOW_PRIORITY IGNORE orders SET a = 1", "orders"),
        ("DELETE FROM `shop_order` WHERE `id` IN (%s, %s)", "shop_order"),
        ("DELETE FROM orders", "orders"),
        ("DELETE FROM orders AS o WHERE o.id = 1", "orders"),
        ("DELETE `orders` FROM `orders` INNER JOIN `users` ON (`orders`.`u` = `users`.`id`)", "orders"),
        ("DELETE o, u.* FROM orders o JOIN shop.users AS u ON o.u = u.id WHERE 1", "orders users"),
        ("DELETE FROM o USING orders AS o JOIN users WHERE 1", "orders"),
        ("TRUNCATE `orders`", "orders"),
        ("TRUNCATE TABLE shop.orders", "orders"),
        ("LOAD DATA LOCAL INFILE 'a' REPLACE INTO TABLE orders", "orders"),
        ("ALTER TABLE `orders` ADD COLUMN a INT", "orders"),
        ("DROP TABLE IF EXISTS a, `b`", "a b"),
        ("RENAME TABLE a TO b", "a b"),
        ("WITH x AS (SELECT 1 FROM users) UPDATE orders SET a = 1", "orders"),
        ("WITH x AS (SELECT 1 FROM users) DELETE FROM orders WHERE id IN (SELECT * FROM x)", "orders"),
        ("SET STATEMENT max_statement_time=1 FOR DELETE FROM orders", "orders"),
        ("ANALYZE UPDATE orders SET a = 1", "orders"),
        ("/* hint */ UPDATE orders SET a = 1 -- UPDATE users", "orders"),
        ("UPDATE orders SET a = 1; DELETE FROM users; SELECT 1", "orders users"),
        ("UPDATE (orders, users) SET a = 1", "orders users"),
        ("UPDATE orders JOIN users USING (id) SET a = 1", "orders users"),
        ("UPDATE orders STRAIGHT_JOIN users SET a = 1", "orders users"),
        ("UPDATE orders LEFT JOIN (SELECT * FROM old) d USING (id) SET a = 1", "orders"),
        ("UPDATE (SELECT * FROM old) AS d, orders SET a = 1", "orders"),
        ("UPDATE orders JOIN ((SELECT 1) UNION (SELECT 2 FROM old)) d ON 1, users SET a = 1", "orders users"),
        ("UPDATE orders FORCE INDEX FOR JOIN (i, j), users SET a = 1", "orders users"),
        ("DELETE FROM orders USING orders JOIN (SELECT id FROM old) d", "orders"),
        ("WITH x AS (SELECT 1 FROM users FOR UPDATE) UPDATE orders SET a = 1", "orders"),
        ("EXPLAIN UPDATE orders SET a = 1", ""),
        ("SELECT ';' FROM users", ""),
        ("(SELECT 1) UNION (SELECT 2)", ""),
        ("SELECT updated_at, `update` FROM users FOR UPDATE", ""),
        ("WITH x AS (SELECT 1) SELECT * FROM x", ""),
        ("SET @a = 1", ""),
        ("SAVEPOINT `s`", ""),
        ("CALL p()", ""),
        ("CREATE TABLE a (id INT)", ""),
        ("DROP INDEX i ON orders", ""),
        ("", ""),
        ("UPDATE", ""),
    ],
)
def test_the_tables_that_a_statement_writes(text: str, tables: str) -> None:
    """Without their schema, and whatever alias they have."""
    assert written_tables(text) == frozenset(tables.split())


def test_a_name_in_backticks_may_hold_anything() -> None:
    """Also a backtick."""
    assert written_tables("UPDATE `my ``table` SET a = 1") == {"my `table"}


def test_a_long_statement_is_not_read_to_its_end() -> None:
    """An INSERT of a hundred thousand rows tells its table at once."""
    text = "INSERT INTO orders (a, b) VALUES " + ", ".join(["(%s, %s)"] * 1_000_000)
    words = iter(range(3))

    assert written_tables(text) == {"orders"}
    assert next(words) == 0
