"""What ``get_many`` refuses, before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from mysql_redis_cache import MRCClient

LIST = "SELECT id, name FROM users WHERE id IN (?)"


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((LIST, [[1]]), {}, TypeError, r"ids\[0\] is a list"),
        ((LIST, "123"), {}, TypeError, "ids must be a list of values, not str"),
        ((LIST, 7), {}, TypeError, "ids must be a list of values, not int"),
        ((LIST.replace("IN (?)", "= ?"), [1]), {}, ValueError, r"must stand in IN \(\?\)"),
        ((LIST + " LIMIT 3", [1]), {}, ValueError, "LIMIT counts over the rows"),
        ((LIST + " FOR UPDATE", [1]), {}, ValueError, "it locks rows"),
        ((LIST, [1]), {"key": 7}, TypeError, "key must be a str"),
        ((LIST, [1]), {"name": "a=b"}, ValueError, "="),
        ((LIST.replace("?", ":Id"), [1]), {}, ValueError, "UserId"),
        ((LIST, [1]), {"ttl": 0}, ValueError, "ttl must be positive"),
        ((LIST, [1]), {"ttl": len}, TypeError, "ttl must be seconds"),
        ((LIST, [1]), {"empty_ttl": -1}, ValueError, "empty_ttl must be positive"),
        ((LIST, [1]), {"lasting": 1}, TypeError, "lasting"),
        ((LIST, [1, object()]), {}, TypeError, "object"),
    ],
)
def test_bad_arguments(arguments: Any, options: Any, error: type[Exception], message: str) -> None:
    """The message says what is wrong; no server is there to be asked."""
    client = MRCClient("mysql://127.0.0.1:1/x", "redis://127.0.0.1:1")
    with pytest.raises(error, match=message):
        client.get_many(*arguments, **{"key": "id", "name": "UserId", **options})


def test_no_ids() -> None:
    """Nothing is asked."""
    assert MRCClient("mysql://127.0.0.1:1/x").get_many(LIST, iter(()), key="id", name="UserId") == {}
