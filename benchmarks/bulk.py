"""What it costs to drop the entries of many values at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import redis
from report import table
from workload import Databases

if TYPE_CHECKING:
    from collections.abc import Callable

    from workload import Workload

KEYS, QUICK_KEYS = 300_000, 30_000
IDS = 10_000
ROUNDS = 5
FOREIGN = 2_000_000
"""From here on ids are of nobody: what is dropped is looked for, and is not there to be written again."""


def bulk_text(workload: Workload, *, quick: bool) -> str:
    """Drop one value and many, by sweep and by index, beside bare look-ups, in turns."""
    from mysql_redis_cache import MRCServer

    count = QUICK_KEYS if quick else KEYS
    admin = redis.Redis(**workload.redis(Databases.COLD))
    admin.flushdb()
    _fill(admin, count)
    ids = range(FOREIGN, FOREIGN + IDS)
    config = workload.patient_redis(Databases.COLD)
    with MRCServer(config) as plain, MRCServer(config, index=True) as indexed:
        indexed.drop_many("UserId", ids, timeout=300)  # learns what was there before the index
        _forget_the_past(admin)
        ways: dict[str, Callable[[], Any]] = {
            "one": lambda: plain.drop_many("UserId", [FOREIGN]),
            "many": lambda: plain.drop_many("UserId", ids, timeout=300),
            "many by index": lambda: indexed.drop_many("UserId", ids, timeout=300),
            "bare": lambda: _look_up(admin, ids),
        }
        best = {name: min(_seconds(way) for _ in range(ROUNDS)) for name, way in ways.items()}
    admin.flushdb()
    rows = [
        ["one id, by sweep", f"{best['one'] * 1000:,.0f} ms", ""],
        [
            f"{IDS:,} ids, by sweep",
            f"{best['many'] * 1000:,.0f} ms",
            f"{best['many'] / best['one']:.2f} × one id",
        ],
        [f"{IDS:,} `ZRANGE`, pipelined by redis-py", f"{best['bare'] * 1000:,.0f} ms", ""],
        [
            f"{IDS:,} ids, by index",
            f"{best['many by index'] * 1000:,.0f} ms",
            f"{best['many by index'] / best['bare']:.2f} × the pipeline",
        ],
    ]
    return table([f"{count:,} entries of two pairs", "time", ""], rows)


def _fill(admin: Any, count: int) -> None:
    from mysql_redis_cache.keys import make_key

    for start in range(0, count, 10_000):
        some = range(start, min(count, start + 10_000))
        keys = [make_key("q", [number, number % 7], ["UserId", "StoreId"]) for number in some]
        admin.mset(dict.fromkeys(keys, b"[]"))


def _forget_the_past(admin: Any) -> None:
    """Have the index take the entries for registered, as they are when clients with it fill them."""
    admin.zrem("mrc:idx", "unindexed", "unknown")


def _look_up(admin: Any, ids: range) -> None:
    pipeline = admin.pipeline(transaction=False)
    for number in ids:
        pipeline.zrange(f"bench:{number}", 0, -1, withscores=True)
    pipeline.execute()


def _seconds(way: Callable[[], Any]) -> float:
    began = time.perf_counter()
    way()
    return time.perf_counter() - began
