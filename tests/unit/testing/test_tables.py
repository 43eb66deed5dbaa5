"""Which tables a statement writes."""

from __future__ import annotations

import pytest

from mysql_redis_cache.testing.tables import tables_written


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("INSERT INTO users VALUES (1)", ["users"]),
        ("insert ignore into `my users` (id) select id from old", ["my users"]),
        ("INSERT shop.users SET id = 1", ["users"]),
        ("REPLACE INTO `shop`.`users` VALUES (1)", ["users"]),
        ("INSERT INTO a(id) SELECT id FROM b ON DUPLICATE KEY UPDATE id = 1", ["a"]),
        ("UPDATE users SET name = 'INSERT INTO x'", ["users"]),
        ("UPDATE LOW_PRIORITY IGNORE users u SET u.name = (SELECT 1 FROM other)", ["users"]),
        ("UPDATE users u JOIN shop.orders AS o ON o.user_id = u.id SET o.state = 1", ["users", "orders"]),
        ("UPDATE a, b SET a.x = b.x WHERE a.id = b.id", ["a", "b"]),
        ("UPDATE a JOIN (SELECT id FROM c) d ON d.id = a.id SET a.x = 1", ["a"]),
        ("DELETE FROM users WHERE id IN (SELECT id FROM old)", ["users"]),
        ("DELETE u, o FROM users u LEFT JOIN orders o ON u.id = o.user_id", ["users", "orders"]),
        ("DELETE FROM u USING users AS u JOIN old", ["users", "old"]),
        ("TRUNCATE TABLE users", ["users"]),
        ("TRUNCATE users", ["users"]),
        ("WITH x AS (SELECT id FROM old) UPDATE users JOIN x SET users.a = 1", ["users", "x"]),
        ("/* DELETE FROM x */ DELETE FROM users LIMIT 1", ["users"]),
        ("SELECT * FROM users", []),
        ("SELECT * FROM users FOR UPDATE", []),
        ("CALL write_users()", []),
        ("SET @a = 1", []),
        ("SAVEPOINT a", []),
    ],
)
def test_tables_written(text: str, tables: list[str]) -> None:
    """Without their schemas; of joined ones all."""
    assert tables_written(text) == tables
