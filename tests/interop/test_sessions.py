"""What Node's sessions do differently in silence, and what option does it here: docs/how-to/migrate.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pymysql.constants import CLIENT

from mysql_redis_cache import MRCClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .peer import Peer


@pytest.fixture
def same(mysql_url: str) -> Iterator[MRCClient]:
    """A client with the options that the page names."""
    flags = CLIENT.FOUND_ROWS | CLIENT.IGNORE_SPACE
    with MRCClient(f"{mysql_url}?client_flag={flags}&collation=utf8mb4_unicode_ci") as client:
        client.execute("DROP TABLE IF EXISTS silent")
        client.execute("CREATE TABLE silent (id INT PRIMARY KEY, n INT)")
        client.execute("INSERT INTO silent VALUES (1, 1), (2, 2)")
        yield client
        client.execute("DROP TABLE silent")


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("UPDATE silent SET n = 1", 1),
        ("INSERT INTO silent VALUES (1, 1) ON DUPLICATE KEY UPDATE n = 1", 0),
    ],
)
def test_affected_rows(npm: Peer, same: MRCClient, client: MRCClient, text: str, ours: int) -> None:
    """Node counts what was found; so does a client with FOUND_ROWS."""
    assert client.execute(text).affected_rows == ours
    client.execute("UPDATE silent SET n = id")

    theirs = npm.call("queryToPromise", text)["affectedRows"]

    client.execute("UPDATE silent SET n = id")
    assert same.execute(text).affected_rows == theirs == ours + 1


TEXTS = [
    "SELECT 'ß' = 'ss' AS a, 'ß' = 's' AS b, 'a' = 'A' AS c, '😀' = '😎' AS d, 'a ' = 'a' AS e",
    "SELECT COLLATION('a') AS a, COLLATION(DATE_FORMAT(NOW(), '%Y')) AS b, COLLATION(CAST(1 AS CHAR)) AS c",
    "SELECT COUNT (*) AS n, MAX (id) AS m FROM silent",
    "SELECT a.id, b.id, a.n, b.n FROM silent AS a JOIN silent AS b ON b.id = a.id + 1",
]


@pytest.mark.parametrize("text", TEXTS)
def test_rows(npm: Peer, same: MRCClient, text: str) -> None:
    """The same on both sides, with the options."""
    assert same.query(text) == npm.call("queryToPromise", text)


def test_params_compare_as_literals_do(npm: Peer, same: MRCClient) -> None:
    """Since they are literals when they are sent."""
    for value in ("ß", "ss", "SS", "s"):
        text, params = "SELECT ? = 'ss' AS a", [value]
        assert same.query(text, params) == npm.call("queryToPromise", text, params)


def test_calls(npm: Peer, same: MRCClient) -> None:
    """All result sets and a header."""
    same.execute("DROP PROCEDURE IF EXISTS silent_call")
    same.execute("CREATE PROCEDURE silent_call() BEGIN SELECT 1 AS a; SELECT 2 AS b; END")

    ours: Any = same.query("CALL silent_call()")

    assert ours[:2] == npm.call("queryToPromise", "CALL silent_call()")[:2] == [[{"a": 1}], [{"b": 2}]]
    assert ours[2].keys() == npm.call("queryToPromise", "CALL silent_call()")[2].keys()
