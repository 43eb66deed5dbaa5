"""What the index of ``index=True`` costs in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis
from report import table
from workload import STORE_QUERY, STORES, Databases

if TYPE_CHECKING:
    from workload import Workload

ENTRIES, QUICK_ENTRIES = 12_000, 3_000
NAMES = ["UserId", "StoreId"]


def index_text(workload: Workload, *, quick: bool) -> str:
    """Write the same entries without and with the index, and compare what Redis uses."""
    count = QUICK_ENTRIES if quick else ENTRIES
    plain, indexed = (_bytes_used(workload, count, index=index) for index in (False, True))
    pairs = count * len(NAMES)
    rows = [
        ["entries, without an index", f"{plain / count:,.0f} bytes per entry"],
        ["entries, with an index", f"{indexed / count:,.0f} bytes per entry"],
        ["the index alone", f"{(indexed - plain) / pairs:,.0f} bytes per entry and pair"],
    ]
    return table([f"{count:,} entries of two pairs, names of 64 bytes, values of 100", "memory"], rows)


def _bytes_used(workload: Workload, count: int, *, index: bool) -> int:
    from mysql_redis_cache import MRCClient

    admin = redis.Redis(**workload.redis(Databases.COLD))
    admin.flushdb()
    before = int(admin.info("memory")["used_memory"])
    with MRCClient(workload.mysql, workload.patient_redis(Databases.COLD), index=index) as client:
        for number in range(count):
            params = [100_000 + number // len(STORES), number % len(STORES) + 1]
            client.write_to_cache(STORE_QUERY, "x" * 98, params, NAMES, ttl=86_400)
    used = int(admin.info("memory")["used_memory"]) - before
    admin.flushdb()
    return used
