"""Hits and misses of one checkout's blocking client, from inside a process of its own.

Run by ``versions.py`` with ``python -I``. A question such as ``{"operation": "hit", "calls": 200}`` is
answered with seconds of the clock and of this process's processor.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from typing import Any

ORDERS = json.loads(sys.argv[1])
sys.path[:0] = ORDERS["paths"]

from mysql_redis_cache import MRCClient  # noqa: E402 - of the checkout whose path is set above

QUERY = "SELECT id, user_id, store_id, sku, qty, price, state, placed FROM orders WHERE user_id = ?"
NAMES = ["UserId"]
USERS = 100


def main() -> None:
    """Greet, and answer questions until there are no more."""
    with MRCClient(ORDERS["mysql"], ORDERS["redis"]) as client:
        for user in range(1, USERS + 1):
            client.query_with_cache(QUERY, [user], NAMES)

        def miss(user: int) -> None:
            client.query_with_cache(QUERY, [user], NAMES, refresh=True)

        operations: dict[str, Any] = {
            "hit": lambda user: client.query_with_cache(QUERY, [user], NAMES),
            "miss": miss,
            "uncached": lambda user: client.query(QUERY, [user]),
            "key": lambda user: client.get_key_from_query(QUERY, [user], NAMES),
        }
        print(json.dumps({"version": ORDERS["paths"][0]}), flush=True)
        gc.freeze()
        for line in sys.stdin:
            question = json.loads(line)
            print(json.dumps(measure(operations[question["operation"]], question["calls"])), flush=True)


def measure(operation: Any, calls: int) -> dict[str, float]:
    """Seconds a call, by the clock and by the processor."""
    gc.collect()
    users = [number % USERS + 1 for number in range(calls)]
    start, start_cpu = time.perf_counter(), time.process_time()
    for user in users:
        operation(user)
    cpu, wall = time.process_time() - start_cpu, time.perf_counter() - start
    return {"wall": wall / calls, "cpu": cpu / calls}


main()
