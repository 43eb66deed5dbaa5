"""What a statement is about, for traces."""

from __future__ import annotations

import pytest

from mysql_redis_cache.sql import masked, summary


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT name FROM users WHERE id = ?", "SELECT users"),
        (
            "select * from shop.orders o join `order items` i on i.order_id = o.id",
            "SELECT shop.orders orderitems",
        ),
        ("SELECT * FROM (SELECT id FROM users) AS found", "SELECT SELECT users"),
        ("WITH few AS (SELECT 1 FROM a) SELECT * FROM few", "SELECT a SELECT few"),
        ("INSERT INTO orders SELECT * FROM carts -- FROM nowhere", "INSERT orders SELECT carts"),
        ("UPDATE users SET name = ' FROM nothing'", "UPDATE users"),
        ("DELETE FROM users WHERE id = ?", "DELETE users"),
        ("CALL report(?)", "CALL report"),
        ("SELECT 1", "SELECT"),
        ("SHOW TABLES", "SHOW"),
        ("DO 1", ""),
    ],
)
def test_summaries(text: str, expected: str) -> None:
    """Operations and tables in their order; what stands in quotes and comments is none."""
    assert summary(text) == expected


def test_a_long_summary_ends_at_a_name() -> None:
    """255 characters are all that there may be."""
    tables = [f"table_{number:03}" for number in range(100)]
    short = summary("SELECT 1 FROM " + " JOIN ".join(tables))

    assert len(short) <= 255
    assert short.split() == ["SELECT", *tables[: len(short.split()) - 1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 'it''s', \"a\\\"b\", 1.5e3, x1 FROM t2", "SELECT ?, ?, ?, x1 FROM t2"),
        ("SELECT `a'b` FROM t /* it's 5 */ WHERE id = -7", "SELECT `a'b` FROM t /* it's 5 */ WHERE id = -?"),
        ("SELECT 1 -- don't\n, 'x'", "SELECT ? -- don't\n, ?"),
        ("SELECT 0xFF, @v1", "SELECT ?, @v1"),
    ],
)
def test_values_in_a_text_are_masked(text: str, expected: str) -> None:
    """Names, comments and what is quoted as a name are left."""
    assert masked(text) == expected
