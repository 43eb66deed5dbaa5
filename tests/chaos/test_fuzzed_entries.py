"""Whatever lies in Redis under an entry's name, a reader gets rows."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

from mysql_redis_cache import MRCClient

if TYPE_CHECKING:
    import pytest
    import redis

PAYLOADS = int(os.environ.get("MRC_CHAOS_PAYLOADS", "2000"))
QUERY = "SELECT 1 AS id, 'ann' AS name"
ROWS = (
    b'[{"id":1,"name":"ann","pad":{"type":"Buffer","data":[1,2,255]},"more":[null,true,1.5e300,"\\u00e9"]}]'
)


def mutated(dice: random.Random) -> bytes:
    """Rows with bytes changed, left out, doubled or moved."""
    data = bytearray(ROWS)
    for _ in range(dice.randint(1, 6)):
        start, end = sorted(dice.randrange(len(data) + 1) for _ in range(2))
        change = dice.randrange(4)
        if change == 0 and data:
            data[dice.randrange(len(data))] = dice.randrange(256)
        elif change == 1:
            del data[start:end]
        elif change == 2:
            data[start:start] = data[start:end]
        else:
            data[start:start] = dice.choice(
                [b"[" * 3000, b"1e9999", b"NaN", b"\xff\xfe", b"-", b"{}", b'"', b"9" * 500]
            )
    return bytes(data)


def test_no_payload_raises(
    mysql_url: str, redis_url: str, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """Mutated entries are read as the JSON they are, or loaded anew and overwritten."""
    dice = random.Random(8)
    caplog.set_level("CRITICAL", "mysql_redis_cache")
    with MRCClient(mysql_url, redis_url) as client:
        key = client.get_key_from_query(QUERY)
        for _ in range(PAYLOADS):
            redis_client.set(key, mutated(dice))
            client.query_with_cache(QUERY)
        stats = client.stats()
    print(f"{PAYLOADS} payloads: {stats}")
    assert stats["hits"] + stats["corrupt_entries"] >= PAYLOADS
    assert stats["fills"] == stats["corrupt_entries"] > PAYLOADS / 2
